//! Races about one call: it changes some memory, and others touch just that, or what lies beside it.
//!
//! What a call changes is the range that it names, for a move also where it moves to; of calls that
//! name none, all that was written. Often it is changed back while the others are still at it, so
//! that what they saw first and what they see last agree, and what was in between does not.

use vmadiff_contract::{Call, CallKind, DesignInfo, PAGE_SIZE, Prot, TaskId};

use super::super::dice::Dice;
use super::super::{Profile, fresh, place, switches, weights};
use super::setup::by;
use super::variants::{back, is_repeatable, same_place, to_whole_tables};
use super::{preemption_points, race_start};
use crate::program::shape::{self, Param};
use crate::program::world::{Space, World};
use crate::program::{Policy, Program, Schedule, Step, Switch};

/// Appends a race about one call to a program's setup, after which things are as `there`.
pub(super) fn targeted(
    dice: &mut Dice<'_>,
    program: &mut Program,
    there: &World,
    profile: &Profile,
) {
    let about: Vec<_> = weights::known(profile.calls, |weights| weights.about);
    if about.is_empty() {
        return;
    }
    let threads = program.config.tasks;
    let actor = match dice.one_in(4) {
        true => TaskId(other(dice, 1, threads)),
        false => TaskId(1),
    };
    let kind = dice.weighted(&about);
    let mut step = fresh::step(dice, there, profile.calls, kind, actor);
    step.call = to_whole_tables(dice, step.call);
    if is_repeatable(kind) && dice.one_in(2) {
        let before = fresh::step(dice, there, profile.calls, kind, TaskId(1));
        let call = same_place(&step.call, &before.call);
        program.calls.push(by(TaskId(1), call));
    }
    let anchor = program.calls.len();
    let mut calls = vec![step];
    if dice.one_in(3) {
        let back = back(dice, there.space(actor), &step.call);
        let task = match dice.one_in(4) {
            true => TaskId(other(dice, actor.0, threads)),
            false => actor,
        };
        calls.push(by(task, back));
    }
    let contended = contended(there, &step);
    // What fork and the kernel's own steps change is there already.
    let absent = match kind {
        CallKind::Fork | CallKind::Reclaim | CallKind::NumaScan => false,
        CallKind::Mremap => dice.one_in(2),
        _ => true,
    };
    let space = there.space(actor);
    let one = dice
        .one_in(2)
        .then(|| page(dice, space, &contended, absent));
    let mut victim = None;
    for _ in 0..1 + dice.below(4) {
        let addr = one.unwrap_or_else(|| page(dice, space, &contended, absent));
        let addr = match dice.one_in(8) {
            true => addr + dice.below(PAGE_SIZE),
            false => addr,
        };
        let call = match dice.below(8) {
            0 | 1 => Call::Load { addr },
            _ => Call::Store {
                addr,
                value: 1 + dice.below(255) as u8,
            },
        };
        let task = match victim.is_some() && dice.one_in(6) {
            true => actor,
            false => TaskId(other(dice, actor.0, threads)),
        };
        victim = victim.or(Some(by(task, call)));
        calls.insert(dice.index(calls.len() + 1), by(task, call));
    }
    if dice.one_in(4) {
        let task = TaskId(1 + dice.below(threads.into()) as u8);
        let kind = dice.weighted(&about);
        let more = fresh::step(dice, there, profile.calls, kind, task);
        calls.insert(dice.index(calls.len() + 1), more);
    }
    let victim = victim.unwrap_or(step);
    if dice.one_in(2) {
        calls.push(witness(dice, &step, &victim, threads));
    }
    calls.retain(|step| profile.calls.makes(&step.call));
    if calls.is_empty() {
        return;
    }
    program.calls.append(&mut calls);
    let here = there.space(actor);
    program.schedule = schedule(
        dice,
        profile.design,
        program,
        anchor,
        (&step, &victim),
        here,
    );
}

