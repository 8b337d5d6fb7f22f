//! Fresh programs: mostly valid, in a small world, each with calls of its own taste.
//!
//! Swarm testing (Groce et al., ISSTA 2012): some calls are switched off in each program, and the
//! others weigh very differently, since many bugs need one thing often and another never.

use mutatis::{Context, Generate, Session};
use vmadiff_contract::{CallKind, Config, PAGE_SIZE, TaskId};

use super::dice::Dice;
use super::{Flavour, Profile, Size, fresh, large, races, switches, weights};
use crate::program::world::World;
use crate::program::{Program, Step};

/// A fresh program; the same for the same seed.
///
/// ```
/// use vmadiff::program::mutate::{Profile, generate};
///
/// let program = generate(7, &Profile::default());
/// assert_eq!(program, generate(7, &Profile::default()));
/// assert!(!program.calls.is_empty());
/// ```
pub fn generate(seed: u64, profile: &Profile) -> Program {
    let mut session = Session::new().seed(seed);
    let made = session.generate_with(&mut Generator(profile));
    let mut program = made.expect("generating does not fail");
    profile.world.narrow(&mut program);
    program
}

struct Generator<'a>(&'a Profile);

impl Generate<Program> for Generator<'_> {
    fn generate(&mut self, context: &mut Context) -> mutatis::Result<Program> {
        let Self(profile) = self;
        let dice = &mut Dice(context.rng());
        Ok(match (profile.flavour, profile.size) {
            (Flavour::Interleaved, Size::Large) => large::race(dice, profile),
            _ => small(dice, profile),
        })
    }
}

/// A program of a few calls.
pub(super) fn small(dice: &mut Dice<'_>, profile: &Profile) -> Program {
    if profile.flavour == Flavour::Interleaved && !dice.one_in(5) {
        return races::race(dice, profile);
    }
    let mut program = Program {
        config: config(dice, profile.flavour),
        ..Program::default()
    };
    let weights = swarm(dice, profile);
    if weights.is_empty() {
        return program;
    }
    let mut world = World::new(&program.config);
    let calls = match profile.flavour {
        Flavour::Serial => 4 + dice.below(20),
        Flavour::Interleaved => 4 + dice.below(9),
    };
    let mut push = |world: &mut World, step: Step| {
        world.apply(&step);
        program.calls.push(step);
    };
    if profile.flavour == Flavour::Interleaved && !dice.one_in(4) {
        for step in fresh::setup(dice, profile.calls) {
            push(&mut world, step);
        }
    }
    for i in 0..calls {
        let first = i == 0 && profile.flavour == Flavour::Serial;
        let kind = if first {
            CallKind::Mmap
        } else {
            dice.weighted(&weights)
        };
        let task = task(dice, &world, profile.flavour);
        let step = fresh::step(dice, &world, profile.calls, kind, task);
        push(&mut world, step);
    }
    if profile.flavour == Flavour::Interleaved {
        program.schedule = switches::schedule(dice, profile, &program);
    }
    program
}

impl mutatis::Mutate<Program> for Generator<'_> {
    /// Generates anew, as the trait asks of a generator.
    fn mutate(
        &mut self,
        candidates: &mut mutatis::Candidates<'_>,
        program: &mut Program,
    ) -> mutatis::Result<()> {
        candidates.mutation(|context| {
            *program = self.generate(context)?;
            Ok(())
        })
    }
}

/// Races need all threads to be busy; a serial program mostly speaks for one task.
fn task(dice: &mut Dice<'_>, world: &World, flavour: Flavour) -> TaskId {
    match flavour {
        Flavour::Serial => fresh::task(dice, world),
        Flavour::Interleaved => {
            let count = world.live().count().max(1);
            let nth = dice.index(count);
            world.live().nth(nth).unwrap_or(TaskId(1))
        }
    }
}

/// Some calls are switched off, and others weigh more. Nothing if the managers know no call.
fn swarm(dice: &mut Dice<'_>, profile: &Profile) -> Vec<(u32, CallKind)> {
    let known = weights::known(profile.calls, |weights| weights.serial);
    let weigh = |&(weight, kind): &(u32, CallKind)| match kind {
        CallKind::Mmap | CallKind::Load | CallKind::Store => (weight, kind),
        _ => (
            weight * dice.weighted(&[(4, 0), (4, 1), (2, 2), (1, 5)]),
            kind,
        ),
    };
    let weighed = known.iter().map(weigh).collect();
    not_all_off(weighed, known)
}

/// The weighed calls; where all are switched off, as they weigh by default.
pub(super) fn not_all_off(
    weighed: Vec<(u32, CallKind)>,
    known: Vec<(u32, CallKind)>,
) -> Vec<(u32, CallKind)> {
    if weighed.iter().any(|(weight, _)| *weight > 0) {
        weighed
    } else {
        known
    }
}

/// Mostly the default; else a limit is small enough to be met.
fn config(dice: &mut Dice<'_>, flavour: Flavour) -> Config {
    let tasks: &[(u32, u8)] = match flavour {
        Flavour::Serial => &[(24, 2), (1, 1), (2, 3)],
        Flavour::Interleaved => &[(3, 2), (2, 3)],
    };
    let mut config = Config {
        tasks: dice.weighted(tasks),
        stack_guard_gap: dice.weighted(&[(3, 256), (1, 0), (2, 1), (1, 2)]),
        reuse_slots: !dice.one_in(4),
        ..Config::default()
    };
    for _ in 0..dice.weighted(&[(5, 0), (3, 1), (1, 2)]) {
        limit(dice, &mut config);
    }
    config
}

/// Makes one limit small, or another setting unusual.
pub(super) fn limit(dice: &mut Dice<'_>, config: &mut Config) {
    let mut pages = |from, to: u64| (from + dice.below(to - from)) * PAGE_SIZE;
    let (space, data, stack, locked) = (pages(8, 40), pages(4, 24), pages(1, 8), pages(0, 12));
    match dice.below(12) {
        0 | 1 => config.max_map_count = 3 + dice.below(12) as u32,
        2 => config.rlimit_as = space,
        3 => config.rlimit_data = data,
        4 => config.rlimit_stack = stack,
        5 => config.rlimit_memlock = locked,
        6 => config.commit_limit = data / PAGE_SIZE,
        7 => config.rlimit_nofile = 3 + dice.below(3) as u32,
        8 => config.legacy_layout = true,
        9 => config.cap_ipc_lock = true,
        10 => config.nodes = 1 + dice.below(4) as u8,
        _ => config.start_brk = Config::WINDOW + (8 + dice.below(26)) * PAGE_SIZE,
    }
}
