//! Those who meet a call that a race is about: other threads, children, and whoever looks at what is left.

use vmadiff_contract::{Call, TaskId};

use super::super::dice::Dice;
use super::setup::by;
use super::variants::{back, moved};
use crate::program::Step;
use crate::program::shape;
use crate::program::world::World;

/// One access of others in so many is a child's.
const CHILD: u64 = 3;

/// What a race left behind shows to whoever looks next: another task, or the kernel's search for who maps
/// a page. After a move there are two places to look at.
pub(super) fn witness(dice: &mut Dice<'_>, step: &Step, victim: &Step, threads: u8) -> Step {
    let [addr, ..] = shape::words(&victim.call);
    let addr = moved(&step.call, addr)
        .filter(|_| dice.one_in(2))
        .unwrap_or(addr);
    let task = TaskId(1 + dice.below(threads.into()) as u8);
    let call = match dice.below(8) {
        0..=3 => Call::Reclaim { addr },
        4..=6 => Call::Load { addr },
        _ => Call::Fork,
    };
    by(task, call)
}

/// What one address space lets go, another takes, and may let go in its turn and leave: objects that are
/// used again are another's then.
pub(super) fn elsewhere(dice: &mut Dice<'_>, there: &World, step: &Step, calls: &mut Vec<Step>) {
    let apart = || there.live().filter(|&task| !there.shares(task, step.task));
    let Some(task) = apart().nth(dice.index(apart().count().max(1))) else {
        return;
    };
    let space = there.space(task);
    let mut call = step.call;
    for nth in 0..dice.weighted(&[(2, 1), (2, 2), (1, 3)]) {
        call = match nth {
            0 if dice.one_in(4) => call,
            2 if dice.one_in(2) => Call::Exit,
            _ => back(dice, space, &call),
        };
        calls.push(by(task, call));
    }
}

/// A task that is not this one: a thread mostly, or a child.
pub(super) fn other(dice: &mut Dice<'_>, there: &World, task: TaskId) -> TaskId {
    let others = || there.live().filter(|&other| other != task);
    let threads = others()
        .filter(|&other| there.shares(other, TaskId(1)))
        .count();
    let count = match dice.one_in(CHILD) {
        true => others().count(),
        false => threads,
    };
    // Children come behind threads.
    others().nth(dice.index(count.max(1))).unwrap_or(task)
}
