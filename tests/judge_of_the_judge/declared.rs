//! A candidate is judged by what its design declares: the story that agrees with one declaration
//! breaks the law of another.

use vmadiff::judge::{Rule, Verdict, judge};
use vmadiff_contract::{AtRest, Count, DesignInfo, Frees};

use crate::story::{DESIGN, Story};

/// The rule that the story, as it was told, breaks if the candidate had declared this.
fn broken_by(design: &'static DesignInfo) -> Option<Rule> {
    let story = Story::told();
    match judge(&story.program, design, &story.ours, &story.theirs) {
        Verdict::Diverge(found) => Some(found.signature.rule),
        Verdict::Agree => None,
        Verdict::Skip(why) => panic!("{why}"),
    }
}

const fn references(fresh: u32, linked: u32) -> Count {
    Count {
        name: "references",
        at_rest: AtRest::References { fresh, linked },
    }
}

#[test]
fn frees_are_late_where_the_design_says_at_once() {
    static AT_ONCE: DesignInfo = DesignInfo {
        frees: Frees::AtOnce,
        counts: DESIGN.counts,
        ..DesignInfo::plain("at-once", DESIGN.boot)
    };
    static RECYCLED: DesignInfo = DesignInfo {
        frees: Frees::Recycled,
        counts: DESIGN.counts,
        ..DesignInfo::plain("recycled", DESIGN.boot)
    };
    assert_eq!(broken_by(&DESIGN), None);
    assert_eq!(broken_by(&AT_ONCE), Some(Rule::VmaFreedLate));
    assert_eq!(broken_by(&RECYCLED), Some(Rule::VmaFreedLate));
}

#[test]
fn counts_are_those_that_the_design_declares() {
    static NONE: DesignInfo = DesignInfo {
        frees: Frees::AfterReaders,
        ..DesignInfo::plain("none", DESIGN.boot)
    };
    static THREE: DesignInfo = DesignInfo {
        frees: Frees::AfterReaders,
        counts: &[references(1, 3)],
        ..DesignInfo::plain("three", DESIGN.boot)
    };
    static FRESH: DesignInfo = DesignInfo {
        frees: Frees::AfterReaders,
        counts: &[references(0, 2)],
        ..DesignInfo::plain("fresh", DESIGN.boot)
    };
    static ODD_PLACE: DesignInfo = DesignInfo {
        frees: Frees::AfterReaders,
        counts: &[DESIGN.counts[1], DESIGN.counts[0]],
        ..DesignInfo::plain("odd-place", DESIGN.boot)
    };
    for design in [&NONE, &THREE, &FRESH, &ODD_PLACE] {
        assert_eq!(broken_by(design), Some(Rule::VmaReferences), "{design:?}");
    }
}
