//! The driven reference alone, over all interleavings of small programs: it keeps the coarse laws,
//! and each guard that is switched off breaks one in a program that is listed.
//!
//! A program is a serial setup and what two or three tasks then do at once. Every way that the
//! steps can interleave is taken, a state once (by the hash of the machine with its pending calls).
//! What is asked of each state, and of each end, is in [`Law`].

use std::collections::{BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use vmadiff_contract::{
    Call, Choice, Event, EventSink, Fail, Offer, Outcome, Snapshot, Taken, TaskId,
};

use super::races::{AFTER, EXCUSES, GROUNDS, PAIRED, RACES, Race};
use crate::drive::Machine;
use crate::guard::Guard;

/// Hears nothing.
struct Deaf;

impl EventSink for Deaf {
    fn event(&self, _: Event) {}
}

/// What is asked of the driven reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Law {
    /// Counters equal what they count, and nothing is freed twice or used when freed: at every
    /// quiet point, and by the checks of the machine's own arithmetic at every step.
    Sound,
    /// No frame is freed while a TLB has it.
    FreedInTlb,
    /// At a quiet point no TLB has an entry that is not in its table, or with more rights.
    StaleTlb,
    /// Some call can always go on, until all have returned.
    Stuck,
    /// What the calls answer, what memory holds and what is mapped at the end are those of some
    /// order of whole calls. For memory: what is stored to a logical page is what is loaded.
    Linear,
}

/// What the tasks have yet to do, and the machine that they do it on.
#[derive(Clone)]
struct State {
    machine: Machine,
    /// By task: how many of its calls it has begun, and what those that returned answered.
    begun: Vec<usize>,
    answers: Vec<Vec<Outcome>>,
}

struct Explorer<'a> {
    race: &'a Race<'a>,
    seen: HashSet<u64>,
    ends: BTreeSet<String>,
    broken: BTreeSet<Law>,
    states: usize,
    /// Whole calls only: no step of another call between.
    whole: bool,
    /// The ends that orders of whole calls have, unless these are what is looked for.
    allowed: Option<BTreeSet<String>>,
    /// The first law that is broken is enough.
    hasty: bool,
}

/// States of one program at most: more is a program to be made smaller.
const STATES_MAX: usize = 400_000;

impl State {
    fn new(race: &Race<'_>, off: u32) -> Self {
        let mut machine = Machine::new(Arc::new(Deaf));
        machine.boot(&race.config(), true);
        for (task, call) in race.setup {
            let t = machine.world.living(TaskId(*task)).expect("the task lives");
            let said = machine.call(t, call, Fail::NONE);
            assert!(said.is_success(), "{}: {call:x?} = {said:x?}", race.name);
        }
        machine.world.off = off;
        let tasks = race.tasks.len();
        let (begun, answers) = (vec![0; tasks], vec![Vec::new(); tasks]);
        Self {
            machine,
            begun,
            answers,
        }
    }

    fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.machine.hash(&mut hasher);
        self.begun.hash(&mut hasher);
        format!("{:?}", self.answers).hash(&mut hasher);
        hasher.finish()
    }

    /// Begins the next call of each task that has none pending.
    fn begin(&mut self, race: &Race<'_>, i: usize) -> bool {
        let calls = race.calls(i);
        let Some(call) = calls.get(self.begun[i]) else {
            return false;
        };
        let task = TaskId(i as u8 + 1);
        self.begun[i] += 1;
        if let Err(outcome) = self.machine.begin(task, call, Fail::NONE) {
            self.answers[i].push(outcome);
        }
        true
    }

    fn is_pending(&self, i: usize) -> bool {
        self.machine.jobs[i].is_pending()
    }

    fn take(&mut self, i: usize, choice: Choice) {
        let task = TaskId(i as u8 + 1);
        if let Ok(Taken::Returned(outcome)) = self.machine.take(task, choice) {
            self.answers[i].push(outcome);
        }
    }
}

impl<'a> Explorer<'a> {
    fn new(race: &'a Race<'a>) -> Self {
        Self {
            race,
            seen: HashSet::new(),
            ends: BTreeSet::new(),
            broken: BTreeSet::new(),
            states: 0,
            whole: false,
            allowed: None,
            hasty: false,
        }
    }

