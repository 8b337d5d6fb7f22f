//! Woven runs need no more memory once they are warm: weaving allocates nothing at all, and
//! judging keeps nothing of what it may allocate.

use std::sync::Arc;

use vmadiff::pair::pair;
use vmadiff::program::mutate::{Flavour, Profile, generate};
use vmadiff::program::{Policy, Program};
use vmadiff::run::Weaver;
use vmadiff_candidate::{Candidate, Defects};
use vmadiff_contract::{Call, Manager};

/// Different programs, and rounds until nothing grows any more.
const PROGRAMS: u64 = 60;
const ROUNDS: u32 = 3;

const POLICIES: [Policy; 4] = [
    Policy::Preemptions,
    Policy::RandomWalk,
    Policy::Pct,
    Policy::Pos,
];

fn programs(policy: Policy) -> Vec<Program> {
    let profile = Profile {
        flavour: Flavour::Interleaved,
        calls: pair(Defects::NONE).known(),
    };
    let fresh = (0..PROGRAMS).map(|seed| generate(seed, &profile));
    let mut programs: Vec<Program> = fresh.collect();
    // One in a thousand runs twice and is compared, which allocates.
    programs.retain(|program| !program.schedule.is_serial() && !program.is_one_in(1000));
    for program in &mut programs {
        program.schedule.policy = policy;
    }
    programs
}

/// What a round allocates once it is warm.
fn once_warm(mut round: impl FnMut()) -> allocation_counter::AllocationInfo {
    for _ in 0..ROUNDS {
        round();
    }
    allocation_counter::measure(round)
}

#[test]
fn weaving_allocates_nothing() {
    let mut weaver = Weaver::<Candidate>::new(Arc::new(Candidate::new));
    let known = weaver.supports();
    for policy in POLICIES {
        let mut programs = programs(policy);
        // fork copies a list of descriptors.
        programs.retain(|program| program.calls.iter().all(|step| step.call != Call::Fork));
        let used = once_warm(|| {
            for program in &programs {
                assert!(weaver.weave(program, known, None).finished(), "{program}");
            }
        });
        assert_eq!(used.count_total, 0, "{policy:?}: {used:?}");
    }
}

#[test]
fn judging_keeps_nothing() {
    let mut pair = pair(Defects::NONE);
    for policy in POLICIES {
        let programs = programs(policy);
        let used = once_warm(|| {
            for program in &programs {
                assert!(pair.run(program, &mut ()).is_none(), "{program}");
            }
        });
        assert_eq!(used.bytes_current, 0, "{policy:?}: {used:?}");
    }
}
