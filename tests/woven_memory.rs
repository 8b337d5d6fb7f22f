//! Woven runs need no more memory once they are warm: weaving allocates nothing at all, and
//! judging keeps nothing of what it may allocate.

use std::sync::Arc;

use vmadiff::designs::Planted;
use vmadiff::pair::pair;
use vmadiff::program::mutate::{Flavour, generate};
use vmadiff::program::{Policy, Program, Step};
use vmadiff::run::Weaver;
use vmadiff_contract::CallKind;

/// Different programs, and rounds until nothing grows any more.
const PROGRAMS: u64 = 120;
const ROUNDS: u32 = 8;

const POLICIES: [Policy; 5] = [
    Policy::Preemptions,
    Policy::RandomWalk,
    Policy::Pct,
    Policy::Pos,
    Policy::Surw,
];

/// Calls in which the candidate itself needs no list of its own; fork copies one, for example.
const PLAIN: [CallKind; 9] = [
    CallKind::Mmap,
    CallKind::Munmap,
    CallKind::Mprotect,
    CallKind::Madvise,
    CallKind::Load,
    CallKind::Store,
    CallKind::Exec,
    CallKind::Exit,
    CallKind::Reclaim,
];

fn programs(policy: Policy) -> Vec<Program> {
    let profile = pair(&Planted::default()).profile(Flavour::Interleaved);
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
    let mut weaver = Weaver::new(Arc::new(|config, events| {
        Planted::default().boot(config, events)
    }));
    let known = weaver.supports();
    for policy in POLICIES {
        let mut programs = programs(policy);
        let plain = |step: &Step| PLAIN.contains(&step.call.kind());
        programs.retain(|program| program.calls.iter().all(plain));
        assert!(programs.len() > 9, "{}", programs.len());
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
    let mut pair = pair(&Planted::default());
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
