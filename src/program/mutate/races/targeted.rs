//! Races about one call: it changes some memory, and others touch just that, or what lies beside it.
//!
//! What a call changes is the range that it names, for a move also where it moves to; of calls about a
//! file, what maps it; of others that name none, all that was written. Often it is changed back while the
//! others are still at it, so that what they saw first and what they see last agree, and what was in between
//! does not; or what lies beside it is changed, too, so that areas are cut and become one again. The others
//! are threads, and children, which have the same pages.

use vmadiff_contract::{Call, CallKind, DesignInfo, Fail, PAGE_SIZE, Prot, TaskId};

use super::super::dice::Dice;
use super::super::{Profile, fresh, place, switches, weights};
use super::others::{elsewhere, other, witness};
use super::setup::by;
use super::variants::{
    about, back, is_repeatable, likened, moved, same_place, to_whole_tables, whole_run,
    whole_tables,
};
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
    let kinds = kinds(there, profile);
    if kinds.is_empty() {
        return;
    }
    let threads = program.config.tasks;
    let actor = match dice.one_in(4) {
        true => other(dice, there, TaskId(1)),
        false => TaskId(1),
    };
    let step = act(dice, there, profile, &kinds, actor);
    let kind = step.call.kind();
    if is_repeatable(kind) && dice.one_in(2) {
        let before = fresh::step(dice, there, profile.calls, kind, TaskId(1));
        let call = same_place(&step.call, &before.call);
        program.calls.push(by(TaskId(1), call));
    }
    let anchor = program.calls.len();
    let mut calls = vec![step];
    if dice.one_in(3) {
        let back = back(dice, there.space(actor), &step.call);
        let task = match dice.one_in(2) {
            true => other(dice, there, actor),
            false => actor,
        };
        calls.push(by(task, back));
    }
    if dice.one_in(3) {
        elsewhere(dice, there, &step, &mut calls);
    }
    let contended = contended(there, &step);
    for _ in 0..dice.weighted(&[(4, 0), (2, 1), (1, 2)]) {
        calls.push(beside(dice, there, profile, &kinds, (actor, &contended)));
    }
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
        let addr = moved(&step.call, addr)
            .filter(|_| dice.one_in(2))
            .unwrap_or(addr);
        let addr = match dice.one_in(8) {
            true => addr + dice.below(PAGE_SIZE),
            false => addr,
        };
        let call = access(dice, space, addr);
        let task = match victim.is_some() && dice.one_in(6) {
            true => actor,
            false => other(dice, there, actor),
        };
        victim = victim.or(Some(by(task, call)));
        calls.insert(dice.index(calls.len() + 1), by(task, call));
    }
    if dice.one_in(4) {
        let task = match dice.one_in(2) {
            true => other(dice, there, actor),
            false => actor,
        };
        let more = beside(dice, there, profile, &kinds, (task, &contended));
        calls.insert(dice.index(calls.len() + 1), more);
    }
    let victim = victim.unwrap_or(step);
    if !dice.one_in(3) {
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

/// How many times more often a call is made where there is what it is for.
const WORTH: u32 = 8;

/// One call in so many, of those that races are about, lacks memory half way.
const FAILS: u64 = 6;

/// One call in so many, of those that races are about, is about all areas that lie side by side.
const WIDE: u64 = 6;

/// The calls that the race may be about, as often as they are worth it: where a file is open, those that
/// change files more often; where a move takes whole page tables along, moves.
fn kinds(there: &World, profile: &Profile) -> Vec<(u32, CallKind)> {
    let mut known = weights::known(profile.calls, |weights| weights.about);
    let space = there.space(TaskId(1));
    let (files, tables) = (!space.files.is_empty(), whole_tables(space).is_some());
    for (weight, kind) in &mut known {
        let of_files = shape::params(*kind).first() == Some(&Param::Fd) || *kind == CallKind::Evict;
        if files && of_files || tables && *kind == CallKind::Mremap {
            *weight *= WORTH;
        }
    }
    known
}

/// The call that the race is about: one that changes memory, or an access that makes a stack grow.
fn act(
    dice: &mut Dice<'_>,
    there: &World,
    profile: &Profile,
    kinds: &[(u32, CallKind)],
    actor: TaskId,
) -> Step {
    let space = there.space(actor);
    if let Some(stack) = space.areas.iter().find(|area| area.grows_down)
        && dice.one_in(2)
    {
        let below = (1 + dice.below(2)) * PAGE_SIZE;
        let call = access(dice, space, stack.start.saturating_sub(below));
        return by(actor, call);
    }
    let kind = dice.weighted(kinds);
    let mut step = fresh::step(dice, there, profile.calls, kind, actor);
    step.call = to_whole_tables(dice, space, step.call);
    step.call = likened(dice, space, step.call);
    if dice.one_in(WIDE) {
        let run = whole_run(space, shape::words(&step.call)[0]);
        step.call = run.map_or(step.call, |run| about(&step.call, run));
    }
    if dice.one_in(FAILS) {
        step.fail = Fail(1 + dice.below(2) as u8);
    }
    step
}

/// Another call about what is contended: the same range, its area, or the areas beside that.
fn beside(
    dice: &mut Dice<'_>,
    there: &World,
    profile: &Profile,
    kinds: &[(u32, CallKind)],
    (task, contended): (TaskId, &[(u64, u64)]),
) -> Step {
    let kind = dice.weighted(kinds);
    let mut step = fresh::step(dice, there, profile.calls, kind, task);
    if contended.is_empty() || dice.one_in(6) {
        return step;
    }
    let space = there.space(task);
    let (start, end) = contended[dice.index(contended.len())];
    let area = match dice.below(4) {
        0 => space.area_at(start),
        1 => space.area_at(start.wrapping_sub(1)),
        2 => space.area_at(end),
        _ => None,
    };
    let range = area.map_or((start, end), |area| (area.start, area.end));
    step.call = about(&step.call, range);
    step.call = likened(dice, space, step.call);
    step
}

/// An access to this address: a store mostly; where it may be, a fetch now and then.
fn access(dice: &mut Dice<'_>, space: &Space, addr: u64) -> Call {
    let area = space.area_at(addr);
    let executable = area.is_some_and(|area| area.prot.contains(Prot::EXEC));
    match dice.below(8) {
        _ if executable && dice.one_in(2) => Call::Exec { addr },
        0 | 1 => Call::Load { addr },
        _ => Call::Store {
            addr,
            value: 1 + dice.below(255) as u8,
        },
    }
}

fn is_access(call: &Call) -> bool {
    matches!(
        call,
        Call::Load { .. } | Call::Store { .. } | Call::Exec { .. }
    )
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
    let space = there.space(step.task);
    if params.first() == Some(&Param::Fd) {
        let mapped = space.areas.iter().filter(|area| !area.is_private);
        ranges.extend(mapped.map(|area| (area.start, area.end)));
    }
    if is_access(&step.call) {
        // Below a stack: what grows.
        let stacks = space.areas.iter().filter(|area| area.grows_down);
        ranges.extend(stacks.map(|area| (area.start, area.end)));
    }
    if ranges.is_empty() {
        let written = space.areas.iter().filter(|area| area.is_written);
        ranges.extend(written.map(|area| (area.start, area.end)));
    }
    ranges
}

/// A page at stake or of the area around it; mostly one that a store faults on, if it is to be
/// `absent`, and one that was touched if not.
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
    let touched = space.present.there(start, end);
    let count = touched.clone().count();
    if !absent && count > 0 && !dice.one_in(6) {
        return touched.clone().nth(dice.index(count)).unwrap_or(start);
    }
    let pages = end.saturating_sub(start).div_ceil(PAGE_SIZE).clamp(1, 8);
    let start = start & !(PAGE_SIZE - 1);
    start.saturating_add(dice.below(pages) * PAGE_SIZE)
}
