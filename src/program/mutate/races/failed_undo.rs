//! Races about calls that fail half way: an area that no store has touched yet grows over one that has its
//! anon_vma, takes that over, and for want of memory gives it back while others look.

use vmadiff_contract::{Aim, Call, CallKind, Config, Fail, PAGE_SIZE, Prot, TaskId};

use super::super::dice::Dice;
use super::super::{Profile, place};
use super::setup::{by, map};
use super::{preemption_points, race_start};
use crate::program::{Program, Step};

/// Who ends grace periods.
const KERNEL: TaskId = TaskId(0);

/// Whether it can be made of these calls.
pub(super) fn known(profile: &Profile) -> bool {
    profile.knows_all(&[
        CallKind::Mmap,
        CallKind::Store,
        CallKind::Mprotect,
        CallKind::Munmap,
    ])
}

/// A program of this kind.
pub(super) fn failed_undo(dice: &mut Dice<'_>, profile: &Profile) -> Program {
    let mut program = Program {
        config: Config {
            tasks: 2,
            ..Config::default()
        },
        ..Program::default()
    };
    let (actor, victim) = (TaskId(1), TaskId(2));
    let rw = Prot::READ | Prot::WRITE;
    let start = place::page(dice);
    let (pages, over) = (1 + dice.below(2), 1 + dice.below(2));
    let middle = start + pages * PAGE_SIZE;
    let mut step = |call| program.calls.push(by(actor, call));
    // What it grows over lies behind a hole that is mapped, or cannot be written and is made writable.
    let hole = !dice.one_in(3);
    let written = if hole {
        middle + over * PAGE_SIZE
    } else {
        middle
    };
    step(map(start, pages, rw));
    step(map(written, over, rw));
    if !hole {
        step(protect(start, pages, Prot::READ));
    }
    step(Call::Store {
        addr: written,
        value: 1,
    });
    let call = match hole {
        true => map(middle, over, rw),
        false => {
            step(protect(written, over, Prot::READ));
            step(protect(start, pages, rw));
            protect(written, over, rw)
        }
    };
    let anchor = program.calls.len();
    let fail = Fail(dice.weighted(&[(3, 1), (1, 2)]));
    program.calls.push(Step {
        fail,
        ..by(actor, call)
    });
    for _ in 0..1 + dice.below(2) {
        let addr = start + dice.below(pages) * PAGE_SIZE;
        program
            .calls
            .push(by(victim, Call::Store { addr, value: 3 }));
    }
    if !dice.one_in(4) {
        // The neighbour goes.
        let addr = dice.pick(&[middle, written]);
        let len = over * PAGE_SIZE;
        program.calls.push(by(actor, Call::Munmap { addr, len }));
    }
    let design = profile.design;
    program.schedule.switches = vec![
        race_start(&program, anchor, actor),
        preemption_points::preempt_at(dice, design, actor, Aim::Undoes, 1, victim),
        preemption_points::preempt_at(dice, design, victim, Aim::AsksAnon, 1, actor),
        race_start(&program, anchor + 1, victim),
        preemption_points::preempt_at(dice, design, victim, Aim::FindsAnon, 1, actor),
        preemption_points::preempt_at(dice, design, actor, Aim::Removed, 2, KERNEL),
    ];
    program
}

fn protect(addr: u64, pages: u64, prot: Prot) -> Call {
    Call::Mprotect {
        addr,
        len: pages * PAGE_SIZE,
        prot,
    }
}
