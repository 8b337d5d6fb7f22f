//! What a manager lacks is not asked of it, and what was not tried is not said to agree.

use std::ops::Range;
use std::sync::Arc;

use vmadiff::areas::{Areas, Place};
use vmadiff::compare::Compare;
use vmadiff::contract::{
    Call, Capabilities, Config, DesignInfo, Errno, EventSink, Fail, Manager, Outcome, Prot,
    Snapshot, TaskId,
};
use vmadiff::designs::Planted;
use vmadiff::expect::{Of, looks, unasked_in, unmet_in};
use vmadiff::judge::Verdict;
use vmadiff::program::mutate::{Flavour, Profile, generate};
use vmadiff::{CallKind, Placement, View, compare};

use super::space::{self, Space};
use super::{case, finds};

/// A manager that knows no exit, and cannot take being asked for it.
struct Endless(Box<dyn Manager>);

fn endless(config: &Config, events: Arc<dyn EventSink>, _: &[&str]) -> Box<dyn Manager> {
    Box::new(Endless(Planted::default().boot(config, events)))
}

impl Manager for Endless {
    fn boot(config: &Config, events: Arc<dyn EventSink>) -> Box<dyn Manager> {
        endless(config, events, &[])
    }

    fn reset(&mut self, config: &Config) {
        self.0.reset(config);
    }

    fn name(&self) -> &'static str {
        "endless"
    }

    fn supports(&self) -> Capabilities {
        self.0.supports().without(&[CallKind::Exit])
    }

    fn call(&self, task: TaskId, call: &Call, fail: Fail) -> Outcome {
        assert_ne!(*call, Call::Exit, "it has no exit");
        self.0.call(task, call, fail)
    }

    fn snapshot(&self, into: &mut Snapshot) {
        self.0.snapshot(into);
    }

    fn quiesce(&self) {
        self.0.quiesce();
    }
}

/// Forgets to name what it must have, and maps nothing.
struct Unnamed;

impl Areas for Unnamed {
    const HAS: &'static [CallKind] = &[CallKind::Munmap];

    fn boot(_: &Config) -> Self {
        Self
    }

    fn map(&mut self, range: Range<u64>, _: Prot, _: Place) -> Result<u64, Errno> {
        Ok(range.start)
    }

    fn unmap(&mut self, _: Range<u64>) -> Result<(), Errno> {
        Ok(())
    }

    fn each(&self, _: impl FnMut(Range<u64>, Prot)) {}
}

#[test]
fn what_must_be_had_is_asked_though_it_is_not_named() {
    let unnamed = compare::<Unnamed>("unnamed").placement(Placement::FollowReference);
    finds(unnamed.view(View::areas()), "state/mmap/vmas.missing", 1);
}

#[test]
fn an_exit_that_is_not_had_is_not_called() {
    let own = Planted::default().design();
    let mut pair = Compare::of(DesignInfo {
        sites: own.sites,
        reasons: own.reasons,
        breaches: own.breaches,
        counts: own.counts,
        frees: own.frees,
        aims: own.aims,
        ..DesignInfo::plain("endless", endless)
    })
    .pair();
    for flavour in [Flavour::Serial, Flavour::Interleaved] {
        let profile = pair.profile(flavour);
        for seed in 0..300 {
            let program = generate(seed, &profile);
            let ran = pair.run(&program, &mut ());
            let verdict = ran.map(|ran| ran.verdict);
            assert!(
                !matches!(verdict, Some(Verdict::Diverge(_))),
                "{verdict:?}\n{program}"
            );
            let observed = pair.observe(&program).verdict;
            assert!(
                !matches!(observed, Verdict::Diverge(_)),
                "{observed:?}\n{program}"
            );
        }
    }
}

/// Nothing raced, so nothing may say that races agree.
#[test]
fn a_race_of_a_manager_without_points_is_not_run() {
    let mut pair = compare::<Space<{ space::RIGHT }>>("space")
        .view(View::areas().joined())
        .placement(Placement::FollowReference)
        .pair();
    assert!(!pair.interleaves());
    let race =
        case("munmap(0x1f0000, 0x1000)\n[2] munmap(0x1f0000, 0x1000)\npolicy: random seed=3\n");
    let ran = pair.run(&race.program, &mut ()).expect("something is said");
    assert_eq!(ran.verdict, pair.observe(&race.program).verdict);
    let Verdict::Skip(why) = ran.verdict else {
        panic!("{:?}", ran.verdict);
    };
    assert!(why.contains("would not race"), "{why}");
    let own = vmadiff::pair::pair(&Planted::default());
    assert!(own.interleaves());
}

/// Some manager has only these calls, whichever they are.
#[test]
fn programs_can_be_made_of_any_calls() {
    let single = CallKind::ALL.iter().map(|kind| vec![*kind]);
    let mut subsets: Vec<Vec<CallKind>> = single.chain([Vec::new()]).collect();
    for seed in 1..60_u64 {
        let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let some = |kind: &&CallKind| mixed >> (**kind as u64) & 1 == 1;
        subsets.push(CallKind::ALL.iter().filter(some).copied().collect());
    }
    for calls in subsets {
        for flavour in [Flavour::Serial, Flavour::Interleaved] {
            let profile = Profile {
                flavour,
                calls: Capabilities::of(&calls),
                ..Profile::default()
            };
            for seed in 0..100 {
                generate(seed, &profile);
            }
        }
    }
}

