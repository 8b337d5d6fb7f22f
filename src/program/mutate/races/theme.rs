//! Races of one theme: a few calls, a few arguments for each, and a few pages that all of them are about.
//!
//! Swarm testing (Groce et al., ISSTA 2012) of races: what a bug needs is made again and again, and all the rest
//! is left out. A call that seldom comes among all others comes as often as any where it is of the theme, and so
//! does a stretch across the border of two page tables, or of whole ones. Each program draws its theme anew.

use vmadiff_contract::{
    Access, Call, CallKind, Config, Fail, Fd, FileKind, MapFlags, MoveFlags, PAGE_SIZE, Prot,
    TaskId,
};

use super::super::dice::Dice;
use super::super::generate::limit;
use super::super::{Profile, fresh, switches, weights};
use super::setup::{FIRST_FD, TABLE, by, fork, fork_first, settle, touch};
use super::variants::back;
use super::{race_start, schedule};
use crate::program::shape::{self, Param, Words};
use crate::program::world::{Space, World};
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

    /// A call of the theme, about a range of the stretch.
    fn call(
        &mut self,
        dice: &mut Dice<'_>,
        there: &World,
        profile: &Profile,
        task: TaskId,
    ) -> Step {
        let kind = dice.pick(&self.kinds);
        let made: Vec<Words> = self
            .lists
            .iter()
            .filter(|(of, _)| *of == kind)
            .map(|(_, words)| *words)
            .collect();
        let mut step = if made.len() < LISTS {
            let step = fresh::step(dice, there, profile.calls, kind, task);
            self.lists
                .push((step.call.kind(), shape::words(&step.call)));
            step
        } else {
            by(task, shape::build(kind, &dice.pick(&made)))
        };
        step.call = self.about(dice, &step.call);
        step.fail = Fail::NONE;
        if self.fails.is_some_and(|times| dice.one_in(times)) {
            step.fail = Fail(1 + dice.below(3) as u8);
        }
        step
    }

    /// The call about a range of the stretch, if it is about one.
    fn about(&self, dice: &mut Dice<'_>, call: &Call) -> Call {
        let kind = call.kind();
        let (start, len) = dice.pick(&self.ranges);
        let mut words = shape::words(call);
        match shape::params(kind) {
            [Param::Addr, Param::Len, ..] => (words[0], words[1]) = (start, len),
            [Param::Addr] if kind != CallKind::Brk => words[0] = self.place(dice),
            [Param::Fd, .., Param::Len] => {
                let last = shape::params(kind).len() - 1;
                words[last] = dice.below(self.places + 1) * PAGE_SIZE;
            }
            _ => {}
        }
        match &mut shape::build(kind, &words) {
            Call::Mmap { flags, .. } => {
                flags.insert(MapFlags::FIXED);
                words[3] = flags.bits();
            }
            Call::Mremap { .. } => {
                words[2] = dice.pick(&self.ranges).1;
                let apart = self.start + self.unit * (self.places + dice.below(3));
                words[4] = match dice.one_in(2) {
                    true => apart,
                    false => dice.pick(&self.ranges).0,
                };
                let fixed = MoveFlags::MAYMOVE | MoveFlags::FIXED;
                if dice.one_in(2) {
                    words[3] = fixed.bits().into();
                }
            }
            _ => {}
        }
        shape::build(kind, &words)
    }

    /// An address of the stretch.
    fn place(&self, dice: &mut Dice<'_>) -> u64 {
        self.start + dice.below(self.places) * self.unit
    }

    /// An access to the stretch, or right below it, where a stack may grow.
    fn access(&self, dice: &mut Dice<'_>, space: &Space) -> Call {
        let addr = match dice.one_in(12) {
            true => self.start - PAGE_SIZE,
            false => self.place(dice),
        };
        let executable = |addr| {
            space
                .area_at(addr)
                .is_some_and(|area| area.prot.contains(Prot::EXEC))
        };
        match dice.below(8) {
            0 | 1 if executable(addr) => Call::Exec { addr },
            0..3 => Call::Load { addr },
            _ => Call::Store {
                addr,
                value: 1 + dice.below(255) as u8,
            },
        }
    }

    fn open(&self, dice: &mut Dice<'_>) -> Call {
        Call::Open {
            kind: FileKind::Plain,
            access: Access::READ | Access::WRITE,
            size: (1 + dice.below(self.places.min(8))) * PAGE_SIZE,
        }
    }

    /// Maps some places: private memory mostly, or a file if there is one.
    fn mapping(&self, dice: &mut Dice<'_>, at: u64, count: u64, file: bool) -> Call {
        let (private, shared) = (MapFlags::PRIVATE, MapFlags::SHARED);
        let of_file = file && !dice.one_in(4);
        let kind = match of_file {
            true => dice.pick(&[private, shared]),
            false => dice.weighted(&[
                (8, private | MapFlags::ANONYMOUS),
                (1, shared | MapFlags::ANONYMOUS),
                (1, private | MapFlags::ANONYMOUS | MapFlags::GROWSDOWN),
            ]),
        };
        let (read, write) = (Prot::READ, Prot::WRITE);
        Call::Mmap {
            addr: self.start + at * self.unit,
            len: count * self.unit,
            prot: dice.weighted(&[(8, read | write), (1, read), (1, read | write | Prot::EXEC)]),
            flags: kind | MapFlags::FIXED,
            fd: if of_file { FIRST_FD } else { Fd(-1) },
            off: match of_file && dice.one_in(2) {
                true => at * PAGE_SIZE,
                false => 0,
            },
        }
    }
}

