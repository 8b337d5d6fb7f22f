//! Managers that have run a while need no more memory: a judged program keeps nothing then, and
//! allocates nothing at all unless a call needs a list of its own while it works,
//! and so a campaign of any length stays as large as it was soon after its start.

use allocation_counter::AllocationInfo;
use vmadiff::designs::Planted;
use vmadiff::pair::{TWICE_IN, pair};
use vmadiff::program::Program;
use vmadiff::program::mutate::{Flavour, generate};
use vmadiff_contract::CallKind;

/// Programs of a round.
const PROGRAMS: usize = 200;

/// Calls for which a manager makes a list while it works (of pages; of a process's own limits and of
/// pages that are not in the page cache), which is freed at the latest when the managers boot again.
const WITH_A_LIST: [CallKind; 5] = [
    CallKind::Mremap,
    CallKind::Collapse,
    CallKind::Reclaim,
    CallKind::SetRlimit,
    CallKind::Evict,
];

/// What a round of programs allocates once the managers are warm.
fn once_warm(of: impl Fn(&Program) -> bool) -> AllocationInfo {
    let mut pair = pair(&Planted::default());
    let profile = pair.profile(Flavour::Serial);
    // Those that run twice are kept in full, and that takes memory.
    let programs: Vec<_> = (0..)
        .map(|seed| generate(seed, &profile))
        .filter(|program| !program.is_one_in(TWICE_IN) && of(program))
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
    allocation_counter::measure(&mut round)
}

#[test]
fn judged_programs_allocate_nothing_once_warm() {
    let listed = |program: &Program| {
        let mut kinds = program.calls.iter().map(|step| step.call.kind());
        kinds.any(|kind| WITH_A_LIST.contains(&kind))
    };
    let warm = once_warm(|program| !listed(program));
    assert_eq!((warm.count_total, warm.bytes_current), (0, 0), "{warm:?}");
}

#[test]
fn judged_programs_keep_nothing_once_warm() {
    let warm = once_warm(|_| true);
    assert_eq!((warm.count_current, warm.bytes_current), (0, 0), "{warm:?}");
}
