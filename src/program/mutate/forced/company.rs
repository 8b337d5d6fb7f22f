//! What others do while a task is left: one call to its end or a part of it, then calls of a third task, or
//! more of the same one.
//!
//! ```text
//! A is left; B makes its access; A goes on                     what A had seen is another now
//! A is left; B makes its access and is left before it has acted by that; A goes on
//! A is left; B makes its call, C makes one, callbacks run; A goes on to what several have left
//! A is left; B makes its access; C makes its call; A or B goes on
//! A is left; B makes its access; A makes its call to the end, callbacks or C run; B goes on
//! ```

use vmadiff_contract::TaskId;
use vmadiff_interleave::sim::{Step, What};

use super::pairs::{one_by_site, rest_of_call};
use super::{Run, switch};
use crate::program::mutate::dice::Dice;
use crate::program::sites::EXIT;
use crate::program::{Moment, Switch};

/// Of one pair in so many, what comes behind it is left to the order of the calls.
const OPEN: u64 = 4;
/// Of one of the others in so many, the second task's call goes on to its end, and other calls follow.
const WHOLE: u64 = 3;
/// Of one of the rest in so many, a third task makes its call when the second has made its access.
const NESTED: u64 = 3;
/// Of one access in so many, its task is left later in its call.
const LATER: u64 = 2;
/// Of the times that others wait for a task that has ended its call, one in so many has something else done
/// before they go on.
const MORE: u64 = 2;
/// Calls that are made while the first task is left, at most.
const CALLS: usize = 3;
/// In so many of the last places where others make calls, RCU's callbacks run instead, if they can.
const CALLBACKS: u64 = 2;
/// Who runs them.
const SOFTIRQ: u8 = 0;

/// The switches behind one that leaves a task, before its step `first`, for another one that makes its step
/// `then`.
pub(super) fn behind(dice: &mut Dice<'_>, run: &Run<'_>, first: usize, then: usize) -> Vec<Switch> {
    let steps = run.steps.all;
    let (left, other) = (steps[first].task, steps[then].task);
    if dice.one_in(OPEN) {
        return Vec::new();
    }
    if dice.one_in(WHOLE) {
        return calls(dice, run, first, (left, other));
    }
    let Some(half) = half(dice, steps, then) else {
        return Vec::new();
    };
    let third = match dice.one_in(NESTED) {
        true => third(dice, run, first, &[left, other]),
        false => None,
    };
    let Some((third, end)) = third else {
        return back(dice, run, first, half);
    };
    let to = match dice.one_in(2) {
        true => left,
        false => other,
    };
    vec![switch(steps, half, third), end.switch(to)]
}

/// The second task is left for the first, which goes on; when that has ended its call, callbacks or a third
/// task may run before the second goes on.
fn back(dice: &mut Dice<'_>, run: &Run<'_>, first: usize, half: usize) -> Vec<Switch> {
    let (left, other) = (run.steps.all[first].task, run.steps.all[half].task);
    let mut switches = vec![switch(run.steps.all, half, left)];
    if dice.one_in(MORE)
        && let Some(end) = end_of_call(run.steps.all, first, left)
    {
        let third = match dice.one_in(2) {
            true => None,
            false => third(dice, run, first, &[left, other]),
        };
        let to = third.map_or(SOFTIRQ, |(third, _)| third);
        switches.push(end.switch(to));
    }
    switches
}

/// Where the second task is left in its turn: right behind its access, or later in the same call, so that the
/// first goes on before it has acted by what it saw.
fn half(dice: &mut Dice<'_>, steps: &[Step], then: usize) -> Option<usize> {
    let own = |step: &Step| step.task == steps[then].task && step.passes_site();
    let next = (then + 1..steps.len()).find(|&step| own(&steps[step]));
    if !dice.one_in(LATER) {
        return next;
    }
    let rest: Vec<usize> = rest_of_call(steps, then)
        .filter(|&at| own(&steps[at]))
        .collect();
    one_by_site(dice, steps, &rest).or(next)
}

/// The other task's call goes on to its end, and then other calls are made: its next ones, or those of third
/// tasks.
fn calls(dice: &mut Dice<'_>, run: &Run<'_>, first: usize, (left, other): (u8, u8)) -> Vec<Switch> {
    let mut switches = Vec::new();
    let mut task = other;
    let Some(mut ended) = end_of_call(run.steps.all, first, other) else {
        return switches;
    };
    while switches.len() + 1 < CALLS && dice.one_in(MORE) {
        // Its next call, or a third task's.
        let own = end_of_call(run.steps.all, ended.step + 1, task).filter(|_| dice.one_in(2));
        let own = own.map(|ended| (task, ended));
        let next = own.or_else(|| third(dice, run, first, &[left, task]));
        let Some((next, next_ended)) = next else {
            break;
        };
        switches.push(ended.switch(next));
        (task, ended) = (next, next_ended);
    }
    // Behind callbacks the earliest call goes on, which is that of the task that was left, or of others.
    let to = match dice.one_in(CALLBACKS) {
        true => SOFTIRQ,
        false => left,
    };
    switches.push(ended.switch(to));
    switches
}

/// A task that is there and is none of these, and where its next call has ended.
fn third(dice: &mut Dice<'_>, run: &Run<'_>, first: usize, others: &[u8]) -> Option<(u8, Ended)> {
    let highest = run.steps.all.iter().map(|step| step.task).max()?;
    let mut all = Vec::new();
    for task in 1..=highest {
        if !others.contains(&task)
            && run.exists(task, first)
            && let Some(end) = end_of_call(run.steps.all, first, task)
        {
            all.push((task, end));
        }
    }
    (!all.is_empty()).then(|| all[dice.index(all.len())])
}

/// The end of a call in a run, and where its task arrives then.
#[derive(Clone, Copy)]
struct Ended {
    step: usize,
    at: Moment,
}

impl Ended {
    /// To another task.
    fn switch(self, to: u8) -> Switch {
        Switch {
            at: self.at,
            to: TaskId(to),
        }
    }
}

/// The end of the call that a task is in at a step, or that it makes next.
fn end_of_call(steps: &[Step], from: usize, task: u8) -> Option<Ended> {
    let own = |at: &usize| steps[*at].task == task;
    let ends = |at: &usize| matches!(steps[*at].what, What::End(_));
    let step = (from..steps.len()).filter(own).find(ends)?;
    let mut behind = (step..steps.len()).filter(own);
    let next = behind.find(|&at| steps[at].passes_site());
    // Behind its last call a task arrives where no step is.
    let at = next.map_or(
        Moment::Site {
            task: TaskId(task),
            site: EXIT.number(),
            nth: 1,
        },
        |at| switch(steps, at, task).at,
    );
    Some(Ended { step, at })
}