fn is_access(kind: CallKind) -> bool {
    matches!(kind, CallKind::Load | CallKind::Store | CallKind::Exec)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::program::mutate::Flavour;
    use mutatis::Session;

    /// Themes of some seeds, and a race of each.
    fn races(count: u64) -> Vec<Program> {
        struct Themed;
        impl mutatis::Generate<Program> for Themed {
            fn generate(&mut self, context: &mut mutatis::Context) -> mutatis::Result<Program> {
                let profile = Profile {
                    flavour: Flavour::Interleaved,
                    ..Profile::default()
                };
                Ok(race(&mut Dice(context.rng()), &profile).expect("all calls are known"))
            }
        }
        impl mutatis::Mutate<Program> for Themed {
            fn mutate(
                &mut self,
                _: &mut mutatis::Candidates<'_>,
                _: &mut Program,
            ) -> mutatis::Result<()> {
                Ok(())
            }
        }
        let of = |seed| Session::new().seed(seed).generate_with(&mut Themed);
        (0..count).map(|seed| of(seed).expect("a race")).collect()
    }

    /// The calls but accesses that a race makes, and how often each.
    fn kinds(program: &Program) -> BTreeMap<&'static str, usize> {
        let mut kinds = BTreeMap::new();
        for kind in program.calls.iter().map(|step| step.call.kind()) {
            if !is_access(kind) {
                *kinds.entry(kind.name()).or_default() += 1;
            }
        }
        kinds
    }

    #[test]
    fn a_race_makes_few_calls_often_and_each_call_is_in_some_themes() {
        let races = races(2000);
        let mut races_with: BTreeMap<&str, usize> = BTreeMap::new();
        for race in &races {
            let kinds = kinds(race);
            // Four of the theme, what undoes two of them, and what makes the setup.
            assert!(kinds.len() <= 8, "{kinds:?}");
            for kind in kinds.into_keys() {
                *races_with.entry(kind).or_default() += 1;
            }
        }
        for kind in CallKind::ALL.iter().filter(|kind| !is_access(**kind)) {
            let count = races_with.get(kind.name()).copied().unwrap_or(0);
            assert!(count > 40, "{} in {count} races", kind.name());
        }
    }

    #[test]
    fn all_accesses_are_to_a_few_places() {
        for race in races(500) {
            let addresses = race.calls.iter().filter_map(|step| {
                let kind = step.call.kind();
                is_access(kind).then(|| shape::words(&step.call)[0])
            });
            let addresses: BTreeSet<u64> = addresses.collect();
            // Six, and the one below them.
            assert!(addresses.len() <= 7, "{race}");
        }
    }
}
