//! Chains of turns: two tasks let each other in, again and again, each before an access to what the other one
//! comes to next.
//!
//! ```text
//! A is left before a write of what B reads; B goes on, and is left before its next read of what A writes;
//! A goes on from there, and is left before …
//! ```
//!
//! Each turn is taken from the run that the ones before it made, behind the last of them, so that what was
//! ordered stays so: a reader that looks at several objects sees each of them at a moment of its own.

use vmadiff_interleave::sim::{Step, What};

use super::pairs::{conflict, one_by_site};
use super::steps::Steps;
use super::{Key, Met, Run, goes_on};
use crate::program::Schedule;
use crate::program::mutate::dice::Dice;

/// Steps behind a turn in which the next one is looked for.
const AHEAD: usize = 120;
/// Steps behind an access in which another task's is looked for that meets it.
const MEETS: usize = 400;
/// Pairs that are drawn for a turn, of which one is taken.
const DRAWN: usize = 8;

/// Where a chain goes on: the last switch that was forced left a task for another one.
#[derive(Clone, Copy)]
pub(super) struct Turn {
    /// The first step behind the switch.
    from: usize,
    /// Who was let in there.
    task: u8,
    /// The site before which the other one was left.
    site: u32,
}

/// The last turn of a schedule in this run of it; none if it did not come, so that any pair may be next.
pub(super) fn last(steps: &[Step], schedule: &Schedule) -> Option<Turn> {
    let switch = schedule.switches.last()?;
    let left = goes_on(steps, switch)?;
    let own = |&at: &usize| steps[at].task == steps[left].task;
    let from = (0..left).rev().find(own)? + 1;
    let turn = Turn {
        from,
        task: switch.to.0,
        site: steps[left].site.number(),
    };
    (steps[from].task == turn.task).then_some(turn)
}

/// The next pair of a chain, the earlier step first: the task that was let in is left before an access of its
/// own, for another one to make its next access to the same object. Of some that are drawn the one is taken
/// that was least often forced behind such a turn.
pub(super) fn next(
    dice: &mut Dice<'_>,
    run: &Run<'_>,
    turn: Turn,
    met: &Met,
) -> Option<((usize, usize), Key)> {
    let steps = &run.steps;
    let end = steps.all.len().min(turn.from + AHEAD);
    let own = |&at: &usize| {
        let step = &steps.all[at];
        step.task == turn.task && matches!(step.what, What::Access { .. })
    };
    let own: Vec<usize> = (turn.from + 1..end).filter(own).collect();
    let drawn = (0..DRAWN).filter_map(|_| {
        let left = one_by_site(dice, steps.all, &own)?;
        let then = meets_next(steps, left)?;
        let first = steps.free_of_locks(left, then);
        let key = (Some(turn.site), run.half(then)?, run.half(left)?);
        let stays = first > turn.from && steps.is_of_next_call(first, then);
        stays.then_some(((first, then), key))
    });
    let drawn: Vec<_> = drawn.collect();
    drawn.into_iter().min_by_key(|(_, key)| met.count(key))
}

/// The next access of another task to the same object, of which one of both writes.
fn meets_next(steps: &Steps<'_>, first: usize) -> Option<usize> {
    let all = steps.all;
    let What::Access { kind, object } = all[first].what else {
        return None;
    };
    let meets = |&at: &usize| match all[at].what {
        What::Access {
            kind: other,
            object: same,
        } => {
            object != 0
                && object == same
                && all[at].task != all[first].task
                && conflict(kind, other)
        }
        _ => false,
    };
    (first + 1..all.len().min(first + MEETS)).find(meets)
}