fn space() -> Compare {
    compare::<Space<{ space::RIGHT }>>("space")
        .view(View::areas().joined())
        .placement(Placement::FollowReference)
}

/// What is not made is named, and what was expected of it is not said to be met.
#[test]
fn calls_that_are_not_made_are_named() {
    let mut pair = space().pair();
    let mixed = case(
        "mmap(0x1f0000, 0x2000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0) = 0x1f0000\n\
         mremap(0x1f0000, 0x2000, 0x1000, 0) = 0x1f0000\n\
         munmap(0x1f0800, 0x1000) = -1 EINVAL\n\
         mlock(0x1f0000, 0x1000)\n\
         munmap(0x1f0000, 0x1000) = 0\n",
    );
    let ran = pair.observe_twice_at(&mixed.program, &looks(&mixed));
    assert_eq!(ran.verdict, Verdict::Agree);
    assert_eq!(ran.unmade(), [1, 2, 3]);
    assert_eq!(unmet_in(&mixed, &ran), []);
    let unasked: Vec<Of> = unasked_in(&mixed, &ran).iter().map(|it| it.of).collect();
    assert_eq!(unasked, [Of::Call(1), Of::Call(2)]);
    // A text for a manager without it may say so.
    let told = case("mlock(0x1f0000, 0x1000) = UNSUPPORTED\n");
    let ran = pair.observe_twice(&told.program);
    assert_eq!(unasked_in(&told, &ran), []);
    let own = vmadiff::pair::pair(&Planted::default()).observe(&mixed.program);
    assert!(own.unmade().is_empty());
}

#[test]
fn what_cannot_be_seen_is_not_said_to_be_met() {
    let mut pair = space().pair();
    let asks = case(
        "mmap(0x1f0000, 0x1000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0) frees none\n\
         status: size=1\n",
    );
    let ran = pair.observe_twice_at(&asks.program, &looks(&asks));
    let unasked: Vec<Of> = unasked_in(&asks, &ran).iter().map(|it| it.of).collect();
    assert_eq!(unasked, [Of::Call(0), Of::Check(0)]);
}

/// Neighbours are one on both sides, in what a text expects, too.
#[test]
fn areas_are_asked_where_neighbours_are_joined() {
    let mut pair = space().pair();
    let mut unmet = |maps: &str| {
        let text = format!(
            "mmap(0x1f0000, 0x2000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)\n\
             mmap(0x1f2000, 0x1000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)\n\
             maps:\n{maps}"
        );
        let asks = case(&text);
        let ran = pair.observe_twice_at(&asks.program, &looks(&asks));
        assert_eq!(
            (&ran.verdict, unasked_in(&asks, &ran)),
            (&Verdict::Agree, vec![])
        );
        unmet_in(&asks, &ran).len()
    };
    assert_eq!(unmet("  001f0000-001f3000 r--p 00000000 anon\n"), 0);
    let apart = "  001f0000-001f2000 r--p 00000000 anon\n  001f2000-001f3000 r--p 00000000 anon\n";
    assert_eq!(unmet(apart), 0);
    // Of the reference, and of the candidate.
    assert_eq!(unmet("  001f0000-001f2000 r--p 00000000 anon\n"), 2);
    assert_eq!(unmet("  001f0000-001f3000 rw-p 00000000 anon\n"), 2);
}

#[test]
#[should_panic(expected = "call 2, mlock(0x1f0000, 0x1000): not made")]
fn a_test_of_a_call_that_is_not_made_fails() {
    space().check("munmap(0x1f0000, 0x1000)\nmlock(0x1f0000, 0x1000)");
}

/// Areas that are drawn alike and allow something else are no areas of both.
#[test]
fn states_that_differ_are_not_drawn_as_one() {
    let mut pair = compare::<Space<{ space::SKIPS_HOLES }>>("space")
        .view(View::areas().joined())
        .pair();
    let drawn = |pair: &mut vmadiff::pair::Pair, len: u64| {
        let wrong = case(&format!(
            "mmap(0x1f0000, 0x1000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)\n\
             mmap(0x1f2000, 0x1000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)\n\
             mprotect(0x1f0000, {len:#x}, PROT_NONE)\n"
        ));
        let ran = pair.observe(&wrong.program);
        let found = super::divergence(&ran).expect("it diverges");
        vmadiff::report::explain(&wrong.program, found, &ran, "", 100).to_string()
    };
    let behind = drawn(&mut pair, 0x3000);
    assert!(!behind.contains("both after"), "{behind}");
    // Up to the hole both are the same, and only the answers differ.
    let before = drawn(&mut pair, 0x2000);
    assert!(before.contains("both after"), "{before}");
}
