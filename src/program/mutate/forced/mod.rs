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

mod locks;
mod steps;

use std::collections::HashMap;

use mutatis::{Mutate, Session};
use vmadiff_contract::{CallKind, TaskId};
use vmadiff_interleave::Kind;
use vmadiff_interleave::sim::{Step, What};

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

/// Pairs that are drawn, of which one is taken.
const DRAWN: usize = 48;
/// Steps that are looked back for the other access of a pair. What lies further back is seldom of a
/// call that could still be under way.
const BACK: usize = 400;
/// More switches than this are not added to.
const MOST_SWITCHES: usize = 6;
/// Steps behind a pair that was forced, in which the next one of a chain is mostly looked for.
const AHEAD: usize = 80;
/// Of one pair in so many, the first task is left behind its half, in the midst of what it does by that.
const LATER: u64 = 2;
/// Of one pair in so many, the second task is not left again in the midst of its call.
const WHOLE: u64 = 3;
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
    // The last two are those of one pair: away, and back.
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
                self.switches = switches(self.run.steps.all, pair);
                if dice.one_in(WHOLE) {
                    self.switches.truncate(1);
                }
            }
            Ok(())
        })
    }
}

/// Of some pairs of steps, each with the earlier one first, that whose other order was least often forced.
fn rarest(dice: &mut Dice<'_>, run: &Run<'_>, met: &mut Met) -> Option<(usize, usize)> {
    let Run { steps, there, .. } = run;
    let all = steps.all;
    if all.is_empty() {
        return None;
    }
    let drawn = (0..DRAWN).filter_map(|_| {
        let then = drawn(dice, run);
        let before = met_before(dice, steps, then)?;
        let left = match dice.one_in(LATER) {
            true => later(dice, all, before, then),
            false => before,
        };
        let first = steps.free_of_locks(left, then);
        let other = all[then].task;
        let exists = other <= *there || all[..first].iter().any(|step| step.task == other);
        let key = (run.half(then)?, run.half(left)?);
        (exists && steps.is_of_next_call(first, then)).then_some(((first, then), key))
    });
    let drawn: Vec<_> = drawn.collect();
    let count = |key| met.0.get(&key).copied().unwrap_or(0);
    let (pair, key) = drawn.into_iter().min_by_key(|&(_, key)| count(key))?;
    *met.0.entry(key).or_default() += 1;
    Some(pair)
}

/// The later step of a pair that may be: of the second half of the run more often, since what comes first
/// makes what is raced for; in a chain, of what came behind the last pair.
fn drawn(dice: &mut Dice<'_>, run: &Run<'_>) -> usize {
    let count = run.steps.all.len();
    match run.behind {
        Some(behind) if behind + 1 < count && !dice.one_in(4) => {
            behind + dice.index((count - behind).min(AHEAD))
        }
        _ => dice.index(count).max(dice.index(count)),
    }
}

impl Run<'_> {
    /// What a step is as a half of a pair.
    fn half(&self, at: usize) -> Option<Half> {
        let step = &self.steps.all[at];
        match step.what {
            What::Access { kind, .. } => Some((step.site.number(), kind, self.steps.calls[at])),
            _ => None,
        }
    }
}

/// An access of another task, before this one, to the same object, of which one of both writes.
fn met_before(dice: &mut Dice<'_>, steps: &Steps<'_>, then: usize) -> Option<usize> {
    let What::Access { kind, .. } = steps.all[then].what else {
        return None;
    };
    let task = steps.all[then].task;
    let meets = |step: &Step| match step.what {
        What::Access { kind: other, .. } => {
            let conflict = kind.writes() && (other.reads() || other.writes())
                || kind.reads() && other.writes();
            step.task != task && conflict
        }
        _ => false,
    };
    let from = then.saturating_sub(BACK);
    let near = steps.same_object_before(then).take_while(|&at| at >= from);
    let before = near.filter(|&at| meets(&steps.all[at]));
    // The last ones are of calls that are most likely still there to be left.
    let before: Vec<usize> = before.take(4).collect();
    (!before.is_empty()).then(|| before[dice.index(before.len())])
}

/// One of the accesses that the first task makes in the same call behind its half of a pair, and before the
/// other half; if there is none, its half itself.
fn later(dice: &mut Dice<'_>, steps: &[Step], before: usize, then: usize) -> usize {
    let own = (before + 1..then).filter(|&at| steps[at].task == steps[before].task);
    let call = own.take_while(|&at| !matches!(steps[at].what, What::End(_)));
    let all: Vec<usize> = call
        .filter(|&at| matches!(steps[at].what, What::Access { .. }))
        .collect();
    match all.len() {
        0 => before,
        count => all[dice.index(count)],
    }
}

/// Leaves the first task before its access, for the second, and that one behind its own; without the latter
/// the second's call goes on to its end.
fn switches(steps: &[Step], (first, then): (usize, usize)) -> Vec<Switch> {
    let behind = (then + 1..steps.len())
        .find(|&step| steps[step].task == steps[then].task && steps[step].passes_site());
    let away = switch(steps, first, steps[then].task);
    let back = behind.map(|behind| switch(steps, behind, steps[first].task));
    std::iter::once(away).chain(back).collect()
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
