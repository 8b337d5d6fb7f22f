//! The judge of the judge: an agreeing run is told by hand, then forged in every way there is, and
//! each forgery must be objected to, under the right rule.

mod declared;
mod events;
mod outcomes;
mod replayed;
mod states;
mod story;
mod woven;

use std::cell::RefCell;
use std::collections::BTreeSet;

use story::{DESIGN, Story};
use vmadiff::judge::{RULES, Rule, Side, Verdict, judge};
use vmadiff::run::Observation;
use vmadiff::target::signature::unnamed;

thread_local! {
    /// The rules that objected to a forgery of this thread's.
    static FIRED: RefCell<BTreeSet<Rule>> = const { RefCell::new(BTreeSet::new()) };
}

#[test]
fn every_rule_has_a_forgery() {
    events::an_event_dropped_doubled_or_moved_is_objected_to();
    events::a_misuse_anywhere_is_objected_to();
    events::what_is_dead_or_unknown_is_not_to_be_named();
    outcomes::a_wrong_answer_is_objected_to();
    outcomes::a_panic_is_objected_to();
    states::a_changed_state_is_objected_to();
    states::what_is_left_at_the_end_is_objected_to();
    woven::a_run_that_does_not_end_is_objected_to();
    woven::what_a_call_leaves_behind_is_objected_to();
    woven::a_free_that_does_not_wait_for_readers_is_objected_to();
    replayed::what_differs_from_the_reference_is_objected_to();
    replayed::an_entry_from_nowhere_is_objected_to();
    replayed::a_fault_that_nothing_explains_is_objected_to();
    replayed::a_mark_that_is_missing_is_objected_to();
    let fired = FIRED.take();
    // That a run repeats is not the judge's to say: tests/runner.rs.
    let silent = RULES
        .iter()
        .filter(|r| r.rule != Rule::Nondeterminism && !fired.contains(&r.rule));
    let silent: Vec<_> = silent.map(|r| r.name).collect();
    assert!(silent.is_empty(), "no forgery fires {silent:?}");
}

#[test]
fn the_story_agrees() {
    let story = Story::told();
    assert_eq!(
        judge(&story.program, &DESIGN, &story.ours, &story.theirs),
        Verdict::Agree
    );
}

/// Forges one side of the story and demands one of these rules; with none, that it still agrees.
/// Answers what is wrong with the verdict, so that a test can list all there is.
#[must_use]
fn forged(
    story: &Story,
    side: Side,
    what: &str,
    rules: &[Rule],
    forge: impl Fn(&mut Observation),
) -> Option<String> {
    let (mut ours, mut theirs) = (story.ours.clone(), story.theirs.clone());
    forge(match side {
        Side::Reference => &mut ours,
        Side::Candidate => &mut theirs,
    });
    let verdict = judge(&story.program, &DESIGN, &ours, &theirs);
    if let Verdict::Diverge(found) = &verdict {
        // Services tell bugs apart by these.
        let mut unnamed = unnamed(&found.signature);
        // The story's design declares a rule of its own.
        unnamed.retain(|name| *name != "misuse-of-the-story");
        assert!(
            unnamed.is_empty(),
            "src/target/signature.rs lacks {unnamed:?}"
        );
        FIRED.with_borrow_mut(|fired| fired.insert(found.signature.rule));
    }
    let got = match verdict {
        Verdict::Diverge(found) if rules.contains(&found.signature.rule) => return None,
        Verdict::Agree if rules.is_empty() => return None,
        Verdict::Diverge(found) => format!("{}: {}", found.signature, found.what),
        other => format!("{other:?}"),
    };
    Some(format!("{side}, {what}: expected {rules:?}, got {got}"))
}

/// As [`forged`], for one forgery.
#[track_caller]
fn check(story: &Story, side: Side, what: &str, rules: &[Rule], forge: impl Fn(&mut Observation)) {
    if let Some(wrong) = forged(story, side, what, rules, forge) {
        panic!("{wrong}");
    }
}

#[track_caller]
fn nothing_wrong(wrong: &[String]) {
    assert!(
        wrong.is_empty(),
        "{} verdicts are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
