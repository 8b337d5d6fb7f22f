//! Schedules that have tasks meet in another order than they did, made from a run.
//!
//! A run is a list of accesses. Two of them, by different tasks to one object, of which one writes, came in
//! some order; the other order is forced by leaving the first task right before its access until the
//! second has made its own. Lock hand-overs are such pairs, and so are what RCU's callbacks do and what others
//! read meanwhile. Where the first task holds a lock that the second takes on its way, it is left before it
//! takes that: else the second would wait, and nothing be turned round. Or it is left behind its own, in the
//! same call: what it has seen changes before it has acted by that. Of some pairs drawn the one is taken
//! that was least often forced, by its sites, what was done to the object, and in which calls.
//!
//! A chain is more than one pair: each is taken from the run that the ones before it made, mostly from what
//! came right behind the last, so that one task is left in the middle of what it was let in for; or it is one of
//! turns of two tasks ([`turns`]). No design and no call is known here.

mod company;
mod locks;
mod pairs;
mod steps;
mod turns;

use std::collections::HashMap;

use mutatis::{Mutate, Session};
use vmadiff_contract::{CallKind, TaskId};
use vmadiff_interleave::Kind;
use vmadiff_interleave::sim::{Step, What};

use self::pairs::rarest;
use self::steps::Steps;
use self::turns::Turn;
use super::dice::Dice;
use crate::program::{Moment, Policy, Program, Schedule, Switch};

/// One half of a pair: where, what was done to the object, and in which call; none: no call's.
type Half = (u32, Kind, Option<CallKind>);

/// What was forced to come before what, and in a chain of turns behind which site.
type Key = (Option<u32>, Half, Half);

/// How often what was forced to come before what.
#[derive(Clone, Debug, Default)]
pub struct Met(HashMap<Key, u32>);

impl Met {
    /// Distinct pairs.
    pub fn pairs(&self) -> usize {
        self.0.len()
    }

    /// How often this was forced.
    fn count(&self, key: &Key) -> u32 {
        self.0.get(key).copied().unwrap_or(0)
    }
}

/// More switches than this are not added to.
const MOST_SWITCHES: usize = 8;
/// One schedule in so many is added to; the others are made anew.
const KEPT: u32 = 2;

/// Pairs that are forced one after another, each in the run that the ones before it made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain {
    /// How many.
    links: u32,
    /// Each leaves the task that the last one let in, for another one that comes back.
    turns: bool,
}

/// One chain of 256 in so many is one of turns. Measured (`examples/schedules.rs`): more of them show fewer of
/// the races that one pair makes.
const TURNS: u32 = 100;

impl Chain {
    /// One pair.
    pub const ONE: Self = Self {
        links: 1,
        turns: false,
    };

    /// So many turns.
    pub const fn turns(links: u32) -> Self {
        Self { links, turns: true }
    }

    /// What is drawn by a seed: a chain of two or three is rarer than one pair, one of turns has two to five.
    pub fn of(seed: u32) -> Self {
        let spread = seed.wrapping_mul(0x85eb_ca6b) >> 8;
        if spread % 256 < TURNS {
            return Self::turns(2 + (spread >> 8) % 4);
        }
        let links = match seed.wrapping_mul(0x9e37_79b9) >> 24 {
            0..120 => 1,
            120..210 => 2,
            _ => 3,
        };
        Self {
            links,
            turns: false,
        }
    }

    /// Its links, the first one first.
    pub fn links(self) -> impl Iterator<Item = Link> {
        let link = move |nth| Link {
            nth,
            turns: self.turns,
            is_last: nth + 1 == self.links,
        };
        (0..self.links).map(link)
    }
}

/// One pair of a chain.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    nth: u32,
    turns: bool,
    is_last: bool,
}

impl Link {
    /// What is drawn for it, of a chain that a seed draws.
    fn seed(self, seed: u32) -> u64 {
        seed.wrapping_add(self.nth << 24).into()
    }

    /// Whether other pairs were forced before.
    fn is_chained(self) -> bool {
        self.nth > 0
    }
}

