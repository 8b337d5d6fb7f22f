//! Races about stacks that grow: a fault below a stack moves its start while others fault in it, change
//! it, or unmap what lies below it.
//!
//! A stack grows under mmap_sem held for reading, so that more meets it than any other change of bounds.

use vmadiff_contract::{
    Advice, Aim, Call, CallKind, Config, DesignInfo, MapFlags, PAGE_SIZE, Prot, TaskId,
};

use super::super::dice::Dice;
use super::super::{Profile, place};
use super::setup::{TABLE, by, map, settle};
use super::{preemption_points, race_start};
use crate::program::world::World;
use crate::program::{Program, Step, Switch};

/// What meets a stack that grows, and how often.
const OTHERS: &[(u32, CallKind)] = &[
    (6, CallKind::Store),
    (2, CallKind::Load),
    (4, CallKind::Munmap),
    (2, CallKind::Mprotect),
    (1, CallKind::Madvise),
    (1, CallKind::Fork),
];

/// A stack, and how much below it another area may have.
#[derive(Clone, Copy)]
struct Stack {
    start: u64,
    pages: u64,
    below: u64,
}

/// Whether it can be made of these calls.
pub(super) fn known(profile: &Profile) -> bool {
    let others = OTHERS.iter().map(|&(_, kind)| kind);
    let mut calls = others.chain([CallKind::Mmap, CallKind::Reclaim]);
    calls.all(|kind| profile.calls.knows(kind))
}

/// A program of this kind.
pub(super) fn growing_stack(dice: &mut Dice<'_>, profile: &Profile) -> Program {
    let mut program = Program {
        config: Config {
            tasks: dice.weighted(&[(3, 2), (1, 3)]),
            stack_guard_gap: dice.weighted(&[(2, 0), (1, 1), (1, 256)]),
            reuse_slots: !dice.one_in(4),
            ..Config::default()
        },
        ..Program::default()
    };
    let stack = setup(dice, &mut program);
    let anchor = program.calls.len();
    let grower = TaskId(1 + dice.below(2) as u8);
    let other = TaskId(3 - grower.0);
    let below = stack.start - (1 + dice.below(2)) * PAGE_SIZE;
    let grow = by(grower, touch(dice, below));
    let met = by(other, meets(dice, stack));
    program.calls.extend([grow, met]);
    if dice.one_in(2) {
        program.calls.swap(anchor, anchor + 1);
    }
    if dice.one_in(3) {
        program.calls.push(by(grower, touch(dice, below)));
    }
    if dice.one_in(2) {
        // The kernel looks for who maps the page.
        let addr = match met.call {
            Call::Store { addr, .. } | Call::Load { addr } => addr,
            _ => below,
        };
        program.calls.push(by(grower, Call::Reclaim { addr }));
    }
    program.schedule.switches = switches(dice, profile.design, &program, anchor, (grower, &met));
    program
}

/// A stack that was stored to, maybe with an area right below it, which may have a page table of its own.
fn setup(dice: &mut Dice<'_>, program: &mut Program) -> Stack {
    let stack = Stack {
        start: match dice.one_in(2) {
            true => TABLE,
            false => place::page(dice) + 4 * PAGE_SIZE,
        },
        pages: 2 + dice.below(2),
        below: 1 + dice.below(2),
    };
    let mut step = |call| program.calls.push(by(TaskId(1), call));
    let rw = Prot::READ | Prot::WRITE;
    if dice.one_in(2) {
        let addr = stack.start - stack.below * PAGE_SIZE;
        step(map(addr, stack.below, rw));
        step(Call::Store { addr, value: 1 });
    }
    let mut mapping = map(stack.start, stack.pages, rw);
    if let Call::Mmap { flags, .. } = &mut mapping {
        flags.insert(MapFlags::GROWSDOWN);
    }
    step(mapping);
    step(Call::Store {
        addr: stack.start + (stack.pages - 1) * PAGE_SIZE,
        value: 1,
    });
    if dice.one_in(3) {
        let call = touch(dice, stack.start);
        program.calls.push(by(TaskId(2), call));
    }
    settle(program);
    stack
}

/// A call that meets the growth: a fault in the stack or below it, or a change of the stack or of what
/// lies below it.
fn meets(dice: &mut Dice<'_>, stack: Stack) -> Call {
    let in_stack = stack.start + dice.below(stack.pages) * PAGE_SIZE;
    let lower = stack.start - stack.below * PAGE_SIZE;
    let (addr, len) = match dice.one_in(2) {
        true => (lower, stack.below * PAGE_SIZE),
        false => (stack.start, PAGE_SIZE),
    };
    match dice.weighted(OTHERS) {
        CallKind::Store => Call::Store {
            addr: match dice.one_in(4) {
                true => lower,
                false => in_stack,
            },
            value: 3,
        },
        CallKind::Load => Call::Load { addr: in_stack },
        CallKind::Munmap => Call::Munmap { addr, len },
        CallKind::Mprotect => Call::Mprotect {
            addr: stack.start,
            len: PAGE_SIZE,
            prot: dice.pick(&[Prot::READ, Prot::empty()]),
        },
        CallKind::Madvise => Call::Madvise {
            addr: stack.start,
            len: PAGE_SIZE,
            advice: Advice::DontNeed,
        },
        _ => Call::Fork,
    }
}

fn touch(dice: &mut Dice<'_>, page: u64) -> Call {
    let addr = page + dice.below(4);
    match dice.one_in(3) {
        true => Call::Load { addr },
        false => Call::Store { addr, value: 2 },
    }
}

/// The growth is left for the other call, or the other way round; now and then the second, too.
fn switches(
    dice: &mut Dice<'_>,
    design: &'static DesignInfo,
    program: &Program,
    anchor: usize,
    (grower, met): (TaskId, &Step),
) -> Vec<Switch> {
    let there = World::after(program, anchor);
    let faults = matches!(met.call, Call::Store { .. } | Call::Load { .. });
    let grows = preemption_points::preempt_at(dice, design, grower, Aim::Grows, 1, met.task);
    let meets = if faults && dice.one_in(2) {
        preemption_points::preempt_at(dice, design, met.task, Aim::Asks, 1, grower)
    } else {
        let setup = &program.calls[..anchor];
        let at = preemption_points::within(dice, design, setup, met, there.space(grower));
        Switch { at, to: grower }
    };
    let (first, second) = match dice.one_in(2) {
        true => ((grower, grows), meets),
        false => ((met.task, meets), grows),
    };
    let mut list = vec![race_start(program, anchor, first.0), first.1];
    if dice.one_in(3) {
        list.push(second);
    }
    list
}
