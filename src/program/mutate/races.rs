//! Fresh programs for races: a little memory that every task has touched, then calls of all tasks
//! aimed at it, woven from the moment at which it is there.

use vmadiff_contract::{
    Call, CallKind, Config, DesignInfo, Fail, Fd, MapFlags, Mode, PAGE_SIZE, PolicyFlags, Prot,
    TaskId,
};
use vmadiff_interleave::Site;

use super::dice::Dice;
use super::{Profile, duels, fresh, handovers, place, stale, switches, undone, ways};
use crate::program::sites::BEGIN;
use crate::program::world::{Space, World};
use crate::program::{Moment, Policy, Program, Schedule, Step, Switch};

/// Where a task stands between two calls.
static BETWEEN_CALLS: Site = BEGIN;

/// How often a call races, of those that the managers know: half of all accesses, since most of
/// what can go wrong does so under a fault.
const WEIGHTS: &[(u32, CallKind)] = &[
    (20, CallKind::Load),
    (28, CallKind::Store),
    (1, CallKind::Exec),
    (12, CallKind::Munmap),
    (12, CallKind::Mprotect),
    (8, CallKind::Mmap),
    (8, CallKind::Madvise),
    (5, CallKind::Fork),
    (4, CallKind::Mremap),
    (3, CallKind::Mbind),
    (2, CallKind::Mlock),
    (2, CallKind::Reclaim),
    (1, CallKind::Munlock),
    (1, CallKind::Brk),
    (1, CallKind::Exit),
    (1, CallKind::Ftruncate),
    (1, CallKind::UffdRegister),
    (1, CallKind::Collapse),
    (1, CallKind::NumaScan),
    (1, CallKind::Softirq),
];

/// One race in so many is about pages that change hands.
const HANDOVERS: u64 = 12;

/// One in so many is about entries that are stale.
const STALE: u64 = 8;

/// One in so many is about calls that fail half way.
const UNDONE: u64 = 24;

/// What a lowest table maps, bytes.
pub(super) const TABLE: u64 = 1 << 21;

/// A program of this kind.
pub(super) fn race(dice: &mut Dice<'_>, profile: &Profile) -> Program {
    if dice.one_in(HANDOVERS) && handovers::known(profile) {
        return handovers::handover(dice, profile);
    }
    if dice.one_in(STALE) && stale::known(profile) {
        return stale::stale(dice, profile);
    }
    if dice.one_in(UNDONE) && undone::known(profile) {
        return undone::undone(dice, profile);
    }
    let mut program = Program {
        config: Config {
            tasks: dice.weighted(&[(1, 2), (1, 3)]),
            reuse_slots: !dice.one_in(4),
            ..Config::default()
        },
        ..Program::default()
    };
    ground(dice, &mut program);
    settle(&mut program);
    let known = |step: &Step| profile.calls.knows(step.call.kind());
    program.calls.retain(known);
    let anchor = program.calls.len();
    let there = World::after(&program, anchor);
    if !dice.one_in(4) {
        duels::duel(dice, &mut program, &there, profile);
        return program;
    }
    let mut world = there.clone();
    let weights = taste(dice, profile);
    let tasks = program.config.tasks;
    for nth in 0..3 + dice.below(5) {
        let task = task(dice, &world, tasks, nth);
        let kind = dice.weighted(&weights);
        // What another task has taken away meanwhile is the very thing to aim at.
        let seen = if dice.one_in(4) { &world } else { &there };
        let step = fresh::step(dice, seen, profile.calls, kind, task);
        world.apply(&step);
        program.calls.push(step);
    }
    program.schedule = schedule(dice, profile, &program, anchor, there.space(TaskId(1)));
    program
}

