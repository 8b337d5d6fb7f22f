//! The memory that races are about, and what tasks have done to it before.

use vmadiff_contract::{
    Access, Advice, Call, CallKind, Fail, Fd, FileKind, MapFlags, Mode, PAGE_SIZE, PolicyFlags,
    Prot, TaskId,
};

use super::super::dice::Dice;
use super::super::{Profile, place};
use crate::program::{Program, Step};

/// What a lowest table maps, bytes.
pub(super) const TABLE: u64 = 1 << 21;

/// What tells areas apart, and changes no page.
pub(super) const MARKS: &[Advice] = &[
    Advice::Normal,
    Advice::Random,
    Advice::Sequential,
    Advice::DontDump,
];

const READ: Prot = Prot::READ;
const RW: Prot = Prot::READ.union(Prot::WRITE);

/// What the memory is.
#[derive(Clone, Copy)]
enum Ground {
    /// Areas that were mapped one after another.
    Apart,
    /// One mapping, parts of which differ by flags alone: they have one anon_vma and merge again.
    Parts,
    /// A stack, perhaps with an area right below it.
    Stack,
    /// A file that is mapped twice.
    File,
}

/// One to three neighbouring areas, most of private memory, written, so that faults in them may be
/// speculative; what else tasks have touched is in their caches and TLBs.
pub(super) fn setup(dice: &mut Dice<'_>, program: &mut Program, profile: &Profile) {
    let ground = dice.weighted(&[
        (10, Ground::Apart),
        (3, Ground::Parts),
        (3, Ground::Stack),
        (3, Ground::File),
    ]);
    let knows_files = profile.calls.knows(CallKind::Open);
    match ground {
        Ground::Parts => parts(dice, program),
        Ground::Stack => stack(dice, program),
        Ground::File if knows_files => file(dice, program),
        Ground::Apart | Ground::File => apart(dice, program),
    }
}

fn apart(dice: &mut Dice<'_>, program: &mut Program) {
    let mut start = place::page(dice);
    // What one lowest table maps moves as a whole.
    let whole_tables = dice.one_in(8);
    if whole_tables {
        start = TABLE * (1 + dice.below(2));
    }
    for nth in 0..dice.weighted(&[(3, 1), (3, 2), (1, 3)]) {
        let pages = match whole_tables {
            true => TABLE / PAGE_SIZE,
            false => dice.weighted(&[(2, 1), (3, 2), (3, 4), (1, 8)]),
        };
        let mut mapping = map(start, pages, RW);
        if let Call::Mmap { prot, .. } = &mut mapping
            && dice.one_in(12)
        {
            prot.insert(Prot::EXEC);
        }
        program.calls.push(by(TaskId(1), mapping));
        // One that nobody has touched takes over what its neighbour has, when they become one.
        if nth == 0 || !dice.one_in(4) {
            touched(dice, program, start, pages);
        }
        if nth > 0 && dice.one_in(2) {
            program
                .calls
                .push(by(TaskId(1), protect(start, pages, READ)));
        }
        start += pages * PAGE_SIZE;
        if !whole_tables && dice.one_in(4) {
            // A hole, which a mapping fills.
            start += (1 + dice.below(2)) * PAGE_SIZE;
        }
    }
}

fn parts(dice: &mut Dice<'_>, program: &mut Program) {
    let first = place::page(dice);
    let count = dice.weighted(&[(2, 2), (3, 3)]);
    let lengths: Vec<u64> = (0..count)
        .map(|_| dice.weighted(&[(2, 1), (1, 2)]))
        .collect();
    let pages = lengths.iter().sum();
    let mut step = |call| program.calls.push(by(TaskId(1), call));
    step(map(first, pages, RW));
    step(Call::Store {
        addr: first + dice.below(pages) * PAGE_SIZE,
        value: 1,
    });
    let mut start = first;
    for pages in lengths {
        if dice.one_in(2) {
            step(advise(start, pages, dice.pick(&MARKS[1..])));
        }
        if dice.one_in(3) {
            let prot = dice.pick(&[READ, READ, Prot::empty()]);
            step(protect(start, pages, prot));
        }
        start += pages * PAGE_SIZE;
    }
}

