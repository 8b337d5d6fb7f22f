//! The mutator keeps to whole records, can grow and shrink, and mostly changes the list of calls.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;
use vmadiff::designs::Planted;
use vmadiff::program::bytes::{HEADER, MAX_STEPS, RECORD, is_long};
use vmadiff::program::mutate::{Flavour, Profile, Size, crossover, generate, mutate};
use vmadiff::program::{Program, Step};
use vmadiff_contract::{
    Call, CallKind, Capabilities, Config, Event, EventSink, Fail, Manager, Note, PAGE_SIZE,
};
use vmadiff_reference::Reference;

use crate::strategy;

fn interleaved() -> Profile {
    Profile {
        flavour: Flavour::Interleaved,
        ..Profile::default()
    }
}

fn no_engine(_: &mut [u8], size: usize, _: usize) -> usize {
    size
}

/// The input after one change.
fn changed(input: &[u8], max_size: usize, seed: u32, profile: &Profile) -> Vec<u8> {
    let mut data = input.to_vec();
    data.resize(max_size.max(input.len()), 0xee);
    let size = mutate(&mut data, input.len(), max_size, seed, profile, no_engine);
    data.truncate(size);
    data
}

fn profile() -> impl Strategy<Value = Profile> {
    prop_oneof![Just(Profile::default()), Just(interleaved())]
}

proptest! {
    #[test]
    fn changes_keep_to_the_bound_and_to_whole_records(
        input in strategy::bytes(),
        room in 0..1200_usize,
        seed in any::<u32>(),
        profile in profile(),
    ) {
        let result = changed(&input, room, seed, &profile);
        prop_assert!(result.len() <= room);
        prop_assert!(!is_long(&result) || result == input);
        if !seed.is_multiple_of(8) && room >= HEADER {
            prop_assert_eq!((result.len() - HEADER) % RECORD, 0);
            prop_assert_eq!(Program::decode(&result).encode(), result.as_slice());
        }
        prop_assert_eq!(&result, &changed(&input, room, seed, &profile), "not deterministic");
    }

    #[test]
    fn crossing_keeps_to_the_bound_and_to_whole_records(
        one in strategy::bytes(),
        other in strategy::bytes(),
        room in HEADER..1200_usize,
        seed in any::<u32>(),
        profile in profile(),
    ) {
        let mut out = vec![0xee; room];
        let size = crossover(&one, &other, &mut out, seed, &profile);
        out.truncate(size);
        prop_assert_eq!((size - HEADER) % RECORD, 0);
        prop_assert_eq!(Program::decode(&out).encode(), out);
    }

    #[test]
    fn fresh_programs_are_exact_and_bounded(seed in any::<u64>(), profile in profile()) {
        let program = generate(seed, &profile);
        prop_assert_eq!(Program::decode(&program.encode()), program.clone());
        prop_assert!((1..=MAX_STEPS).contains(&program.calls.len()));
        let interleaved = profile.flavour == Flavour::Interleaved;
        prop_assert!(interleaved || program.schedule == Default::default());
    }
}

/// Shrinking takes away until nothing is left to take: an engine can minimize with it.
#[test]
fn shrinking_comes_to_an_end() {
    let mut input = generate(3, &interleaved()).encode();
    let mut seed = 0;
    while input.len() > HEADER {
        let smaller = changed(&input, input.len() - 1, seed, &interleaved());
        assert!(smaller.len() < input.len());
        input = smaller;
        seed += 1;
    }
    assert_eq!(Program::decode(&input).calls, []);
}

#[test]
fn calls_are_inserted_deleted_duplicated_or_swapped_in_two_fifths() {
    let input = generate(5, &Profile::default()).encode();
    let before = Program::decode(&input).calls;
    assert!(before.len() >= 8);
    for profile in [Profile::default(), interleaved()] {
        let (mut list, mut total) = (0, 0);
        for seed in (0..6_000_u32).filter(|seed| !seed.is_multiple_of(8)) {
            let after = Program::decode(&changed(&input, 4096, seed, &profile)).calls;
            list += u32::from(after.len() != before.len() || permuted(&before, &after));
            total += 1;
        }
        assert!(list * 10 >= total * 4, "{profile:?}: {list} of {total}");
    }
}

fn permuted(before: &[Step], after: &[Step]) -> bool {
    let sorted = |steps: &[Step]| {
        let mut texts: Vec<_> = steps.iter().map(Step::to_string).collect();
        texts.sort();
        texts
    };
    before != after && sorted(before) == sorted(after)
}

