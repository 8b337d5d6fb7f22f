//! Differences that are no news: told, counted, and gone past.

use vmadiff::compare::{Change, Compare, Known, Origin, Passed};
use vmadiff::judge::Verdict;
use vmadiff::{CallKind, Placement, View, compare};

use super::space::{self, Space};
use super::{agrees, case, finds, first};

const NAME: &str = "protect goes on behind a hole";

fn with_holes<const BUG: u8>() -> Compare {
    compare::<Space<BUG>>("space")
        .view(View::areas().joined())
        .placement(Placement::FollowReference)
        .known(NAME, |step, difference| {
            step.call.kind() == CallKind::Mprotect && difference.names_a_hole()
        })
}

const TEXT: &str = "\
    mmap(0x1f0000, 0x1000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)\n\
    mmap(0x1f2000, 0x1000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)\n\
    mprotect(0x1f0000, 0x3000, PROT_READ|PROT_WRITE)\n\
    munmap(0x1f0000, 0x3000)\n";

#[test]
fn a_run_goes_on_past_a_known_difference() {
    let ran = with_holes::<{ space::SKIPS_HOLES }>()
        .pair()
        .observe(&case(TEXT).program);
    assert_eq!(ran.verdict, Verdict::Agree);
    let passed = Passed {
        at: 2,
        name: NAME,
        went_on: true,
    };
    assert_eq!(ran.known, [passed]);
    // What is behind it was run: from the same state, nothing is left.
    assert_eq!(ran.candidate.calls.len(), 4);
    assert!(ran.candidate.calls[3].state.vmas.is_empty());
}

#[test]
fn known_differences_are_counted_and_others_are_found() {
    let mut pair = with_holes::<{ space::SKIPS_HOLES }>().pair();
    assert!(first(&mut pair, 2000).is_none());
    let tally = pair.tally();
    assert!(tally.met[NAME] > 100, "{tally:?}");
    assert!(tally.ended.is_empty(), "{tally:?}");
    finds(
        with_holes::<{ space::LEAVES_LAST }>(),
        "state/munmap/vmas.extra",
        2,
    );
}

#[test]
fn what_is_known_is_no_more_than_it_says() {
    agrees(with_holes::<{ space::RIGHT }>(), 500);
    let nothing = compare::<Space<{ space::SKIPS_HOLES }>>("space")
        .view(View::areas().joined())
        .placement(Placement::FollowReference)
        .known("never", |_, _| false);
    finds(nothing, "outcome/mprotect/succeeded", 2);
}

/// Children cannot be brought to another state: a run that has some ends at the difference, as known.
#[test]
fn a_run_that_cannot_go_on_ends_as_known() {
    let text = format!("fork()\n{TEXT}");
    let ran = vmadiff::processes::compare::<Space<{ space::SKIPS_HOLES }>>("space")
        .view(View::processes().joined())
        .placement(Placement::FollowReference)
        .known(NAME, |_, difference| difference.names_a_hole())
        .pair()
        .observe(&case(&text).program);
    assert_eq!(ran.verdict, Verdict::Agree);
    assert_eq!(ran.known.len(), 1);
    assert!(!ran.known[0].went_on);
    assert_eq!(ran.candidate.calls.len(), 4);
}

/// Of a manager of memory: what is behind the difference must not be taken for one of its own.
#[test]
fn what_memory_holds_is_brought_past_a_known_difference() {
    let text = "\
        mmap(0x1f0000, 0x1000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)\n\
        store(0x1f0005, 7)\n\
        mmap(0x1f2000, 0x1000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)\n\
        mprotect(0x1f0000, 0x3000, PROT_READ)\n\
        load(0x1f0005) = 7\n\
        store(0x1f0005, 8) = SIGSEGV ACCERR\n\
        store(0x1f2000, 9) = 0\n";
    let compared = || {
        let known = |_: &_, difference: &vmadiff::Difference<'_>| difference.names_a_hole();
        vmadiff::memory::compare::<Space<{ space::SKIPS_HOLES }>>("space")
            .view(View::areas().joined())
            .placement(Placement::FollowReference)
            .known(NAME, known)
    };
    let ran = compared().pair().observe(&case(text).program);
    assert_eq!(ran.verdict, Verdict::Agree);
    let passed = Passed {
        at: 3,
        name: NAME,
        went_on: true,
    };
    assert_eq!(ran.known, [passed]);
    compared().check(text);
    let mut pair = compared().pair();
    assert!(first(&mut pair, 2000).is_none());
    let tally = pair.tally();
    assert!(tally.met[NAME] > 100 && tally.ended.is_empty(), "{tally:?}");
}

/// Areas that are not shown differ all the same: what accesses tell of them later is no news.
#[test]
fn areas_that_are_not_shown_are_brought_past_it_too() {
    let text = "\
        mmap(0x1f0000, 0x1000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)\n\
        mmap(0x1f2000, 0x1000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)\n\
        mprotect(0x1f0000, 0x3000, PROT_READ)\n\
        store(0x1f2000, 9) = 0\n";
    vmadiff::memory::compare::<Space<{ space::SKIPS_HOLES }>>("space")
        .view(View::areas().without(vmadiff::Shown::AREAS))
        .placement(Placement::FollowReference)
        .known(NAME, |_, difference| difference.names_a_hole())
        .check(text);
}

const BOUNDED: Known = Known {
    what: "mprotect changes what lies behind a hole, too.",
    origin: Origin::Changed(Change::since((0, 3), (0, 2), (0, 4))),
    program: TEXT,
    ..Known::new(NAME, &|_, difference| difference.names_a_hole())
};

fn knowing(known: Known) -> Compare {
    compare::<Space<{ space::SKIPS_HOLES }>>("space")
        .view(View::areas().joined())
        .placement(Placement::FollowReference)
        .knowing(known)
}

/// Its own program shows it, in the releases that have it; in others it is a finding.
#[test]
fn a_difference_is_known_only_of_releases_that_may_have_it() {
    let program = case(BOUNDED.program).program;
    for (compared, is_known) in [
        (knowing(BOUNDED), true),
        (knowing(BOUNDED).release(0, 3), true),
        (knowing(BOUNDED).release(1, 0), true),
        (knowing(BOUNDED).release(0, 2), false),
    ] {
        let ran = compared.pair().observe(&program);
        assert_eq!(ran.verdict == Verdict::Agree, is_known, "{:?}", ran.verdict);
        assert_eq!(ran.known.len(), usize::from(is_known));
    }
}

#[test]
fn an_entry_can_end_the_comparison() {
    let ends = Known {
        goes_on: false,
        ..BOUNDED
    };
    let ran = knowing(ends).pair().observe(&case(TEXT).program);
    assert_eq!(ran.verdict, Verdict::Agree);
    assert!(!ran.known[0].went_on);
    assert_eq!(ran.candidate.calls.len(), 3);
}
