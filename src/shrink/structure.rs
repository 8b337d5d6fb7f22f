//! What a program consists of: calls, switches, tasks, settings, failing allocations.

use std::ops::Range;

use vmadiff_contract::{Call, Config, Fail, Fd, TaskId};

use super::{Attempt, Shrinker};
use crate::program::settings::{SETTINGS, fit_together};
use crate::program::shape::{Param, build, params, words};
use crate::program::{Moment, Program, Schedule};

/// Pairs of calls are tried only in programs of at most so many: they grow with the square.
const PAIRS_UP_TO: usize = 24;

/// The first descriptor that Linux gives a program of ours.
const FIRST_FD: Fd = Fd(3);

impl<A: FnMut(&Program) -> Attempt> Shrinker<A> {
    /// Leaves out what can be left out.
    pub(super) fn structure(&mut self) -> bool {
        let schedule = self.pin() | self.drop_switches();
        let calls = self.drop_calls() | self.drop_pairs() | self.reorder();
        let rest = self.config() | self.tasks() | self.fails();
        schedule | calls | rest | self.move_switches()
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

    /// Has neighbours of two tasks change places where a switch can go for it: the order of calls is what
    /// runs where nothing is said.
    fn reorder(&mut self) -> bool {
        let mut changed = false;
        for second in 1..self.best.calls.len() {
            let switches = self.best.schedule.switches.len();
            let of = [second - 1, second].map(|at| self.best.calls[at].task);
            let may = of[0] != of[1] && self.best.calls.len() <= PAIRS_UP_TO;
            changed |= (0..switches).any(|gone| {
                may && self.change(|program| {
                    program.calls.swap(second - 1, second);
                    program.schedule.switches.remove(gone);
                })
            });
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
        self.drop_with_switches(range.clone())
            || self.change(|program| drop(program.calls.drain(range.clone())))
            // Later descriptors and tasks move up when an earlier one is not made.
            || opens + forks > 0
                && self.change(|program| {
                    program.calls.drain(range.clone());
                    renumber_descriptors(program, start, opens as i32);
                    renumber_tasks(program, start, forks as u8);
                })
    }

    /// Drops calls, and names the switches as they are called without them.
    fn drop_with_switches(&mut self, range: Range<usize>) -> bool {
        let Some(passes) = &self.passes else {
            return false;
        };
        let switches = passes.without(&self.best.schedule.switches, &range);
        self.change(|program| {
            program.calls.drain(range);
            program.schedule.switches = switches;
        })
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
                    rename_in_switches(&mut program.schedule, TaskId(from), TaskId(to));
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

/// A task's switches are another's.
fn rename_in_switches(schedule: &mut Schedule, from: TaskId, to: TaskId) {
    let renamed = |task: &mut TaskId| {
        if *task == from {
            *task = to;
        }
    };
    for switch in &mut schedule.switches {
        match &mut switch.at {
            Moment::Gap(_) => renamed(&mut switch.to),
            Moment::Site { task, .. } => {
                renamed(task);
                renamed(&mut switch.to);
            }
            // There it is a callback that is chosen.
            Moment::Callback { .. } => {}
        }
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
            step.task.0 = step.task.0.saturating_sub(by).max(first_child);
        }
    }
}