    fn explore(mut self, off: u32) -> Self {
        let (race, explorer) = (self.race, &mut self);
        let mut stack = vec![State::new(race, off)];
        while let Some(state) = stack.pop() {
            if explorer.hasty && !explorer.broken.is_empty() {
                break;
            }
            let result = catch_unwind(AssertUnwindSafe(|| explorer.visit(&state, &mut stack)));
            if result.is_err() {
                explorer.broken.insert(Law::Sound);
            }
            assert!(
                explorer.states < STATES_MAX,
                "{}: too many states",
                race.name
            );
        }
        self
    }

    fn visit(&mut self, state: &State, stack: &mut Vec<State>) {
        if !self.seen.insert(state.digest()) {
            return;
        }
        self.states += 1;
        if state.machine.world.misuse.is_some() {
            self.broken.insert(Law::FreedInTlb);
            return;
        }
        let tasks = self.race.tasks.len();
        let pending = (0..tasks).filter(|&i| state.is_pending(i)).count();
        if pending == 0 {
            self.quiet(state);
        }
        let mut moved = false;
        // Beginning a call is no step that others can see: it is done with the first one.
        for i in 0..tasks {
            let mut next = state.clone();
            if !next.is_pending(i) && (self.whole && pending > 0 || !next.begin(self.race, i)) {
                continue;
            }
            if !next.is_pending(i) {
                moved = true;
                stack.push(next);
                continue;
            }
            let mut offers: Vec<Offer> = Vec::new();
            next.machine.legal(&mut offers);
            let own = |offer: &&Offer| usize::from(offer.task.0) == i + 1;
            for offer in offers.iter().filter(own) {
                if matches!(offer.choice, Choice::Again | Choice::GiveUp) {
                    continue;
                }
                let mut after = next.clone();
                after.take(i, offer.choice);
                moved = true;
                stack.push(after);
            }
        }
        let done =
            (0..tasks).all(|i| !state.is_pending(i) && state.begun[i] == self.race.calls(i).len());
        if !moved && !done {
            self.broken.insert(Law::Stuck);
        }
        if done {
            let end = end_of(state);
            if self
                .allowed
                .as_ref()
                .is_some_and(|allowed| !allowed.contains(&end))
                && self.broken.insert(Law::Linear)
            {
                self.explain(&end);
            }
            self.ends.insert(end);
        }
    }

    /// Says on request which end no order of whole calls has.
    fn explain(&self, end: &str) {
        if std::env::var("EXPLORE").is_ok() {
            println!(
                "{}: no order of whole calls gives\n{end}\nwhich give",
                self.race.name
            );
            self.allowed
                .iter()
                .flatten()
                .for_each(|end| println!("{end}"));
        }
    }

    fn quiet(&mut self, state: &State) {
        state.machine.world.assert_sound(true);
        let world = &state.machine.world;
        for (t, tlb) in world.tlbs.iter().enumerate() {
            for held in tlb {
                let now = world.page_at(world.tasks[t].mm, held.addr);
                let now = now.map(|at| world.mms[world.tasks[t].mm].pages[at]);
                let holds = now.is_ok_and(|now| {
                    now.entry == held.entry
                        && (now.writable || !held.writable)
                        && now.hinting <= held.hinting
                });
                if !holds {
                    self.broken.insert(Law::StaleTlb);
                }
            }
        }
    }
}

/// What the calls answered and what is left, without names and without what only tells how
/// faults went: whether an entry is there, or writable.
fn end_of(state: &State) -> String {
    let mut seen = Snapshot::default();
    state.machine.world.snapshot(&mut seen);
    let areas = seen.vmas.iter().map(|vma| {
        (
            vma.mm,
            vma.start,
            vma.end,
            vma.flags,
            vma.pgoff,
            vma.file.is_some(),
        )
    });
    let areas: Vec<_> = areas.collect();
    let mms = seen
        .mms
        .iter()
        .map(|mm| (mm.map_count, mm.total_pages, mm.locked_pages, mm.brk));
    let mms: Vec<_> = mms.collect();
    let files: Vec<_> = seen
        .files
        .iter()
        .map(|file| (file.size, file.refs))
        .collect();
    format!(
        "{:x?}\n{areas:x?}\n{mms:?} {files:?} {}\n{:x?}\n{:x?}",
        state.answers,
        seen.committed,
        memory(state),
        seen.file_bytes
    )
}

