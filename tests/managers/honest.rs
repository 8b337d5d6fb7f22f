//! What a manager lacks is not asked of it, and what was not tried is not said to agree.

use std::sync::Arc;

use vmadiff::compare::Compare;
use vmadiff::contract::{
    Call, Capabilities, Config, DesignInfo, EventSink, Fail, Manager, Outcome, Snapshot, TaskId,
};
use vmadiff::designs::Planted;
use vmadiff::judge::Verdict;
use vmadiff::program::mutate::{Flavour, Profile, generate};
use vmadiff::{CallKind, Placement, View, compare};

use super::case;
use super::space::{self, Space};

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
