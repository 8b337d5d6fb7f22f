//! Schedules that have tasks meet in another order than they did, made from a run.
//!
//! A run is a list of accesses. Two of them, by different tasks to one object, of which one writes, came in
//! some order; the other order is forced by leaving the first task right before its access until the
//! second has made its own. Lock hand-overs are such pairs, and so are what RCU's callbacks do and what others
//! read meanwhile. Where the first task holds a lock that the second takes on its way, it is left before it
//! takes that: else the second would wait, and nothing be turned round. Or it is left behind its own, in the
//! same call: what it has seen changes before it has acted by that. Of some pairs drawn the one is taken
//! that was least often forced, by its sites, what was done to the object, and in which calls.
//!
//! A chain is more than one pair: each is taken from the run that the ones before it made, mostly from what
//! came right behind the last, so that one task is left in the middle of what it was let in for. No design and
//! no call is known here.

mod company;
mod locks;
mod pairs;
mod steps;

use std::collections::HashMap;

use mutatis::{Mutate, Session};
use vmadiff_contract::{CallKind, TaskId};
use vmadiff_interleave::Kind;
use vmadiff_interleave::sim::{Step, What};

use self::pairs::rarest;
use self::steps::Steps;
use super::dice::Dice;
use crate::program::{Moment, Policy, Program, Schedule, Switch};

/// One half of a pair: where, what was done to the object, and in which call; none: no call's.
type Half = (u32, Kind, Option<CallKind>);

/// How often what was forced to come before what.
#[derive(Clone, Debug, Default)]
pub struct Met(HashMap<(Half, Half), u32>);

impl Met {
    /// Distinct pairs.
    pub fn pairs(&self) -> usize {
        self.0.len()
    }
}

/// More switches than this are not added to.
const MOST_SWITCHES: usize = 8;
/// One schedule in so many is added to; the others are made anew.
const KEPT: u32 = 2;

/// How many pairs are forced, one after another: a chain of two or three is rarer than one pair.
pub fn links(seed: u32) -> u32 {
    match seed.wrapping_mul(0x9e37_79b9) >> 24 {
        0..120 => 1,
        120..210 => 2,
        _ => 3,
    }
}

/// Adds switches to a program's schedule that change the order of one pair of this run of it; none: the run
/// has no such pair, or the schedule is long already. `chained`: the last switches were forced, too.
///
/// A schedule that draws is replaced: the run has to be one by switches alone ([`by_switches`]).
pub fn force(
    program: &mut Program,
    steps: &[Step],
    (seed, chained): (u32, bool),
    met: &mut Met,
) -> Option<()> {
    if program.schedule.switches.len() >= MOST_SWITCHES {
        return None;
    }
    let mut session = Session::new().seed(seed.into());
    let calls = program.calls.iter().map(|step| step.call.kind());
    let mut forced = Forced {
        run: Run {
            steps: Steps::new(steps, &calls.collect::<Vec<_>>()),
            there: program.config.tasks,
            behind: chained.then(|| behind(steps, &program.schedule)).flatten(),
        },
        met,
        switches: Vec::new(),
    };
    session.mutate_with(&mut forced, program).ok()?;
    let switches = forced.switches;
    if switches.is_empty() {
        return None;
    }
    program.schedule.switches.extend(switches);
    Some(())
}

/// Has switches alone choose, so that they can be added to; of many schedules nothing is kept.
pub fn by_switches(program: &mut Program, seed: u32) {
    let kept = (seed / 64).is_multiple_of(KEPT);
    if program.schedule.policy != Policy::Preemptions || !kept {
        program.schedule = Schedule::default();
    }
}

/// The step at which the last task was left by a switch that was forced.
fn behind(steps: &[Step], schedule: &Schedule) -> Option<usize> {
    let left = schedule.switches.iter().rev().filter_map(|switch| {
        let Moment::Site { task, site, nth } = switch.at else {
            return None;
        };
        let passes =
            |step: &Step| step.task == task.0 && step.site.number() == site && step.passes_site();
        let mut all = (0..steps.len()).filter(|&at| passes(&steps[at]));
        all.nth(nth.saturating_sub(1) as usize)
    });
    // The last ones are those of one pair: away, and what comes behind that.
    left.take(2).min()
}

/// A run, and what is known of its steps.
struct Run<'a> {
    steps: Steps<'a>,
    /// Tasks that are there from the start.
    there: u8,
    /// Where a pair was forced before.
    behind: Option<usize>,
}

struct Forced<'a> {
    run: Run<'a>,
    met: &'a mut Met,
    switches: Vec<Switch>,
}

impl Mutate<Program> for Forced<'_> {
    fn mutate(
        &mut self,
        candidates: &mut mutatis::Candidates<'_>,
        _: &mut Program,
    ) -> mutatis::Result<()> {
        candidates.mutation(|context| {
            let dice = &mut Dice(context.rng());
            if let Some(pair) = rarest(dice, &self.run, self.met) {
                let (first, then) = pair;
                let away = switch(self.run.steps.all, first, self.run.steps.all[then].task);
                let behind = company::behind(dice, &self.run, first, then);
                self.switches = std::iter::once(away).chain(behind).collect();
            }
            Ok(())
        })
    }
}

impl Run<'_> {
    /// Whether there is this task before this step.
    fn exists(&self, task: u8, before: usize) -> bool {
        task <= self.there
            || self.steps.all[..before]
                .iter()
                .any(|step| step.task == task)
    }

    /// What a step is as a half of a pair.
    fn half(&self, at: usize) -> Option<Half> {
        let step = &self.steps.all[at];
        match step.what {
            What::Access { kind, .. } => Some((step.site.number(), kind, self.steps.calls[at])),
            _ => None,
        }
    }
}

/// Before a step of a task, to another.
fn switch(steps: &[Step], at: usize, to: u8) -> Switch {
    let step = &steps[at];
    Switch {
        at: Moment::Site {
            task: TaskId(step.task),
            site: step.site.number(),
            nth: step.passes_in(&steps[..=at]),
        },
        to: TaskId(to),
    }
}