#[test]
fn one_change_in_eight_is_the_engines() {
    let mut data = generate(5, &Profile::default()).encode();
    let size = data.len();
    data.resize(4096, 0);
    let mut calls = 0;
    for seed in 0..800 {
        mutate(
            &mut data.clone(),
            size,
            4096,
            seed,
            &Profile::default(),
            |_, size, _| {
                calls += 1;
                size
            },
        );
    }
    assert_eq!(calls, 100);
}

/// Engines ask for crosses as often as for changes, and what comes of two races is hardly ever a race.
#[test]
fn of_eight_crosses_of_races_seven_are_made_anew() {
    for (profile, anew) in [(Profile::default(), 0), (interleaved(), 896)] {
        let [one, other] = [3, 5].map(|seed| generate(seed, &profile).encode());
        let made = (0..1024_u32).filter(|&seed| {
            let mut out = vec![0; 4096];
            let size = crossover(&one, &other, &mut out, seed, &profile);
            let mut anew = generate(seed.into(), &profile);
            // As long as races are that engines change.
            anew.calls.truncate(24);
            out[..size] == anew.encode()
        });
        assert_eq!(made.count(), anew, "{profile:?}");
    }
}

/// The engine may set the mark of a long program; nobody runs it then.
#[test]
fn the_engine_cannot_make_an_input_unbounded() {
    let mut data = vec![0; 4096];
    let engine = |data: &mut [u8], _, max_size| {
        data.fill(0xa5);
        max_size
    };
    let size = mutate(&mut data, 4000, 4096, 0, &Profile::default(), engine);
    assert!(!is_long(&data[..size]));
}

#[test]
fn only_calls_that_the_managers_know_are_fresh() {
    let calls = Capabilities::of(&[CallKind::Mmap, CallKind::Load, CallKind::Munmap]);
    for flavour in [Flavour::Serial, Flavour::Interleaved] {
        let profile = Profile {
            flavour,
            calls,
            ..Profile::default()
        };
        let mut input = Vec::new();
        for seed in 1..2000 {
            let program = generate(seed.into(), &profile);
            input = changed(&input, 2048, seed, &profile);
            let grown = Program::decode(&input);
            let mut kinds = program
                .calls
                .iter()
                .chain(&grown.calls)
                .map(|step| step.call.kind());
            assert!(kinds.all(|kind| calls.knows(kind)));
        }
    }
}

struct Silent;

impl EventSink for Silent {
    fn event(&self, _: Event) {}
}

/// How many calls succeed on the reference, and of how many.
#[derive(Default)]
struct Tally {
    calls: (u32, u32),
    accesses: (u32, u32),
}

impl Tally {
    fn run(&mut self, program: &Program) {
        let manager = Reference::new(&program.config, Arc::new(Silent));
        for step in &program.calls {
            let success = u32::from(manager.call(step.task, &step.call, step.fail).is_success());
            self.calls = (self.calls.0 + success, self.calls.1 + 1);
            if matches!(step.call.kind(), CallKind::Load | CallKind::Store) {
                self.accesses = (self.accesses.0 + success, self.accesses.1 + 1);
            }
        }
    }

    #[track_caller]
    fn check(&self, calls_floor: u32, accesses_floor: u32) {
        let percent = |(success, all): (u32, u32)| success * 100 / all;
        let (calls, accesses) = (percent(self.calls), percent(self.accesses));
        assert!(
            calls >= calls_floor && accesses >= accesses_floor,
            "{calls} %, {accesses} %"
        );
    }
}

/// What the reference serves of the calls that it knows.
fn known(flavour: Flavour) -> Profile {
    let calls = Reference::new(&Config::default(), Arc::new(Silent)).supports();
    Profile {
        flavour,
        calls,
        ..Profile::default()
    }
}

#[test]
fn fresh_programs_mostly_succeed() {
    for flavour in [Flavour::Serial, Flavour::Interleaved] {
        let mut tally = Tally::default();
        for seed in 0..1000 {
            tally.run(&generate(seed, &known(flavour)));
        }
        tally.check(75, 70);
    }
}

/// Thousands of changes without any selection wear a program down only so far.
#[test]
fn changed_programs_still_mostly_succeed() {
    for flavour in [Flavour::Serial, Flavour::Interleaved] {
        let profile = known(flavour);
        let mut tally = Tally::default();
        let mut input = Vec::new();
        for seed in 0..3000 {
            input = changed(&input, HEADER + RECORD * 40, seed, &profile);
            tally.run(&Program::decode(&input));
        }
        tally.check(60, 50);
    }
}

