//! Fresh programs for races: a little memory that every task has touched, then calls of all tasks
//! aimed at it, woven from the moment at which it is there.

mod others;
mod preemption_points;
mod setup;
mod targeted;
mod theme;
mod variants;

use vmadiff_contract::{CallKind, Config, DesignInfo, TaskId};
use vmadiff_interleave::Site;

use super::dice::Dice;
use super::generate::not_all_off;
use super::{Profile, fresh, switches, weights};
use crate::program::sites::BEGIN;
use crate::program::world::{Space, World};
use crate::program::{Moment, Policy, Program, Schedule, Step, Switch};

/// Where a task stands between two calls.
static BETWEEN_CALLS: Site = BEGIN;

/// One race in so many has a child that has the same pages.
const FORKED: u64 = 3;

/// One race in so many has a child that was there before, and has nothing.
const EMPTY: u64 = 12;

/// One race in so many is of one theme.
const THEMED: u64 = 3;

/// A program of this kind.
pub(super) fn race(dice: &mut Dice<'_>, profile: &Profile) -> Program {
    let themed = dice.one_in(THEMED).then(|| theme::race(dice, profile));
    if let Some(program) = themed.flatten() {
        return program;
    }
    let mut program = Program {
        config: Config {
            tasks: dice.weighted(&[(1, 2), (1, 3)]),
            reuse_slots: !dice.one_in(4),
            ..Config::default()
        },
        ..Program::default()
    };
    setup::setup(dice, &mut program, profile);
    if dice.one_in(FORKED) {
        setup::fork(dice, &mut program);
    }
    if dice.one_in(EMPTY) {
        setup::fork_first(&mut program);
    }
    setup::settle(&mut program);
    let known = |step: &Step| profile.calls.makes(&step.call);
    program.calls.retain(known);
    let anchor = program.calls.len();
    let there = World::after(&program, anchor);
    if !dice.one_in(4) {
        targeted::targeted(dice, &mut program, &there, profile);
        return program;
    }
    let mut world = there.clone();
    let weights = taste(dice, profile);
    let tasks = program.config.tasks;
    let calls = if weights.is_empty() {
        0
    } else {
        3 + dice.below(5)
    };
    for nth in 0..calls {
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

/// Some calls are switched off and others more frequent, as in every fresh program; half of them
/// make only the calls that change areas most.
fn taste(dice: &mut Dice<'_>, profile: &Profile) -> Vec<(u32, CallKind)> {
    let few = dice.one_in(2);
    let known = weights::known(profile.calls, |weights| weights.racing);
    let weigh = |&(weight, kind): &(u32, CallKind)| match kind {
        CallKind::Load | CallKind::Store => (weight, kind),
        _ if few && weight < 8 => (0, kind),
        _ => (weight * dice.weighted(&[(2, 0), (3, 1), (2, 4)]), kind),
    };
    let weighed = known.iter().map(weigh).collect();
    not_all_off(weighed, known)
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

/// The race begins where the first task begins its first call behind the setup: preemptions are
/// counted from there, and a drawing policy draws from there on.
pub(super) fn race_start(program: &Program, anchor: usize, to: TaskId) -> Switch {
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
    if racing.calls.is_empty() {
        return Schedule::default();
    }
    let start = race_start(program, anchor, switches::task(dice, &racing, 1));
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
    let (setup, racing) = program.calls.split_at(anchor);
    let step = &racing[dice.index(racing.len())];
    let others = racing.iter().map(|step| step.task);
    let others: Vec<TaskId> = others.filter(|other| *other != step.task).collect();
    let to = match others.len() {
        _ if dice.one_in(8) => TaskId(0),
        0 => step.task,
        count => others[dice.index(count)],
    };
    Switch {
        at: preemption_points::within(dice, design, setup, step, space),
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
