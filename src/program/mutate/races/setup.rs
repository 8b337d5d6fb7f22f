//! The memory that races are about, and what tasks have done to it before.

use vmadiff_contract::{
    Access, Call, CallKind, Fail, Fd, FileKind, MapFlags, Mode, PAGE_SIZE, PolicyFlags, Prot,
    TaskId,
};

use super::super::dice::Dice;
use super::super::{Profile, place};
use crate::program::{Program, Step};

/// What a lowest table maps, bytes.
pub(super) const TABLE: u64 = 1 << 21;

/// One setup in so many has a file, which some of its areas map.
const WITH_FILE: u64 = 6;

/// One to three neighbouring areas, most of private memory, written, so that faults in them may be
/// speculative; what else tasks have touched is in their caches and TLBs.
pub(super) fn setup(dice: &mut Dice<'_>, program: &mut Program, profile: &Profile) {
    let with_file = dice.one_in(WITH_FILE) && profile.calls.knows(CallKind::Open);
    let mut step = |task, call| program.calls.push(by(TaskId(task), call));
    let (read, write) = (Prot::READ, Prot::READ | Prot::WRITE);
    let mut start = place::page(dice);
    let tasks = program.config.tasks;
    // What one lowest table maps moves as a whole.
    let whole_tables = dice.one_in(8);
    if whole_tables {
        start = TABLE * (1 + dice.below(2));
    }
    if with_file && !whole_tables {
        step(1, open());
    }
    for nth in 0..dice.weighted(&[(3, 1), (3, 2), (1, 3)]) {
        let pages = match whole_tables {
            true => TABLE / PAGE_SIZE,
            false => dice.weighted(&[(2, 1), (3, 2), (3, 4), (1, 8)]),
        };
        let prot = if nth > 0 && dice.one_in(2) {
            read
        } else {
            write
        };
        let mapped = map(start, pages, write);
        let of_file = with_file && !whole_tables && dice.one_in(2);
        step(
            1,
            match of_file {
                true => of_first_file(dice, mapped),
                false => mapped,
            },
        );
        step(
            1,
            Call::Store {
                addr: start,
                value: 1,
            },
        );
        if dice.one_in(3) {
            // Every task has it in its TLB.
            for task in 2..=tasks {
                step(task, touch(dice, start));
            }
        }
        for _ in 0..dice.below(3) {
            let addr = start + dice.below(pages) * PAGE_SIZE;
            step(1 + dice.below(tasks.into()) as u8, touch(dice, addr));
        }
        if dice.one_in(4) {
            step(1, treatment(dice, start, pages * PAGE_SIZE));
        }
        if prot == read {
            let len = pages * PAGE_SIZE;
            step(
                1,
                Call::Mprotect {
                    addr: start,
                    len,
                    prot,
                },
            );
        }
        start += pages * PAGE_SIZE;
    }
}

/// A file as long as the longest area of it.
fn open() -> Call {
    Call::Open {
        kind: FileKind::Plain,
        access: Access::READ | Access::WRITE,
        size: 8 * PAGE_SIZE,
    }
}

/// The mapping, of the only file instead of anonymous memory.
fn of_first_file(dice: &mut Dice<'_>, mapping: Call) -> Call {
    match mapping {
        Call::Mmap {
            addr,
            len,
            prot,
            off,
            ..
        } => Call::Mmap {
            addr,
            len,
            prot,
            flags: MapFlags::FIXED | dice.pick(&[MapFlags::SHARED, MapFlags::PRIVATE]),
            fd: FIRST_FD,
            off,
        },
        other => other,
    }
}

/// What the first open answers.
const FIRST_FD: Fd = Fd(3);

/// A step by a task whose allocations do not fail.
pub(super) fn by(task: TaskId, call: Call) -> Step {
    Step {
        task,
        call,
        fail: Fail::NONE,
    }
}

/// Has the first task make the last call of the setup: the race starts with its next one, and whatever
/// others have to do before must be done by then.
pub(super) fn settle(program: &mut Program) {
    let first = TaskId(1);
    let mapped = program.calls.iter().rev().find_map(|step| match step.call {
        Call::Mmap { addr, .. } => Some(addr),
        _ => None,
    });
    if let Some(addr) = mapped
        && program.calls.last().is_some_and(|step| step.task != first)
    {
        program.calls.push(by(first, Call::Load { addr }));
    }
}

fn touch(dice: &mut Dice<'_>, addr: u64) -> Call {
    match dice.one_in(2) {
        true => Call::Load { addr },
        false => Call::Store { addr, value: 2 },
    }
}

/// What else may have happened to memory before calls race for it: it has a policy, is locked,
/// swapped out, or shared with a child.
fn treatment(dice: &mut Dice<'_>, addr: u64, len: u64) -> Call {
    match dice.below(6) {
        0 | 1 => Call::Mbind {
            addr,
            len,
            mode: dice.pick(&[Mode::Bind, Mode::Preferred]),
            nodes: 1,
            flags: PolicyFlags::empty(),
        },
        2 | 3 => Call::Fork,
        4 => Call::Reclaim { addr },
        _ => Call::Mlock { addr, len },
    }
}

pub(super) fn map(addr: u64, pages: u64, prot: Prot) -> Call {
    Call::Mmap {
        addr,
        len: pages * PAGE_SIZE,
        prot,
        flags: MapFlags::PRIVATE | MapFlags::ANONYMOUS | MapFlags::FIXED,
        fd: Fd(-1),
        off: 0,
    }
}
