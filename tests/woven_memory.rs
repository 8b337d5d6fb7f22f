//! Woven runs need no more memory once they are warm: no allocation in any, judged and all.

use vmadiff::pair::pair;
use vmadiff::program::mutate::{Flavour, Profile, generate};
use vmadiff::program::{Policy, Program};
use vmadiff_candidate::Defects;

/// Different programs, and rounds until nothing grows any more.
const PROGRAMS: u64 = 60;
const ROUNDS: u32 = 3;

#[test]
fn woven_runs_allocate_nothing_once_warm() {
    let mut pair = pair(Defects::NONE);
    let profile = Profile {
        flavour: Flavour::Interleaved,
        calls: pair.known(),
    };
    let mut programs: Vec<Program> = (0..PROGRAMS).map(|seed| generate(seed, &profile)).collect();
    // One in a thousand runs twice and is compared, which allocates; so does what is serial.
    programs.retain(|program| !program.schedule.is_serial() && !program.is_one_in(1000));
    for policy in [
        Policy::Preemptions,
        Policy::RandomWalk,
        Policy::Pct,
        Policy::Pos,
    ] {
        for program in &mut programs {
            program.schedule.policy = policy;
        }
        let mut round = || {
            for program in &programs {
                assert!(pair.run(program, &mut ()).is_none(), "{program}");
            }
        };
        for _ in 0..ROUNDS {
            round();
        }
        let used = allocation_counter::measure(round);
        assert_eq!(
            used.count_total, 0,
            "{policy:?}: {} bytes",
            used.bytes_total
        );
    }
}