/// Adds switches to a program's schedule that change the order of one pair of this run of it; none: the run
/// has no such pair, or the schedule is long already. Links behind the first want the last switches to be
/// those of the link before.
///
/// A schedule that draws is replaced: the run has to be one by switches alone ([`by_switches`]).
pub fn force(
    program: &mut Program,
    steps: &[Step],
    (seed, link): (u32, Link),
    met: &mut Met,
) -> Option<()> {
    if program.schedule.switches.len() >= MOST_SWITCHES {
        return None;
    }
    let mut session = Session::new().seed(link.seed(seed));
    let calls = program.calls.iter().map(|step| step.call.kind());
    let schedule = Some(&program.schedule).filter(|_| link.is_chained());
    let (turns, others) = match link.turns {
        true => (schedule, None),
        false => (None, schedule),
    };
    let mut forced = Forced {
        run: Run {
            steps: Steps::new(steps, &calls.collect::<Vec<_>>()),
            there: program.config.tasks,
            behind: others.and_then(|schedule| behind(steps, schedule)),
            turn: turns.and_then(|schedule| turns::last(steps, schedule)),
        },
        alone: link.turns && !link.is_last,
        met,
        switches: Vec::new(),
    };
    session.mutate_with(&mut forced, program).ok()?;
    let switches = forced.switches;
    if switches.is_empty() {
        return None;
    }
    program.schedule.switches.extend(switches);
    Some(())
}

/// Has switches alone choose, so that they can be added to; of many schedules nothing is kept.
pub fn by_switches(program: &mut Program, seed: u32) {
    let kept = (seed / 64).is_multiple_of(KEPT);
    if program.schedule.policy != Policy::Preemptions || !kept {
        program.schedule = Schedule::default();
    }
}

/// The step at which the last task was left by a switch that was forced.
fn behind(steps: &[Step], schedule: &Schedule) -> Option<usize> {
    let switches = schedule.switches.iter().rev();
    // The last ones are those of one pair: away, and what comes behind that.
    let left = switches.filter_map(|switch| goes_on(steps, switch)).take(2);
    left.min()
}

/// The step before which a switch left its task: what that does when it goes on.
fn goes_on(steps: &[Step], switch: &Switch) -> Option<usize> {
    let Moment::Site { task, site, nth } = switch.at else {
        return None;
    };
    let passes =
        |step: &Step| step.task == task.0 && step.site.number() == site && step.passes_site();
    let mut all = (0..steps.len()).filter(|&at| passes(&steps[at]));
    all.nth(nth.saturating_sub(1) as usize)
}

/// A run, and what is known of its steps.
struct Run<'a> {
    steps: Steps<'a>,
    /// Tasks that are there from the start.
    there: u8,
    /// Where a pair was forced before.
    behind: Option<usize>,
    /// In a chain of turns, the last one.
    turn: Option<Turn>,
}

struct Forced<'a> {
    run: Run<'a>,
    /// Nothing comes behind the pair: the next link does.
    alone: bool,
    met: &'a mut Met,
    switches: Vec<Switch>,
}

impl Mutate<Program> for Forced<'_> {
    fn mutate(
        &mut self,
        candidates: &mut mutatis::Candidates<'_>,
        _: &mut Program,
    ) -> mutatis::Result<()> {
        candidates.mutation(|context| {
            let dice = &mut Dice(context.rng());
            if let Some(pair) = rarest(dice, &self.run, self.met) {
                let (first, then) = pair;
                let away = switch(self.run.steps.all, first, self.run.steps.all[then].task);
                let behind = match self.alone {
                    true => Vec::new(),
                    false => company::behind(dice, &self.run, first, then),
                };
                self.switches = std::iter::once(away).chain(behind).collect();
            }
            Ok(())
        })
    }
}

impl Run<'_> {
    /// Whether there is this task before this step.
    fn exists(&self, task: u8, before: usize) -> bool {
        task <= self.there
            || self.steps.all[..before]
                .iter()
                .any(|step| step.task == task)
    }

    /// What a step is as a half of a pair.
    fn half(&self, at: usize) -> Option<Half> {
        let step = &self.steps.all[at];
        match step.what {
            What::Access { kind, .. } => Some((step.site.number(), kind, self.steps.calls[at])),
            _ => None,
        }
    }
}

/// Before a step of a task, to another.
fn switch(steps: &[Step], at: usize, to: u8) -> Switch {
    let step = &steps[at];
    Switch {
        at: Moment::Site {
            task: TaskId(step.task),
            site: step.site.number(),
            nth: step.passes_in(&steps[..=at]),
        },
        to: TaskId(to),
    }
}
