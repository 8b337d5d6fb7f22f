//! Differences that are no news: each has a name, and says of a difference whether it is one. They
//! are told and counted, and the program goes on past them where both managers can be brought to
//! the same state again.

use std::collections::BTreeMap;
use std::ops::Range;

use vmadiff_contract::{Call, Outcome, Snapshot, VmaState};

use crate::judge::Rule;
use crate::program::Step;
use crate::program::shape::{self, Param};

/// What differs after a call, and how it came about. States are as the view has them.
#[derive(Clone, Copy, Debug)]
pub struct Difference<'a> {
    /// What was broken: [`Rule::Outcome`] where the answers differ, else [`Rule::State`].
    pub rule: Rule,
    /// What differs, as signatures name it: `failed`, `value`, `vmas.missing`.
    pub field: &'static str,
    /// What differs, in a sentence.
    pub what: &'a str,
    /// The call.
    pub step: &'a Step,
    /// What the reference answered.
    pub reference: Outcome,
    /// What the candidate answered.
    pub candidate: Outcome,
    /// The state before the call, which was the same in both.
    pub before: &'a Snapshot,
    /// The reference's state after it.
    pub ours: &'a Snapshot,
    /// The candidate's state after it.
    pub theirs: &'a Snapshot,
    /// The call is an mremap that one manager alone refused, since to it the range is several areas that look
    /// like one where neighbours are [joined](crate::View::joined). In races nobody looks for that.
    pub kept_apart: bool,
}

impl Difference<'_> {
    /// The range that the call names first, if it names one.
    pub fn range(&self) -> Option<Range<u64>> {
        let params = shape::params(self.step.call.kind());
        if !matches!(params, [Param::Addr, Param::Len, ..]) {
            return None;
        }
        let [start, len, ..] = shape::words(&self.step.call);
        Some(start..start.saturating_add(len))
    }

    /// Whether part of the range that the call names was not mapped before.
    pub fn names_a_hole(&self) -> bool {
        let range = self.range();
        range.is_some_and(|range| covered(&self.before.vmas, &range) < range.end - range.start)
    }

    /// Whether nothing of the range that the call names was mapped before.
    pub fn names_nothing(&self) -> bool {
        let range = self.range();
        range.is_some_and(|range| covered(&self.before.vmas, &range) == 0)
    }

    /// Areas before the call that lie in the range that it names, wholly or in part.
    pub fn areas(&self) -> impl Iterator<Item = &VmaState> {
        let range = self.range().unwrap_or_default();
        let mut areas = self.before.vmas.iter();
        std::iter::from_fn(move || {
            areas.find(|area| area.start < range.end && range.start < area.end)
        })
    }

    /// Whether the answers differ: one fails, or they are not the same value or error.
    pub fn is_of_answers(&self) -> bool {
        self.rule == Rule::Outcome
    }

    /// The call that made it.
    pub fn call(&self) -> &Call {
        &self.step.call
    }
}

/// Bytes of a range that areas cover.
fn covered(areas: &[VmaState], range: &Range<u64>) -> u64 {
    let inside = |area: &VmaState| {
        let (start, end) = (area.start.max(range.start), area.end.min(range.end));
        end.saturating_sub(start)
    };
    areas.iter().map(inside).sum()
}

/// Whether a difference, after this call, is the one that an entry is about.
pub type Explains = dyn Fn(&Step, &Difference<'_>) -> bool + Send + Sync;

/// A difference of managers that is no news. The same type names differences of kernels in
/// `vmadiff-linux`; here a release is one of the manager.
pub type Known = vmadiff_contract::Known<Explains>;

/// What is no news of any manager whose neighbours are [joined](crate::View::joined): Linux resizes and moves
/// one area at a time, and which neighbours are one area is a matter of taste.
pub(crate) const KEPT_APART: Known = Known {
    what: "mremap is refused by one manager alone, which keeps apart what the other has as one area.",
    ..Known::new("mremap of areas that are kept apart", &|_, difference| {
        difference.kept_apart
    })
};

/// A known difference that a run met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    /// The index of the call.
    pub at: usize,
    /// The known difference's name.
    pub name: &'static str,
    /// The managers were brought to the same state again and the run went on; else it ended there.
    pub went_on: bool,
}

/// How often known differences were met, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Times met.
    pub met: BTreeMap<&'static str, u64>,
    /// Of those, times that a program ended there.
    pub ended: BTreeMap<&'static str, u64>,
}

impl Tally {
    /// Counts one more.
    pub fn count(&mut self, passed: &Passed) {
        *self.met.entry(passed.name).or_default() += 1;
        if !passed.went_on {
            *self.ended.entry(passed.name).or_default() += 1;
        }
    }
}
