//! Races about pages that change hands: one area is cut, and what was cut off is merged into the next one.
//! A lookup in between finds the neighbour, which is the wrong area then and the right one soon after.

use vmadiff_contract::{Advice, Aim, Call, CallKind, Config, DesignInfo, PAGE_SIZE, Prot, TaskId};

use super::super::dice::Dice;
use super::super::{Profile, place};
use super::setup::{by, map};
use super::{preemption_points, race_start};
use crate::program::{Program, Switch};

/// What tells areas apart, and changes no page.
const MARKS: &[Advice] = &[
    Advice::Normal,
    Advice::Random,
    Advice::Sequential,
    Advice::DontDump,
];

/// Where a range starts, and its length, in bytes.
#[derive(Clone, Copy)]
struct Range {
    start: u64,
    len: u64,
}

/// The giver's other part, what it gives, and who takes it.
struct Areas {
    kept: Range,
    given: Range,
    taker: Range,
}

/// Whether it can be made of these calls.
pub(super) fn known(profile: &Profile) -> bool {
    profile.knows_all(&[
        CallKind::Mmap,
        CallKind::Load,
        CallKind::Store,
        CallKind::Madvise,
        CallKind::Mprotect,
        CallKind::Reclaim,
    ])
}

/// A program of this kind.
pub(super) fn moved_pages(dice: &mut Dice<'_>, profile: &Profile) -> Program {
    let mut program = Program {
        config: Config {
            tasks: dice.weighted(&[(3, 2), (1, 3)]),
            reuse_slots: !dice.one_in(4),
            ..Config::default()
        },
        ..Program::default()
    };
    let areas = areas(dice);
    let mark = dice.pick(&MARKS[1..]);
    setup(dice, &mut program, &areas, mark);
    let anchor = program.calls.len();
    give(dice, &mut program, &areas, mark);
    if dice.one_in(4) {
        program.calls.swap(anchor, anchor + 1);
    }
    let late = dice.one_in(3);
    let range = match late && dice.one_in(2) {
        true => areas.kept,
        false => areas.given,
    };
    let threads = u64::from(program.config.tasks);
    for _ in 0..dice.weighted(&[(3, 1), (1, 2)]) {
        let addr = page(dice, range);
        let call = match dice.one_in(4) {
            true => Call::Load { addr },
            false => Call::Store { addr, value: 5 },
        };
        let task = TaskId(2 + dice.below(threads - 1) as u8);
        program.calls.push(by(task, call));
    }
    program.schedule.switches = switches(dice, profile.design, &program, anchor, late);
    if late {
        // The kernel looks for who maps the page.
        let addr = page(dice, range);
        program.calls.push(by(TaskId(1), Call::Reclaim { addr }));
    }
    program
}

/// The calls by which pages change hands.
fn give(dice: &mut Dice<'_>, program: &mut Program, areas: &Areas, mark: Advice) {
    let mut step = |call| program.calls.push(by(TaskId(1), call));
    let first = match dice.one_in(3) {
        true => areas.kept,
        false => areas.given,
    };
    step(advise(first, dice.pick(MARKS)));
    step(Call::Mprotect {
        addr: areas.taker.start,
        len: areas.taker.len,
        prot: Prot::READ | Prot::WRITE,
    });
    step(advise(areas.given, mark));
}

fn page(dice: &mut Dice<'_>, range: Range) -> u64 {
    range.start + dice.below(range.len / PAGE_SIZE) * PAGE_SIZE
}

fn areas(dice: &mut Dice<'_>) -> Areas {
    let mut start = place::page(dice);
    let mut next = |pages: u64| {
        let len = pages * PAGE_SIZE;
        start += len;
        Range {
            start: start - len,
            len,
        }
    };
    let mut pages = || dice.weighted(&[(2, 1), (1, 2)]);
    let one = next(pages());
    let given = next(pages());
    let other = next(pages());
    let (kept, taker) = match dice.one_in(4) {
        true => (other, one),
        false => (one, other),
    };
    Areas { kept, given, taker }
}

/// Two areas with one anon_vma, so that nothing but their flags keeps them apart.
fn setup(dice: &mut Dice<'_>, program: &mut Program, areas: &Areas, mark: Advice) {
    let Areas { kept, given, taker } = *areas;
    let mut step = |call| program.calls.push(by(TaskId(1), call));
    let start = kept.start.min(taker.start);
    let pages = (kept.len + given.len + taker.len) / PAGE_SIZE;
    step(map(start, pages, Prot::READ | Prot::WRITE));
    step(Call::Store {
        addr: start + dice.below(pages) * PAGE_SIZE,
        value: 1,
    });
    step(advise(taker, mark));
    if !dice.one_in(6) {
        step(Call::Mprotect {
            addr: taker.start,
            len: taker.len,
            prot: dice.pick(&[Prot::READ, Prot::READ, Prot::empty()]),
        });
    }
}

/// The cut is left for a fault, which is left in its turn after its lookup: for all that is to come, or
/// till the next call, and then once more. Or the fault comes first, and is left `late`.
fn switches(
    dice: &mut Dice<'_>,
    design: &'static DesignInfo,
    program: &Program,
    anchor: usize,
    late: bool,
) -> Vec<Switch> {
    let giver = TaskId(1);
    let victim = program.calls.last().map_or(giver, |step| step.task);
    if late {
        return vec![
            race_start(program, anchor, victim),
            preemption_points::preempt_at(dice, design, victim, Aim::Late, 1, giver),
        ];
    }
    let mut list = vec![
        race_start(program, anchor, giver),
        preemption_points::preempt_at(dice, design, giver, Aim::Cut, 6, victim),
        preemption_points::preempt_at(dice, design, victim, Aim::Asks, 1, giver),
    ];
    if !dice.one_in(3) {
        let call = anchor + 1 + dice.weighted(&[(3, 0), (1, 1)]);
        list.push(race_start(program, call, victim));
        list.push(preemption_points::preempt_at(
            dice,
            design,
            victim,
            Aim::Asks,
            1,
            giver,
        ));
    }
    list
}

fn advise(range: Range, advice: Advice) -> Call {
    Call::Madvise {
        addr: range.start,
        len: range.len,
        advice,
    }
}
