//! Pairs of accesses of a run, of which one is chosen to come the other way round.

use std::collections::BTreeSet;

use vmadiff_interleave::Kind;
use vmadiff_interleave::sim::{Step, What};

use super::steps::Steps;
use super::{Met, Run, turns};
use crate::program::mutate::dice::Dice;

/// Pairs that are drawn, of which one is taken.
const DRAWN: usize = 48;
/// Steps that are looked back for the other access of a pair. What lies further back is seldom of a
/// call that could still be under way.
const BACK: usize = 400;
/// Steps behind a pair that was forced, in which the next one of a chain is mostly looked for.
const AHEAD: usize = 80;
/// Of one pair in so many, the first task is left behind its half, in the midst of what it does by that.
const LATER: u64 = 2;

/// Of some pairs of steps, each with the earlier one first, that whose other order was least often forced.
pub(super) fn rarest(dice: &mut Dice<'_>, run: &Run<'_>, met: &mut Met) -> Option<(usize, usize)> {
    let steps = &run.steps;
    let all = steps.all;
    if all.is_empty() {
        return None;
    }
    if let Some(turn) = run.turn {
        let (pair, key) = turns::next(dice, run, turn, met)?;
        *met.0.entry(key).or_default() += 1;
        return Some(pair);
    }
    let drawn = (0..DRAWN).filter_map(|_| {
        let then = drawn(dice, run);
        let before = met_before(dice, steps, then)?;
        let left = match dice.one_in(LATER) {
            true => later(dice, all, before, then),
            false => before,
        };
        let first = steps.free_of_locks(left, then);
        let exists = run.exists(all[then].task, first);
        let key = (None, run.half(then)?, run.half(left)?);
        (exists && steps.is_of_next_call(first, then)).then_some(((first, then), key))
    });
    let drawn: Vec<_> = drawn.collect();
    let (pair, key) = drawn.into_iter().min_by_key(|(_, key)| met.count(key))?;
    *met.0.entry(key).or_default() += 1;
    Some(pair)
}

/// The later step of a pair that may be: each call of the run is as likely as another, however long it is, but
/// later ones more often, since what comes first makes what is raced for. In a chain, of what came behind the
/// last pair.
fn drawn(dice: &mut Dice<'_>, run: &Run<'_>) -> usize {
    let (count, begins) = (run.steps.all.len(), &run.steps.begins);
    match run.behind {
        Some(behind) if behind + 1 < count && !dice.one_in(4) => {
            behind + dice.index((count - behind).min(AHEAD))
        }
        _ if begins.is_empty() || dice.one_in(4) => dice.index(count).max(dice.index(count)),
        _ => {
            let calls = begins.len();
            let begin = begins[dice.index(calls).max(dice.index(calls))];
            let inside: Vec<usize> = rest_of_call(run.steps.all, begin).collect();
            match inside.len() {
                0 => begin,
                steps => inside[dice.index(steps)],
            }
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
        What::Access { kind: other, .. } => step.task != task && conflict(kind, other),
        _ => false,
    };
    let from = then.saturating_sub(BACK);
    let near = steps.same_object_before(then).take_while(|&at| at >= from);
    let before = near.filter(|&at| meets(&steps.all[at]));
    // The last ones are of calls that are most likely still there to be left.
    let before: Vec<usize> = before.take(4).collect();
    (!before.is_empty()).then(|| before[dice.index(before.len())])
}

/// Whether the order of two accesses to one object matters.
pub(super) fn conflict(one: Kind, other: Kind) -> bool {
    one.writes() && (other.reads() || other.writes()) || one.reads() && other.writes()
}

/// One of the accesses that the first task makes in the same call behind its half of a pair, and before the
/// other half; if there is none, its half itself.
fn later(dice: &mut Dice<'_>, steps: &[Step], before: usize, then: usize) -> usize {
    let own = rest_of_call(&steps[..then], before);
    let all: Vec<usize> = own
        .filter(|&at| matches!(steps[at].what, What::Access { .. }))
        .collect();
    one_by_site(dice, steps, &all).unwrap_or(before)
}

/// The steps of a task behind one of its steps, to the end of the call.
pub(super) fn rest_of_call(steps: &[Step], from: usize) -> impl Iterator<Item = usize> {
    let task = steps[from].task;
    let own = (from + 1..steps.len()).filter(move |&at| steps[at].task == task);
    own.take_while(|&at| !matches!(steps[at].what, What::End(_)))
}

/// One of these steps: each site is as likely as another, however often it is passed.
pub(super) fn one_by_site(dice: &mut Dice<'_>, steps: &[Step], all: &[usize]) -> Option<usize> {
    let sites: BTreeSet<u32> = all.iter().map(|&at| steps[at].site.number()).collect();
    let site = sites.iter().nth(dice.index(sites.len().max(1)))?;
    let passes = all.iter().filter(|&&at| steps[at].site.number() == *site);
    passes
        .clone()
        .nth(dice.index(passes.count().max(1)))
        .copied()
}
