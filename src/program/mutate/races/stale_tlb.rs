//! Races about entries that are stale: a call changes a page's entry and flushes the TLBs later, a store of
//! another task copies the page meanwhile, and a third task goes by what its TLB still holds.

use vmadiff_contract::{
    Advice, Aim, Call, CallKind, Config, DesignInfo, MoveFlags, PAGE_SIZE, Prot, TaskId,
};

use super::super::dice::Dice;
use super::super::{Profile, place};
use super::setup::{TABLE, by, map, settle};
use super::{preemption_points, race_start};
use crate::program::{Program, Switch};

/// What changes an entry, and how often.
const ACTORS: &[(u32, CallKind)] = &[
    (4, CallKind::Fork),
    (4, CallKind::Mremap),
    (1, CallKind::Mprotect),
    (1, CallKind::Munmap),
    (1, CallKind::Madvise),
    (1, CallKind::Reclaim),
    (1, CallKind::NumaScan),
];

/// Whether it can be made of these calls.
pub(super) fn known(profile: &Profile) -> bool {
    let actors = ACTORS.iter().map(|&(_, kind)| kind);
    let mut calls = actors.chain([CallKind::Mmap, CallKind::Load, CallKind::Store]);
    calls.all(|kind| profile.calls.knows(kind))
}

/// A program of this kind.
pub(super) fn stale_tlb(dice: &mut Dice<'_>, profile: &Profile) -> Program {
    let mut program = Program {
        config: Config {
            tasks: 3,
            ..Config::default()
        },
        ..Program::default()
    };
    let kind = dice.weighted(ACTORS);
    let whole = kind == CallKind::Mremap && !dice.one_in(4);
    let (start, pages) = match whole {
        true => (TABLE * (1 + dice.below(2)), TABLE / PAGE_SIZE),
        false => (place::page(dice), dice.weighted(&[(3, 1), (1, 2)])),
    };
    let victim = TaskId(2 + dice.below(2) as u8);
    let bystander = TaskId(5 - victim.0);
    // A fork that shares the page is the call itself, or came before.
    let first = match kind {
        CallKind::Fork => bystander,
        _ => TaskId(1),
    };
    setup(dice, &mut program, (start, pages), first);
    let anchor = program.calls.len();
    let (call, there) = actor(dice, kind, start, pages * PAGE_SIZE);
    let mut calls = vec![by(TaskId(1), call)];
    let store = Call::Store {
        addr: start + dice.below(4),
        value: 3,
    };
    calls.insert(dice.index(2), by(victim, store));
    for _ in 0..dice.weighted(&[(2, 1), (1, 2)]) {
        let page = dice.pick(&[start, there, there]);
        let call = touch(dice, page, 4);
        calls.push(by(bystander, call));
    }
    if dice.one_in(2) {
        let call = touch(dice, there, 5);
        calls.push(by(TaskId(1 + dice.below(3) as u8), call));
    }
    program.calls.append(&mut calls);
    program.schedule.switches = switches(
        dice,
        profile.design,
        &program,
        anchor,
        kind,
        (victim, bystander),
    );
    program
}

/// A page that `first` wrote, that all may have in their TLBs, and that may be shared with a child.
fn setup(dice: &mut Dice<'_>, program: &mut Program, (start, pages): (u64, u64), first: TaskId) {
    let mut step = |task, call| program.calls.push(by(task, call));
    step(TaskId(1), map(start, pages, Prot::READ | Prot::WRITE));
    let store = Call::Store {
        addr: start,
        value: 1,
    };
    step(first, store);
    if first == TaskId(1) && !dice.one_in(4) {
        step(TaskId(1), Call::Fork);
    }
    for task in [2, 3] {
        if dice.one_in(4) {
            step(TaskId(task), touch(dice, start, 2));
        }
    }
    settle(program);
}

/// The call that changes the entry, and where the page is afterwards.
fn actor(dice: &mut Dice<'_>, kind: CallKind, addr: u64, len: u64) -> (Call, u64) {
    let there = match len {
        TABLE => TABLE * (4 + dice.below(4)),
        _ => addr + len * (1 + dice.below(4)),
    };
    match kind {
        CallKind::Fork => (Call::Fork, addr),
        CallKind::Mremap => {
            let call = Call::Mremap {
                addr,
                old_len: len,
                new_len: len,
                flags: MoveFlags::MAYMOVE | MoveFlags::FIXED,
                new_addr: there,
            };
            (call, there)
        }
        CallKind::Mprotect => {
            let prot = dice.pick(&[Prot::READ, Prot::empty()]);
            (Call::Mprotect { addr, len, prot }, addr)
        }
        CallKind::Munmap => (Call::Munmap { addr, len }, addr),
        CallKind::Reclaim => (Call::Reclaim { addr }, addr),
        CallKind::NumaScan => (Call::NumaScan { addr, len }, addr),
        _ => {
            let advice = dice.pick(&[Advice::DontNeed, Advice::Free]);
            (Call::Madvise { addr, len, advice }, addr)
        }
    }
}

fn touch(dice: &mut Dice<'_>, page: u64, value: u8) -> Call {
    let addr = page + dice.below(4);
    match dice.one_in(2) {
        true => Call::Load { addr },
        false => Call::Store { addr, value },
    }
}

/// The call is left for the copying store, or the other way round, and whichever is second for the third
/// task.
fn switches(
    dice: &mut Dice<'_>,
    design: &'static DesignInfo,
    program: &Program,
    anchor: usize,
    kind: CallKind,
    (victim, bystander): (TaskId, TaskId),
) -> Vec<Switch> {
    let actor = TaskId(1);
    let (mut acting, mut copying) = (
        preemption_points::preempt_at(dice, design, actor, Aim::Entries(kind), 2, victim),
        preemption_points::preempt_at(dice, design, victim, Aim::Copies, 1, actor),
    );
    match dice.one_in(2) {
        true => {
            copying.to = bystander;
            vec![race_start(program, anchor, actor), acting, copying]
        }
        false => {
            acting.to = bystander;
            vec![race_start(program, anchor, victim), copying, acting]
        }
    }
}