/// The byte that a load of each page of the window would answer, by address space.
fn memory(state: &State) -> Vec<(usize, u64, Outcome)> {
    let mut machine = state.machine.clone();
    let mut seen = Vec::new();
    let tasks: Vec<usize> = (0..machine.world.tasks.len())
        .filter(|&t| machine.world.tasks[t].alive)
        .collect();
    let mut mms = BTreeSet::new();
    for t in tasks {
        let m = machine.world.tasks[t].mm;
        if !mms.insert(m) {
            continue;
        }
        for page in 0..12 {
            let addr = super::at(page);
            if machine.world.mms[m].at(addr).is_some() {
                seen.push((m, page, machine.call(t, &Call::Load { addr }, Fail::NONE)));
            }
        }
    }
    seen
}

/// The laws that a race breaks with guards switched off, or the first, and how many states it has.
fn broken(race: &Race<'_>, off: u32, hasty: bool) -> (BTreeSet<Law>, usize) {
    let mut whole = Explorer::new(race);
    whole.whole = true;
    let whole = whole.explore(0);
    let mut all = Explorer::new(race);
    (all.allowed, all.hasty) = (Some(whole.ends), hasty);
    let all = all.explore(off);
    (all.broken, all.states)
}

/// Every race keeps every law, but for those that it is listed not to keep.
#[test]
fn the_reference_keeps_the_laws() {
    let mut wrong = Vec::new();
    for race in RACES {
        let (broken, states) = broken(race, 0, false);
        if std::env::var("EXPLORE").is_ok() {
            println!("{}: {states} states, {broken:?}", race.name);
        }
        let excused: BTreeSet<Law> = race.excused.iter().map(|excuse| excuse.0).collect();
        if broken != excused {
            wrong.push((race.name, broken));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The reason that two calls have.
fn excuse(first: &Call, second: &Call) -> Option<&'static str> {
    use vmadiff_contract::{Advice, CallKind, MapFlags};
    let kinds = [first.kind(), second.kind()];
    let either = |kind: CallKind| kinds.contains(&kind);
    let populates = |call: &&Call| match call {
        Call::Mmap { flags, .. } => flags.contains(MapFlags::POPULATE),
        _ => matches!(call.kind(), CallKind::Mlock | CallKind::Mlockall),
    };
    let shrinks = |call: &&Call| match call {
        Call::Mremap {
            old_len, new_len, ..
        } => new_len < old_len,
        _ => call.kind() == CallKind::Munmap,
    };
    let removes = |call: &&Call| {
        matches!(
            call,
            Call::Madvise {
                advice: Advice::Remove,
                ..
            }
        )
    };
    let both = [first, second];
    let cuts = either(CallKind::Ftruncate) || either(CallKind::Fallocate);
    let numbers: [(bool, usize); 11] = [
        (both.iter().any(shrinks), 1),
        (both.iter().any(removes), 2),
        (either(CallKind::Mincore), 3),
        (kinds == [CallKind::Fork; 2], 4),
        (either(CallKind::Reclaim), 6),
        (both.iter().any(populates), 5),
        (either(CallKind::Close), 7),
        (either(CallKind::Mmap) && cuts, 9),
        (
            either(CallKind::Store)
                && (either(CallKind::Collapse) || either(CallKind::UffdRegister)),
            0,
        ),
        (
            either(CallKind::UffdRegister) && (either(CallKind::Load) || either(CallKind::Exec)),
            8,
        ),
        (cuts && either(CallKind::Mprotect), 10),
    ];
    let found = numbers.iter().find(|(is, _)| *is);
    found.map(|(_, number)| EXCUSES[*number].0)
}

/// The laws that two calls break on this ground.
fn broken_by(ground: usize, first: Call, second: Call) -> BTreeSet<Law> {
    let race = Race {
        name: GROUNDS[ground].0,
        threads: 2,
        setup: GROUNDS[ground].1,
        tasks: &[&[first], &[second, AFTER]],
        excused: &[],
    };
    broken(&race, 0, false).0
}

/// Each call beside each other.
fn pairs_keep_the_laws(ground: usize) {
    let mut wrong = Vec::new();
    for first in PAIRED {
        for second in PAIRED {
            let broken = broken_by(ground, *first, *second);
            let excused = excuse(first, second).is_some();
            if broken.iter().any(|law| *law != Law::Linear || !excused) {
                wrong.push(format!("{first:x?} | {second:x?}: {broken:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}: {wrong:#?}", wrong.len());
}

#[test]
fn pairs_on_private_pages_that_are_there() {
    pairs_keep_the_laws(0);
}

#[test]
fn pairs_on_private_pages_that_are_not_there() {
    pairs_keep_the_laws(1);
}

#[test]
fn pairs_on_pages_shared_with_a_child() {
    pairs_keep_the_laws(2);
}

#[test]
fn pairs_on_pages_of_a_file() {
    pairs_keep_the_laws(3);
}

#[test]
fn pairs_on_private_pages_of_a_file() {
    pairs_keep_the_laws(4);
}

/// No excuse is there for nothing.
#[test]
fn each_excuse_is_needed() {
    for (reason, ground, first, second) in EXCUSES {
        assert_eq!(excuse(first, second), Some(*reason));
        let broken = broken_by(*ground, *first, *second);
        assert!(broken.contains(&Law::Linear), "{reason}");
    }
}

/// Each guard, a race that breaks without it, and the law that is broken first.
const NEEDED: &[(Guard, &str, Law)] = &[
    (Guard::Sem, "fork beside munmap", Law::Sound),
    (
        Guard::Decide,
        "mremap of a part beside stores to it",
        Law::Linear,
    ),
    (
        Guard::MapErr,
        "mmap over of less beside stores",
        Law::Linear,
    ),
    (Guard::AccErr, "mprotect to read beside stores", Law::Linear),
    (
        Guard::Bus,
        "munmap and ftruncate beside a first load",
        Law::Linear,
    ),
    (Guard::Prepare, "fork beside a first store", Law::Sound),
    (
        Guard::Grow,
        "a stack grows beside mprotect of it",
        Law::Linear,
    ),
    (Guard::AnonLock, "two growths of a stack", Law::Sound),
    (Guard::PageTableLock, "growths of two stacks", Law::Sound),
    (Guard::NoPass, "munmap beside a first store", Law::Sound),
    (Guard::SameEntry, "two first stores", Law::Sound),
    (
        Guard::TableLock,
        "a copy beside its sharer's exit",
        Law::Linear,
    ),
    (Guard::Nested, "two MADV_DONTNEED", Law::Linear),
    (
        Guard::FreeLast,
        "MADV_DONTNEED beside munmap",
        Law::FreedInTlb,
    ),
    (
        Guard::ClaimFlags,
        "mprotect to read beside stores",
        Law::Linear,
    ),
    (
        Guard::ClaimMove,
        "mremap of a part beside stores to it",
        Law::Linear,
    ),
    (
        Guard::ClaimCopy,
        "fork beside stores to a page that a TLB holds and one that none does",
        Law::Linear,
    ),
    (
        Guard::ClaimCollapse,
        "collapse beside a first store",
        Law::Stuck,
    ),
    (
        Guard::PageLock,
        "ftruncate beside a first load",
        Law::Linear,
    ),
    (Guard::InodeLock, "two ftruncates", Law::Linear),
    (
        Guard::Mapping,
        "ftruncate beside mremaps there and back",
        Law::Linear,
    ),
    (
        Guard::SwapLock,
        "reclaim of a shared page beside a copy",
        Law::Linear,
    ),
];

/// Guards that another one covers in every race that is known, and what shows that they do hold:
/// with the other one off the race keeps the laws, with both off it breaks this one. A page that a
/// TLB may still store to, and that is in a table, is one that a fork is copying.
const COVERED: &[(Guard, Guard, &str, Law)] = &[(
    Guard::CopyStill,
    Guard::ClaimCopy,
    "fork beside stores of two threads",
    Law::Linear,
)];

/// No guard is there for nothing.
#[test]
fn each_guard_that_is_off_breaks_a_law() {
    let needed = NEEDED.iter().map(|needed| needed.0);
    let mut listed: Vec<Guard> = needed
        .chain(COVERED.iter().map(|covered| covered.0))
        .collect();
    listed.sort_unstable();
    assert_eq!(listed, Guard::ALL);
    let race = |name: &str| RACES.iter().find(|race| race.name == name).expect("a race");
    let bit = |guard: Guard| 1 << guard as u32;
    for &(guard, name, law) in NEEDED {
        let (broken, _) = broken(race(name), bit(guard), true);
        assert!(broken.contains(&law), "{}: {broken:?}", guard.name());
    }
    for &(guard, by, name, law) in COVERED {
        let (kept, _) = broken(race(name), bit(by), true);
        let (broken, _) = broken(race(name), bit(by) | bit(guard), true);
        assert!(
            kept.is_empty() && broken.contains(&law),
            "{}: {kept:?} {broken:?}",
            guard.name()
        );
    }
}
