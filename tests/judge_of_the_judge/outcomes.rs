//! Every outcome changed into every other kind.

use vmadiff::judge::{Rule, Side};
use vmadiff_contract::{Errno, Outcome, SegvCode};

use crate::check;
use crate::story::Story;

const ALL: [Outcome; 10] = [
    Outcome::Value(0x7777),
    Outcome::Errno(Errno::ENOMEM),
    Outcome::Errno(Errno::EINVAL),
    Outcome::Segv(SegvCode::MapErr),
    Outcome::Segv(SegvCode::AccErr),
    Outcome::Bus,
    Outcome::Oom,
    Outcome::Livelock,
    Outcome::NoTask,
    Outcome::Unsupported,
];

/// The rule that a wrong answer of this kind breaks.
fn rule(forged: Outcome) -> Rule {
    match forged {
        Outcome::Livelock => Rule::Livelock,
        Outcome::Value(_)
        | Outcome::Errno(_)
        | Outcome::Segv(_)
        | Outcome::Bus
        | Outcome::Oom
        | Outcome::NoTask
        | Outcome::Unsupported => Rule::Outcome,
    }
}

#[test]
pub fn a_wrong_answer_is_objected_to() {
    let story = Story::told();
    for side in [Side::Reference, Side::Candidate] {
        for call in 0..story.ours.calls.len() {
            for forged in ALL {
                let what = format!("call {call} answers {forged:?}");
                check(&story, side, &what, &[rule(forged)], |o| {
                    o.calls[call].outcome = forged;
                });
            }
        }
    }
}

#[test]
pub fn a_livelock_of_both_is_objected_to() {
    let mut story = Story::told();
    story.ours.calls[2].outcome = Outcome::Livelock;
    check(
        &story,
        Side::Candidate,
        "both livelock",
        &[Rule::Livelock],
        |o| {
            o.calls[2].outcome = Outcome::Livelock;
        },
    );
}

#[test]
pub fn a_panic_is_objected_to() {
    let story = Story::told();
    for side in [Side::Reference, Side::Candidate] {
        for at in (0..story.ours.calls.len()).map(Some).chain([None]) {
            check(&story, side, "panic", &[Rule::Panic], |o| {
                o.calls.truncate(at.unwrap_or(usize::MAX));
                o.panicked = Some(vmadiff::run::Panic {
                    at,
                    message: "index".to_owned(),
                });
            });
        }
    }
}

#[test]
pub fn a_run_that_ends_early_is_objected_to() {
    let story = Story::told();
    for side in [Side::Reference, Side::Candidate] {
        check(&story, side, "last exit lost", &[Rule::State], |o| {
            o.calls.pop();
        });
    }
}
