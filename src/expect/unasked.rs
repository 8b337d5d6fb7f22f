//! What a program's text expects and a run says nothing of.

use std::collections::BTreeSet;
use std::fmt;

use vmadiff_contract::Outcome;

use super::{Of, is_shown};
use crate::compare::Shown;
use crate::judge::Verdict;
use crate::pair::Ran;
use crate::program::{Case, Wants};

/// An expectation that nobody was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unasked {
    /// Which expectation.
    pub of: Of,
    /// What it is about, and why it was not asked.
    pub what: String,
}

impl fmt::Display for Unasked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

/// The expectations of a case that a run says nothing of: the program was not run, the call is not made of
/// this manager, or what they are about is not looked at. A case that has some was written for another
/// manager, and its run is no proof of it.
pub fn unasked_in(case: &Case, ran: &Ran) -> Vec<Unasked> {
    let mut all = Vec::new();
    let name = ran.design.name;
    let skipped = matches!(ran.verdict, Verdict::Skip(_)) && ran.woven.is_none();
    let unmade: BTreeSet<usize> = ran.unmade().into_iter().collect();
    let mut add = |of, what: String| all.push(Unasked { of, what });
    for (at, expect) in case.expect.iter().enumerate() {
        let of = Of::Call(at);
        let call = at + 1;
        let answer = expect
            .outcome
            .is_some_and(|expected| !expected.is_met_by(Outcome::Unsupported));
        if !answer && expect.frees.is_none() {
            continue;
        }
        if skipped {
            add(
                of,
                format!("call {call}: what it expects is not asked, since the program is not run"),
            );
        } else if unmade.contains(&at) {
            add(
                of,
                format!(
                    "call {call}: what it expects is not asked, since {name} has it not, or not so, and it is not made"
                ),
            );
        } else if expect.frees.is_some() && !ran.view.shows(Shown::EVENTS) {
            add(
                of,
                format!(
                    "call {call}: what it frees is not asked, since {name} is not asked for events"
                ),
            );
        }
    }
    for (place, check) in case.checks.iter().enumerate() {
        let (of, after) = (Of::Check(place), check.after);
        let what = match check.wants {
            Wants::Maps(_) => "areas",
            Wants::Status(_) => "counters",
        };
        if skipped {
            add(
                of,
                format!("{what} after call {after} are not asked, since the program is not run"),
            );
        } else if !is_shown(ran, check) {
            add(
                of,
                format!(
                    "{what} after call {after} are not asked, since those of {name} are not compared"
                ),
            );
        }
    }
    all
}
