//! Managers that have run a while need no more memory: a judged program allocates nothing then,
//! and so a campaign of any length stays as large as it was soon after its start.

use vmadiff::pair::pair;
use vmadiff::program::mutate::{Profile, generate};
use vmadiff::run::TWICE_IN;
use vmadiff_candidate::Defects;

/// Programs of a round.
const PROGRAMS: usize = 200;

#[test]
fn judged_programs_allocate_nothing_once_warm() {
    let mut pair = pair(Defects::NONE);
    let profile = Profile {
        calls: pair.known(),
        ..Profile::default()
    };
    // Those that run twice are kept in full, and that takes memory.
    let programs: Vec<_> = (0..)
        .map(|seed| generate(seed, &profile))
        .filter(|program| !program.is_one_in(TWICE_IN))
        .take(PROGRAMS)
        .collect();
    let mut round = || {
        for program in &programs {
            assert!(pair.run(program, &mut ()).is_none());
        }
    };
    let cold = allocation_counter::measure(&mut round);
    assert!(cold.count_total > 0, "the counter counts");
    // Memory is given out in another order the second time, so some of it grows once more.
    round();
    round();
    let warm = allocation_counter::measure(&mut round);
    assert_eq!((warm.count_total, warm.bytes_current), (0, 0), "{warm:?}");
}
