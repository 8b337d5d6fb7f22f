//! What a program consists of: calls, switches, tasks, settings, failing allocations.

use std::ops::Range;

use vmadiff_contract::{Call, Config, Fail, Fd, TaskId};

use super::{Attempt, Shrinker};
use crate::program::settings::{SETTINGS, fit_together};
use crate::program::shape::{Param, build, params, words};
use crate::program::sites::BEGIN;
use crate::program::{Moment, Program, Schedule};

/// Pairs of calls are tried only in programs of at most so many: they grow with the square.
const PAIRS_UP_TO: usize = 24;

/// The first descriptor that Linux gives a program of ours.
const FIRST_FD: Fd = Fd(3);

impl<A: FnMut(&Program) -> Attempt> Shrinker<A> {
    /// Leaves out what can be left out.
    pub(super) fn structure(&mut self) -> bool {
        let calls = self.drop_calls() | self.drop_pairs();
        calls | self.schedule() | self.config() | self.tasks() | self.fails()
    }

    /// Drops runs of calls, long ones first, from the end: what comes after the divergence goes at
    /// once.
    fn drop_calls(&mut self) -> bool {
        let mut changed = false;
        let mut size = self.best.calls.len();
        while size > 0 {
            let mut end = self.best.calls.len();
            while end > 0 {
                let start = end.saturating_sub(size);
                changed |= self.drop_range(start..end);
                end = start;
            }
            size /= 2;
        }
        changed
    }

    /// Drops two calls that only go together, such as a fork and the child's exit.
    fn drop_pairs(&mut self) -> bool {
        let mut changed = false;
        let mut second = self.best.calls.len();
        while second > 0 && self.best.calls.len() <= PAIRS_UP_TO {
            second -= 1;
            for first in (0..second).rev() {
                let dropped = self.change(|program| {
                    program.calls.remove(second);
                    program.calls.remove(first);
                });
                if dropped {
                    changed = true;
                    second = second.min(self.best.calls.len());
                    break;
                }
            }
        }
        changed
    }

    fn drop_range(&mut self, range: Range<usize>) -> bool {
        let dropped = &self.best.calls[range.clone()];
        let opens = dropped
            .iter()
            .filter(|step| matches!(step.call, Call::Open { .. }))
            .count();
        let forks = dropped
            .iter()
            .filter(|step| step.call == Call::Fork)
            .count();
        let start = range.start;
        self.change(|program| drop(program.calls.drain(range.clone())))
            // Later descriptors and tasks move up when an earlier one is not made.
            || opens + forks > 0
                && self.change(|program| {
                    program.calls.drain(range.clone());
                    renumber_descriptors(program, start, opens as i32);
                    renumber_tasks(program, start, forks as u8);
                })
            || self.drop_with_passes(range)
    }

    /// Drops calls, and counts them out of the switches that name points of their tasks: with each
    /// call a task passes the begin of one less, and of other points mostly one less, too.
    fn drop_with_passes(&mut self, range: Range<usize>) -> bool {
        let sites = self.best.schedule.switches.iter();
        if !sites
            .clone()
            .any(|switch| matches!(switch.at, Moment::Site { .. }))
        {
            return false;
        }
        let dropped = self.best.calls[range.clone()].to_vec();
        let fewer = |program: &mut Program, only_begins: bool| {
            program.calls.drain(range.clone());
            for switch in &mut program.schedule.switches {
                let Moment::Site { task, site, nth } = &mut switch.at else {
                    continue;
                };
                let own = dropped.iter().filter(|step| step.task == *task).count() as u32;
                if *site == BEGIN.number() || !only_begins {
                    *nth = nth.saturating_sub(own).max(1);
                }
            }
        };
        self.change(|program| fewer(program, true)) || self.change(|program| fewer(program, false))
    }

    fn schedule(&mut self) -> bool {
        let mut changed = self.change(|program| program.schedule = Schedule::default());
        let mut size = self.best.schedule.switches.len();
        while size > 0 {
            let mut end = self.best.schedule.switches.len();
            while end > 0 {
                let start = end.saturating_sub(size);
                changed |= self.change(|program| {
                    program.schedule.switches.drain(start..end);
                });
                end = start.min(self.best.schedule.switches.len());
            }
            size /= 2;
        }
        changed | self.earlier()
    }

    /// Moves switches to an earlier pass of their point.
    fn earlier(&mut self) -> bool {
        let mut changed = false;
        for index in 0..self.best.schedule.switches.len() {
            while let Moment::Site { nth, .. } = self.best.schedule.switches[index].at
                && nth > 1
                && [1, nth / 2, nth - 1].into_iter().any(|earlier| {
                    self.change(|program| {
                        if let Moment::Site { nth, .. } = &mut program.schedule.switches[index].at {
                            *nth = earlier;
                        }
                    })
                })
            {
                changed = true;
            }
        }
        changed
    }

    fn config(&mut self) -> bool {
        let default = Config::default();
        let mut changed = self.change(|program| program.config = default.clone());
        let tasks = self.best.config.tasks;
        if tasks > default.tasks {
            changed |= self.change(|program| {
                program.config.tasks = default.tasks;
                renumber_tasks(program, 0, tasks - default.tasks);
            });
        }
        for setting in SETTINGS {
            changed |= self.change(|program| {
                setting.set(&mut program.config, setting.get(&default));
                fit_together(&mut program.config);
            });
        }
        changed
    }

    /// Gives calls to a lower task: all of a task's at once, then one by one.
    fn tasks(&mut self) -> bool {
        let mut changed = false;
        let highest = self
            .best
            .calls
            .iter()
            .map(|step| step.task.0)
            .max()
            .unwrap_or(0);
        for from in (2..=highest).rev() {
            for to in 1..from {
                changed |= self.change(|program| {
                    let steps = program.calls.iter_mut().filter(|step| step.task.0 == from);
                    steps.for_each(|step| step.task = TaskId(to));
                });
            }
        }
        for index in 0..self.best.calls.len() {
            for to in 1..self.best.calls[index].task.0 {
                changed |= self.change(|program| program.calls[index].task = TaskId(to));
            }
        }
        changed
    }

    fn fails(&mut self) -> bool {
        let mut changed = false;
        for index in 0..self.best.calls.len() {
            changed |= self.change(|program| program.calls[index].fail = Fail::NONE);
        }
        changed
    }
}

/// Lowers the descriptors that calls from `start` on use, as far as there are lower ones.
fn renumber_descriptors(program: &mut Program, start: usize, by: i32) {
    for step in &mut program.calls[start..] {
        let kind = step.call.kind();
        let mut arguments = words(&step.call);
        for (argument, param) in arguments.iter_mut().zip(params(kind)) {
            let descriptor = *argument as i32;
            if *param == Param::Fd && descriptor > FIRST_FD.0 {
                *argument = i64::from((descriptor - by).max(FIRST_FD.0)) as u64;
            }
        }
        step.call = build(kind, &arguments);
    }
}

/// Lowers the tasks that forks made and that make calls from `start` on, as far as there are lower
/// ones.
fn renumber_tasks(program: &mut Program, start: usize, by: u8) {
    let first_child = program.config.tasks + 1;
    for step in &mut program.calls[start..] {
        if step.task.0 > first_child {
            step.task.0 = (step.task.0 - by).max(first_child);
        }
    }
}