/// One to three neighbouring areas of private memory, written, so that faults in them may be
/// speculative; what else tasks have touched is in their caches and TLBs.
fn ground(dice: &mut Dice<'_>, program: &mut Program) {
    let mut step = |task, call| program.calls.push(by(TaskId(task), call));
    let (read, write) = (Prot::READ, Prot::READ | Prot::WRITE);
    let mut start = place::page(dice);
    let tasks = program.config.tasks;
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
        let prot = if nth > 0 && dice.one_in(2) {
            read
        } else {
            write
        };
        step(1, map(start, pages, write));
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

/// A step by a task whose allocations do not fail.
pub(super) fn by(task: TaskId, call: Call) -> Step {
    Step {
        task,
        call,
        fail: Fail::NONE,
    }
}

/// Has the first task make the last call of the ground: the race starts with its next one, and whatever
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

/// Some calls are switched off and others more frequent, as in every fresh program; half of them
/// make only the calls that change areas most.
fn taste(dice: &mut Dice<'_>, profile: &Profile) -> Vec<(u32, CallKind)> {
    let few = dice.one_in(2);
    let known = WEIGHTS
        .iter()
        .filter(|(_, kind)| profile.calls.knows(*kind));
    let weigh = |&(weight, kind): &(u32, CallKind)| match kind {
        CallKind::Load | CallKind::Store => (weight, kind),
        _ if few && weight < 8 => (0, kind),
        _ => (weight * dice.weighted(&[(2, 0), (3, 1), (2, 4)]), kind),
    };
    known.map(weigh).collect()
}

/// The first calls are of different threads; later ones of any task, now and then of a child.
fn task(dice: &mut Dice<'_>, world: &World, threads: u8, nth: u64) -> TaskId {
    if nth < u64::from(threads) {
        return TaskId(nth as u8 + 1);
    }
    if dice.one_in(6) {
        return fresh::task(dice, world);
    }
    TaskId(1 + dice.below(threads.into()) as u8)
}

/// The race begins where the first task begins its first call behind the ground: preemptions are
/// counted from there, and a drawing policy draws from there on.
pub(super) fn start(program: &Program, anchor: usize, to: TaskId) -> Switch {
    let first = TaskId(1);
    let calls = program.calls[..anchor].iter();
    let before = calls.filter(|step| step.task == first).count() as u32;
    Switch {
        at: Moment::Site {
            task: first,
            site: BETWEEN_CALLS.number(),
            nth: before + 1,
        },
        to,
    }
}

fn schedule(
    dice: &mut Dice<'_>,
    profile: &Profile,
    program: &Program,
    anchor: usize,
    space: &Space,
) -> Schedule {
    let racing = racing(program, anchor);
    let start = start(program, anchor, switches::task(dice, &racing, 1));
    let policy = switches::policy(dice);
    let count = match policy {
        Policy::Preemptions => 1 + dice.below(4),
        _ => 0,
    };
    let mut list = vec![start];
    for _ in 0..count {
        let switch = if dice.one_in(3) {
            switches::switch(dice, profile.design, &racing)
        } else {
            under_call(dice, profile.design, program, anchor, space)
        };
        list.push(switch);
    }
    Schedule {
        policy,
        seed: match policy {
            Policy::Preemptions => 0,
            _ => dice.word(),
        },
        switches: list,
    }
}

/// A switch away from a task in the middle of one of its calls, mostly to another that races.
fn under_call(
    dice: &mut Dice<'_>,
    design: &'static DesignInfo,
    program: &Program,
    anchor: usize,
    space: &Space,
) -> Switch {
    let (ground, racing) = program.calls.split_at(anchor);
    let step = &racing[dice.index(racing.len())];
    let others = racing.iter().map(|step| step.task);
    let others: Vec<TaskId> = others.filter(|other| *other != step.task).collect();
    let to = match others.len() {
        _ if dice.one_in(8) => TaskId(0),
        0 => step.task,
        count => others[dice.index(count)],
    };
    Switch {
        at: ways::within(dice, design, ground, step, space),
        to,
    }
}

/// The calls that race, for choosing among those who make them.
fn racing(program: &Program, anchor: usize) -> Program {
    Program {
        calls: program.calls[anchor..].to_vec(),
        ..Program::default()
    }
}
