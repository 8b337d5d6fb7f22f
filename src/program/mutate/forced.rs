//! Schedules that have two tasks meet in another order than they did, made from a run.
//!
//! A run is a list of accesses. Two of them, by different tasks to one object, of which one writes, came in
//! some order; the other order is forced by leaving the first task right before its access until the
//! second has made its own. Lock hand-overs are such pairs, and so are what RCU's callbacks do and what others
//! read meanwhile. Where the first task holds a lock that the second takes on its way, it is left before it
//! takes that: else the second would wait, and nothing be turned round. Of some pairs drawn the one is taken whose sites were least often forced: no design and
//! no call is known here.

use std::collections::HashMap;

use mutatis::{Mutate, Session};
use vmadiff_contract::TaskId;
use vmadiff_interleave::Kind;
use vmadiff_interleave::sim::{Step, What};

use super::dice::Dice;
use crate::program::{Moment, Policy, Program, Schedule, Switch};

/// How often which site was forced to come before which, by their numbers.
#[derive(Clone, Debug, Default)]
pub struct Met(HashMap<(u32, u32), u32>);

impl Met {
    /// Distinct pairs of sites.
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

/// Adds switches to a program's schedule that change the order of one pair of this run of it; none: the run
/// has no such pair, or the schedule is long already.
///
/// A schedule that draws is replaced: the run has to be one by switches alone ([`by_switches`]).
pub fn force(program: &mut Program, steps: &[Step], seed: u32, met: &mut Met) -> Option<()> {
    let mut session = Session::new().seed(seed.into());
    let mut forced = Forced {
        steps,
        there: program.config.tasks,
        met,
        switches: Vec::new(),
    };
    session.mutate_with(&mut forced, program).ok()?;
    let switches = forced.switches;
    if switches.is_empty() || program.schedule.switches.len() >= MOST_SWITCHES {
        return None;
    }
    program.schedule.switches.extend(switches);
    Some(())
}

/// Has switches alone choose, so that they can be added to.
pub fn by_switches(program: &mut Program) {
    if program.schedule.policy != Policy::Preemptions {
        program.schedule = Schedule::default();
    }
}

struct Forced<'a> {
    steps: &'a [Step],
    /// Tasks that are there from the start.
    there: u8,
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
            if let Some(pair) = rarest(dice, self.steps, self.there, self.met) {
                self.switches = switches(self.steps, pair);
            }
            Ok(())
        })
    }
}

/// Of some pairs of steps, each with the earlier one first, that whose other order was least often forced.
fn rarest(dice: &mut Dice<'_>, steps: &[Step], there: u8, met: &mut Met) -> Option<(usize, usize)> {
    if steps.is_empty() {
        return None;
    }
    let sites = |(first, then): (usize, usize)| {
        let [first, then] = [first, then].map(|step: usize| steps[step].site.number());
        (then, first)
    };
    let drawn = (0..DRAWN).filter_map(|_| {
        let then = dice.index(steps.len());
        let first = free_of_locks(steps, met_before(dice, steps, then)?, then);
        let other = steps[then].task;
        let exists = other <= there || steps[..first].iter().any(|step| step.task == other);
        (exists && is_of_next_call(steps, first, then)).then_some((first, then))
    });
    let count = |pair: &(usize, usize)| met.0.get(&sites(*pair)).copied().unwrap_or(0);
    let drawn: Vec<(usize, usize)> = drawn.collect();
    let rarest = drawn.into_iter().min_by_key(count)?;
    *met.0.entry(sites(rarest)).or_default() += 1;
    Some(rarest)
}

/// An access of another task, before this one, to the same object, of which one of both writes.
fn met_before(dice: &mut Dice<'_>, steps: &[Step], then: usize) -> Option<usize> {
    let What::Access { kind, object } = steps[then].what else {
        return None;
    };
    if object == 0 {
        return None;
    }
    let meets = |step: &Step| match step.what {
        What::Access {
            kind: other,
            object: same,
        } => {
            let conflict = kind.writes() && (other.reads() || other.writes())
                || kind.reads() && other.writes();
            same == object && step.task != steps[then].task && conflict
        }
        _ => false,
    };
    let from = then.saturating_sub(BACK);
    let before = (from..then).rev().filter(|&step| meets(&steps[step]));
    // The last ones are of calls that are most likely still there to be left.
    let before: Vec<usize> = before.take(4).collect();
    (!before.is_empty()).then(|| before[dice.index(before.len())])
}

/// Whether the second access is made in the call that its task makes next. Of what lies behind that call
/// other things may become once the order is another.
fn is_of_next_call(steps: &[Step], first: usize, then: usize) -> bool {
    let begins =
        |step: &&Step| step.task == steps[then].task && matches!(step.what, What::Begin(_));
    steps[first..=then].iter().filter(begins).count() <= 1
}

/// The step of the first task before which the second can come to its own: the access, or where a lock was
/// taken that is held there and that the second takes on its way.
fn free_of_locks(steps: &[Step], first: usize, then: usize) -> usize {
    let (task, other) = (steps[first].task, steps[then].task);
    let mut first = first;
    loop {
        let held = held(&steps[..first], task);
        let taken = steps[first..=then].iter().filter(|step| step.task == other);
        let waited_for = taken.filter_map(locks).find_map(|(object, alone)| {
            let mut held = held.iter();
            held.find(|held| held.object == object && (held.alone || alone))
        });
        match waited_for {
            Some(lock) => first = lock.taken,
            None => return first,
        }
    }
}

/// A lock that is held: which, for itself alone, and by which step it was taken.
struct Held {
    object: u32,
    alone: bool,
    taken: usize,
}

/// What a task holds behind these steps.
fn held(steps: &[Step], task: u8) -> Vec<Held> {
    let mut held: Vec<Held> = Vec::new();
    for (taken, step) in steps.iter().enumerate() {
        if step.task != task {
            continue;
        }
        if let Some((object, alone)) = locks(step) {
            held.push(Held {
                object,
                alone,
                taken,
            });
        }
        let What::Access { kind, object } = step.what else {
            continue;
        };
        match kind {
            Kind::Unlock | Kind::UnlockShared => held.retain(|held| held.object != object),
            Kind::Downgrade => {
                let lock = held.iter_mut().find(|held| held.object == object);
                lock.into_iter().for_each(|held| held.alone = false);
            }
            _ => {}
        }
    }
    held
}

/// The lock that a step takes, or tries to, and whether for itself alone.
fn locks(step: &Step) -> Option<(u32, bool)> {
    let What::Access { kind, object } = step.what else {
        return None;
    };
    match kind {
        Kind::Lock | Kind::TryLock => Some((object, true)),
        Kind::LockShared | Kind::TryLockShared => Some((object, false)),
        _ => None,
    }
}

/// Leaves the first task before its access, for the second, and that one behind its own.
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
