//! The judge of the judge: an agreeing run is told by hand, then forged in every way there is, and
//! each forgery must be objected to, under the right rule.

mod events;
mod outcomes;
mod states;
mod story;

use story::Story;
use vmadiff::judge::{Rule, Side, Verdict, judge};
use vmadiff::run::Observation;

#[test]
fn the_story_agrees() {
    let story = Story::told();
    assert_eq!(
        judge(&story.program, &story.ours, &story.theirs),
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
    let got = match judge(&story.program, &ours, &theirs) {
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
