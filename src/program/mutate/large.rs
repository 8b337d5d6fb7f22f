//! Large races: the calls of several small ones, by more tasks, so that many are under way at once, one
//! is met by what another has left, and limits, failures and forks come together.

use vmadiff_contract::{Call, Fail, MAX_TASKS, TaskId};

use super::dice::Dice;
use super::generate::{limit, small};
use super::{Profile, switches};
use crate::program::bytes::MAX_STEPS;
use crate::program::{Program, Step};

/// One call in so many is made a fork.
const FORK: u64 = 24;

/// Of one call in so many an allocation fails.
const FAIL: u64 = 16;

/// One call in so many is made by a child, if there is one by then.
const CHILD: u64 = 6;

/// A program of this kind.
pub(super) fn race(dice: &mut Dice<'_>, profile: &Profile) -> Program {
    let mut program = small(dice, profile);
    let calls = 24 + dice.index(MAX_STEPS - 23);
    // Small ones may have no calls at all, if managers know too few.
    for _ in 0..MAX_STEPS {
        if program.calls.len() >= calls {
            break;
        }
        program.calls.append(&mut small(dice, profile).calls);
    }
    program.calls.truncate(calls);
    program.config.tasks = 3 + dice.below(6) as u8;
    for _ in 0..dice.below(3) {
        limit(dice, &mut program.config);
    }
    let mut tasks = program.config.tasks;
    for step in program.calls.iter_mut().filter(|step| step.task.0 > 0) {
        change(dice, step, program.config.tasks, tasks);
        tasks += u8::from(step.call == Call::Fork && tasks < MAX_TASKS);
    }
    let known = |step: &Step| profile.calls.makes(&step.call);
    program.calls.retain(known);
    program.schedule = switches::schedule(dice, profile, &program);
    program
}

/// Gives a call to another task, or makes it one of those that come together more often here.
fn change(dice: &mut Dice<'_>, step: &mut Step, threads: u8, tasks: u8) {
    let child = tasks > threads && dice.one_in(CHILD);
    step.task = TaskId(if child {
        threads + 1 + dice.below(u64::from(tasks - threads)) as u8
    } else {
        1 + dice.below(threads.into()) as u8
    });
    if dice.one_in(FORK) {
        step.call = Call::Fork;
    }
    if dice.one_in(FAIL) {
        step.fail = Fail(1 + dice.below(4) as u8);
    }
}