/// Counts faults by the way in which they were served.
#[derive(Default)]
struct Faults {
    speculative: AtomicU32,
    classic: AtomicU32,
}

impl EventSink for Faults {
    fn event(&self, event: Event) {
        let count = match event {
            Event::Note(Note::Speculative) => &self.speculative,
            Event::Note(Note::Classic) => &self.classic,
            _ => return,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// A campaign in which nothing is speculative tests nothing that is worth it.
#[test]
fn faults_of_fresh_programs_are_often_speculative() {
    for flavour in [Flavour::Serial, Flavour::Interleaved] {
        let faults = Arc::new(Faults::default());
        for seed in 0..1000 {
            let program = generate(seed, &known(flavour));
            let manager = Planted::default().boot(&program.config, faults.clone());
            for step in &program.calls {
                manager.call(step.task, &step.call, step.fail);
            }
        }
        let speculative = faults.speculative.load(Ordering::Relaxed);
        let all = speculative + faults.classic.load(Ordering::Relaxed);
        assert!(
            speculative * 5 >= all,
            "{flavour:?}: {speculative} of {all}"
        );
    }
}

/// Every call is met, and what maps and touches most of all.
#[test]
fn fresh_programs_have_every_call() {
    let mut met: HashMap<CallKind, u32> = HashMap::new();
    let mut total = 0;
    for seed in 0..4000 {
        for step in generate(seed, &Profile::default()).calls {
            *met.entry(step.call.kind()).or_default() += 1;
            total += 1;
        }
    }
    for kind in CallKind::ALL {
        assert!(
            met.get(kind).is_some_and(|&n| n >= 100),
            "{kind:?}: {met:?}"
        );
    }
    let touching = met[&CallKind::Load] + met[&CallKind::Store] + met[&CallKind::Mmap];
    assert!(touching * 3 >= total, "{met:?}");
}

/// Accesses are to first bytes of pages mostly, to last ones often, and to any now and then; some programs have two
/// side by side across the border of two pages.
#[test]
fn accesses_are_to_the_ends_of_pages() {
    let (mut first, mut last, mut inner, mut across) = (0, 0, 0, 0);
    for seed in 0..2000 {
        let mut touched = Vec::new();
        for step in generate(seed, &Profile::default()).calls {
            let (Call::Load { addr } | Call::Store { addr, .. }) = step.call else {
                continue;
            };
            touched.push(addr);
            *match addr % PAGE_SIZE {
                0 => &mut first,
                byte if byte == PAGE_SIZE - 1 => &mut last,
                _ => &mut inner,
            } += 1;
        }
        let ends = |addr: &u64| {
            addr % PAGE_SIZE == PAGE_SIZE - 1 && touched.contains(&addr.wrapping_add(1))
        };
        across += u32::from(touched.iter().any(ends));
    }
    let all = first + last + inner;
    assert!(first * 3 > all * 2, "{first} of {all} to a first byte");
    assert!(last * 10 > all, "{last} of {all} to a last one");
    assert!(inner * 10 > all, "{inner} of {all} between");
    assert!(across * 20 > 2000, "{across} of 2000 across a border");
}

/// Inputs that grow by changes alone stay near the length of fresh ones.
#[test]
fn programs_keep_their_length() {
    let mut input = generate(1, &Profile::default()).encode();
    let (mut calls, mut rounds) = (0, 0);
    for seed in 0..5000 {
        input = changed(&input, 16 + 48 * 80, seed, &Profile::default());
        calls += Program::decode(&input).calls.len();
        rounds += 1;
    }
    let mean = calls / rounds;
    assert!((4..=48).contains(&mean), "{mean}");
}

/// Large races have as many calls as bytes keep, of many tasks, and come back from bytes as they were.
#[test]
fn large_races_are_large() {
    let profile = Profile {
        size: Size::Large,
        ..interleaved()
    };
    let (mut calls, mut forks, mut fails) = (0, 0, 0);
    for seed in 0..200 {
        let program = generate(seed, &profile);
        let tasks = program.config.tasks;
        assert!((3..=8).contains(&tasks), "{tasks}");
        assert!((24..=64).contains(&program.calls.len()), "{program}");
        assert_eq!(Program::decode(&program.encode()), program);
        calls += program.calls.len();
        let count = |is: fn(&Step) -> bool| program.calls.iter().filter(|step| is(step)).count();
        forks += count(|step| step.call == Call::Fork);
        fails += count(|step| step.fail != Fail::NONE);
    }
    assert!(forks * 30 > calls, "{forks} of {calls} calls are forks");
    assert!(fails * 20 > calls, "{fails} of {calls} calls fail");
}
