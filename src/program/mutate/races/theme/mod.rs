//! Races of one theme: a few calls, a few arguments for each, and a few pages that all of them are about.
//!
//! Swarm testing (Groce et al., ISSTA 2012) of races: what a bug needs is made again and again, and all the rest
//! is left out. A call that seldom comes among all others comes as often as any where it is of the theme, and so
//! does a stretch across the border of two page tables, or of whole ones. Each program draws its theme anew.

mod calls;

use vmadiff_contract::{Call, CallKind, Config, PAGE_SIZE, TaskId};

use super::super::dice::Dice;
use super::super::generate::limit;
use super::super::{Profile, switches, weights};
use super::setup::{TABLE, by, fork, fork_first, settle, touch};
use super::variants::back;
use super::{race_start, schedule};
use crate::program::shape::{self, Param, Words};
use crate::program::world::World;
use crate::program::{Program, Schedule, Step};

/// Argument lists that a call of a theme has.
const LISTS: usize = 2;

/// Ranges that calls of a theme are about.
const RANGES: usize = 3;

/// What one program is made of.
struct Theme {
    /// Beside accesses.
    kinds: Vec<CallKind>,
    /// Where the stretch begins that all is about.
    start: u64,
    /// Bytes between two places of it: a page, or all that a lowest table maps.
    unit: u64,
    /// Its places.
    places: u64,
    /// Parts of it, start and length.
    ranges: [(u64, u64); RANGES],
    /// Argument lists made so far.
    lists: Vec<(CallKind, Words)>,
    /// One call in so many lacks memory half way.
    fails: Option<u64>,
}

/// A program of this kind; none if the managers know no call that changes memory.
pub(super) fn race(dice: &mut Dice<'_>, profile: &Profile) -> Option<Program> {
    let mut theme = Theme::new(dice, profile)?;
    let mut program = Program {
        config: Config {
            tasks: dice.weighted(&[(1, 2), (1, 3)]),
            reuse_slots: !dice.one_in(4),
            stack_guard_gap: dice.weighted(&[(2, 256), (1, 0), (1, 1)]),
            ..Config::default()
        },
        ..Program::default()
    };
    if dice.one_in(8) {
        limit(dice, &mut program.config);
    }
    theme.setup(dice, &mut program, profile);
    let known = |step: &Step| profile.calls.makes(&step.call);
    program.calls.retain(known);
    let anchor = program.calls.len();
    let there = World::after(&program, anchor);
    theme.racing(dice, &mut program, &there, profile);
    program.calls.retain(known);
    program.schedule = drawing(dice, profile, &program, anchor, &there);
    Some(program)
}

/// Two schedules of three draw at every point of the race: where so few things meet, each meeting is near.
fn drawing(
    dice: &mut Dice<'_>,
    profile: &Profile,
    program: &Program,
    anchor: usize,
    there: &World,
) -> Schedule {
    let Some(first) = program.calls.get(anchor).filter(|_| !dice.one_in(3)) else {
        return schedule(dice, profile, program, anchor, there.space(TaskId(1)));
    };
    Schedule {
        policy: switches::drawing_policy(dice),
        seed: dice.word(),
        switches: vec![race_start(program, anchor, first.task)],
    }
}