fn stack(dice: &mut Dice<'_>, program: &mut Program) {
    let start = match dice.one_in(2) {
        true => TABLE,
        false => place::page(dice) + 4 * PAGE_SIZE,
    };
    let (pages, below) = (2 + dice.below(2), 1 + dice.below(2));
    program.config.stack_guard_gap = dice.weighted(&[(2, 0), (1, 1), (1, 256)]);
    let mut step = |call| program.calls.push(by(TaskId(1), call));
    if dice.one_in(2) {
        let addr = start - below * PAGE_SIZE;
        step(map(addr, below, RW));
        step(Call::Store { addr, value: 1 });
    }
    let mut mapping = map(start, pages, RW);
    if let Call::Mmap { flags, .. } = &mut mapping {
        flags.insert(MapFlags::GROWSDOWN);
    }
    step(mapping);
    step(Call::Store {
        addr: start + (pages - 1) * PAGE_SIZE,
        value: 1,
    });
    if dice.one_in(3) {
        let call = touch(dice, start);
        program.calls.push(by(TaskId(2), call));
    }
}

/// The same pages of a file at two places, which differ in what stores to them do.
fn file(dice: &mut Dice<'_>, program: &mut Program) {
    let pages = dice.weighted(&[(2, 1), (3, 2), (1, 4)]);
    let mut step = |call| program.calls.push(by(TaskId(1), call));
    step(Call::Open {
        kind: FileKind::Plain,
        access: Access::READ | Access::WRITE,
        size: pages * PAGE_SIZE,
    });
    let mut start = place::page(dice);
    for _ in 0..2 {
        let off = match dice.one_in(4) {
            true => dice.below(pages) * PAGE_SIZE,
            false => 0,
        };
        let mut mapping = map(start, pages, RW);
        if let Call::Mmap {
            flags, fd, off: at, ..
        } = &mut mapping
        {
            *flags = MapFlags::FIXED | dice.pick(&[MapFlags::SHARED, MapFlags::PRIVATE]);
            (*fd, *at) = (FIRST_FD, off);
        }
        program.calls.push(by(TaskId(1), mapping));
        if !dice.one_in(3) {
            touched(dice, program, start, pages);
        }
        start += pages * PAGE_SIZE;
    }
}

/// A child, and now and then a child of that, share what was made so far.
pub(super) fn fork(dice: &mut Dice<'_>, program: &mut Program) {
    let forked = |step: &&Step| step.call == Call::Fork;
    let forks = program.calls.iter().filter(forked).count() as u8;
    program.calls.push(by(TaskId(1), Call::Fork));
    if dice.one_in(3) {
        let child = TaskId(program.config.tasks + forks + 1);
        program.calls.push(by(child, Call::Fork));
    }
}

/// A child that was there before anything was mapped: what it maps, it has alone, and slots that its parent has
/// freed become its areas.
pub(super) fn fork_first(program: &mut Program) {
    let forks = program.calls.iter().any(|step| step.call == Call::Fork);
    // Children are numbered as they come: those of the setup would be others.
    if !forks {
        program.calls.insert(0, by(TaskId(1), Call::Fork));
    }
}

/// What tasks have done to an area before calls race for it.
fn touched(dice: &mut Dice<'_>, program: &mut Program, start: u64, pages: u64) {
    let tasks = program.config.tasks;
    let mut step = |task, call| program.calls.push(by(TaskId(task), call));
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
        // Few, so that calls meet, however large the area is.
        let addr = start + dice.below(pages.min(8)) * PAGE_SIZE;
        step(1 + dice.below(tasks.into()) as u8, touch(dice, addr));
    }
    if dice.one_in(4) {
        step(1, treatment(dice, start, pages * PAGE_SIZE));
    }
}

/// What the first open answers.
pub(super) const FIRST_FD: Fd = Fd(3);

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

pub(super) fn touch(dice: &mut Dice<'_>, addr: u64) -> Call {
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

fn map(addr: u64, pages: u64, prot: Prot) -> Call {
    Call::Mmap {
        addr,
        len: pages * PAGE_SIZE,
        prot,
        flags: MapFlags::PRIVATE | MapFlags::ANONYMOUS | MapFlags::FIXED,
        fd: Fd(-1),
        off: 0,
    }
}

fn protect(addr: u64, pages: u64, prot: Prot) -> Call {
    Call::Mprotect {
        addr,
        len: pages * PAGE_SIZE,
        prot,
    }
}

fn advise(addr: u64, pages: u64, advice: Advice) -> Call {
    Call::Madvise {
        addr,
        len: pages * PAGE_SIZE,
        advice,
    }
}