/// One goes first and is left in the middle for the other, which may be left in its turn, for the
/// first or for a third; or a policy draws.
fn schedule(
    dice: &mut Dice<'_>,
    design: &'static DesignInfo,
    program: &Program,
    anchor: usize,
    (step, victim): (&Step, &Step),
    space: &Space,
) -> Schedule {
    let (first, second) = match dice.one_in(4) {
        true => (step, victim),
        false => (victim, step),
    };
    let start = race_start(program, anchor, first.task);
    let policy = switches::policy(dice);
    if policy != Policy::Preemptions && dice.one_in(2) {
        return Schedule {
            policy,
            seed: dice.word(),
            switches: vec![start],
        };
    }
    let (setup, racing) = program.calls.split_at(anchor);
    let leave = |dice: &mut Dice<'_>, step: &Step, to: TaskId| Switch {
        at: preemption_points::within(dice, design, setup, step, space),
        to,
    };
    let mut list = vec![start, leave(dice, first, second.task)];
    match dice.below(4) {
        0 | 1 => {
            let to = match dice.below(6) {
                0 => TaskId(0),
                1 | 2 => racing[dice.index(racing.len())].task,
                _ => first.task,
            };
            list.push(leave(dice, second, to));
        }
        // The same call is left twice.
        2 => list.push(leave(dice, first, second.task)),
        _ => {}
    }
    for _ in 0..dice.weighted(&[(2, 0), (2, 1), (1, 2)]) {
        let step = &racing[dice.index(racing.len())];
        let to = match dice.below(8) {
            0 => TaskId(0),
            _ => racing[dice.index(racing.len())].task,
        };
        list.push(leave(dice, step, to));
    }
    Schedule {
        policy,
        seed: 0,
        switches: list,
    }
}

/// What a race left behind shows to whoever looks next: another task, or the kernel's search for who maps
/// a page. After a move there are two places to look at.
fn witness(dice: &mut Dice<'_>, step: &Step, victim: &Step, threads: u8) -> Step {
    let [mut addr, ..] = shape::words(&victim.call);
    if let Call::Mremap {
        addr: from,
        old_len,
        new_addr,
        ..
    } = step.call
        && dice.one_in(2)
    {
        let into = addr.wrapping_sub(from);
        addr = new_addr.wrapping_add(if into < old_len { into } else { 0 });
    }
    let task = TaskId(1 + dice.below(threads.into()) as u8);
    let call = match dice.below(8) {
        0..=3 => Call::Reclaim { addr },
        4..=6 => Call::Load { addr },
        _ => Call::Fork,
    };
    by(task, call)
}

/// A thread that is not this one.
fn other(dice: &mut Dice<'_>, task: u8, threads: u8) -> u8 {
    let nth = 1 + dice.below(u64::from(threads.max(2)) - 1) as u8;
    if nth < task { nth } else { nth + 1 }
}

/// The ranges that a call changes.
fn contended(there: &World, step: &Step) -> Vec<(u64, u64)> {
    let mut ranges = Vec::new();
    let words = shape::words(&step.call);
    let params = shape::params(step.call.kind());
    if let (Some(Param::Addr), Some(Param::Len)) = (params.first(), params.get(1)) {
        ranges.push((words[0], words[0].saturating_add(words[1])));
    } else if params.first() == Some(&Param::Addr) {
        ranges.push((words[0], words[0].saturating_add(PAGE_SIZE)));
    }
    if let Call::Mremap { new_len, .. } | Call::Mmap { len: new_len, .. } = step.call
        && let Some(start) = there.placed(step)
    {
        ranges.push((start, start.saturating_add(new_len)));
    }
    if ranges.is_empty() {
        let areas = there.space(step.task).areas.iter();
        let written = areas.filter(|area| area.is_written);
        ranges.extend(written.map(|area| (area.start, area.end)));
    }
    ranges
}

/// A page at stake or of the area around it; mostly one that a store faults on, if it is to be
/// `absent`.
fn page(dice: &mut Dice<'_>, space: &Space, contended: &[(u64, u64)], absent: bool) -> u64 {
    let range = (!contended.is_empty()).then(|| contended[dice.index(contended.len())]);
    let Some((start, end)) = range.filter(|_| !dice.one_in(8)) else {
        return place::access(dice, space, Prot::WRITE);
    };
    let around = space.area_at(start).filter(|_| dice.one_in(3));
    let (start, end) = around.map_or((start, end), |area| (area.start, area.end));
    let missing = space.ready.missing(start, end);
    let count = missing.clone().count();
    if absent && count > 0 && !dice.one_in(6) {
        return missing.clone().nth(dice.index(count)).unwrap_or(start);
    }
    let pages = end.saturating_sub(start).div_ceil(PAGE_SIZE).clamp(1, 8);
    let start = start & !(PAGE_SIZE - 1);
    start.saturating_add(dice.below(pages) * PAGE_SIZE)
}