impl Theme {
    fn new(dice: &mut Dice<'_>, profile: &Profile) -> Option<Self> {
        let mut known = weights::known(profile.calls, |weights| weights.racing);
        known.retain(|(_, kind)| !is_access(*kind));
        let mut kinds = Vec::new();
        for _ in 0..dice.weighted(&[(2, 1), (3, 2), (2, 3), (1, 4)]) {
            // As often as in other races, or each as often as any.
            let some = match (known.len(), dice.one_in(2)) {
                (0, _) => break,
                (_, true) => dice.weighted(&known),
                (count, false) => known[dice.index(count)].1,
            };
            kinds.push(some);
            known.retain(|(_, kind)| *kind != some);
        }
        if kinds.is_empty() {
            return None;
        }
        let unit = match dice.one_in(12) {
            true => TABLE,
            false => PAGE_SIZE,
        };
        let places = match unit {
            PAGE_SIZE => dice.weighted(&[(2, 2), (2, 3), (2, 4), (1, 6)]),
            _ => 1 + dice.below(2),
        };
        // Mostly inside one lowest table, or across the border of two, or some way off.
        let start = match (unit, dice.below(4)) {
            (TABLE, _) => TABLE * (1 + dice.below(2)),
            (_, 0) => TABLE - (1 + dice.below(places - 1)) * PAGE_SIZE,
            (_, 1) => TABLE,
            _ => Config::WINDOW + 4 * PAGE_SIZE,
        };
        let mut range = || {
            let first = dice.below(places);
            let count = 1 + dice.below(places - first);
            (start + first * unit, count * unit)
        };
        let ranges = [(); RANGES].map(|()| range());
        Some(Self {
            kinds,
            start,
            unit,
            places,
            ranges,
            lists: Vec::new(),
            fails: dice.one_in(6).then_some(3),
        })
    }

    /// Maps the stretch, has tasks touch it, and makes a few of the theme's calls.
    fn setup(&mut self, dice: &mut Dice<'_>, program: &mut Program, profile: &Profile) {
        let of_files = |kind: &CallKind| shape::params(*kind).first() == Some(&Param::Fd);
        let knows_files = profile.calls.knows(CallKind::Open);
        let file = knows_files && (self.kinds.iter().any(of_files) || dice.one_in(4));
        if file {
            program.calls.push(by(TaskId(1), self.open(dice)));
        }
        let mut at = 0;
        while at < self.places {
            let count = match dice.one_in(2) {
                true => self.places - at,
                false => 1 + dice.below(self.places - at),
            };
            if at == 0 || !dice.one_in(6) {
                let call = self.mapping(dice, at, count, file);
                program.calls.push(by(TaskId(1), call));
            }
            at += count;
        }
        let tasks = u64::from(program.config.tasks);
        for nth in 0..1 + dice.below(5) {
            let (addr, task) = (self.place(dice), TaskId(1 + dice.below(tasks) as u8));
            let call = match nth {
                0 => Call::Store { addr, value: 1 },
                _ => touch(dice, addr),
            };
            program.calls.push(by(task, call));
        }
        for _ in 0..dice.weighted(&[(3, 0), (2, 1), (1, 2)]) {
            let there = World::after(program, program.calls.len());
            let step = self.call(dice, &there, profile, TaskId(1));
            program.calls.push(step);
        }
        if dice.one_in(4) {
            fork(dice, program);
        }
        if dice.one_in(6) {
            fork_first(program);
        }
        settle(program);
    }

    /// Three to eight calls, half of them accesses.
    fn racing(
        &mut self,
        dice: &mut Dice<'_>,
        program: &mut Program,
        there: &World,
        profile: &Profile,
    ) {
        let mut world = there.clone();
        for nth in 0..3 + dice.below(6) {
            let task = self.task(dice, &world, program.config.tasks, nth);
            let before = program.calls.last().filter(|_| nth > 0).copied();
            let step = match before {
                _ if dice.one_in(2) => by(task, self.access(dice, there.space(task))),
                Some(step) if !is_access(step.call.kind()) && dice.one_in(4) => {
                    by(task, back(dice, there.space(step.task), &step.call))
                }
                _ => self.call(dice, there, profile, task),
            };
            world.apply(&step);
            program.calls.push(step);
        }
    }

    /// Each thread makes a call first; then whoever lives.
    fn task(&self, dice: &mut Dice<'_>, world: &World, threads: u8, nth: u64) -> TaskId {
        let live = world.live().count();
        if nth < u64::from(threads) || live == 0 {
            return TaskId(1 + (nth % u64::from(threads)) as u8);
        }
        world.live().nth(dice.index(live)).unwrap_or(TaskId(1))
    }
}

fn is_access(kind: CallKind) -> bool {
    matches!(kind, CallKind::Load | CallKind::Store | CallKind::Exec)
}

#[cfg(test)]
mod tests;
