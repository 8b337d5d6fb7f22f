//! Compares what a program's text expects with what a manager did.
//!
//! Expectations are the project's memory of what is right: both managers can be wrong in the same
//! way, and then the judge, who compares them, says nothing.

use std::collections::BTreeSet;
use std::fmt;

use vmadiff_contract::{Event, MmId, Outcome, Snapshot, VmaId};

use crate::pair::Ran;
use crate::program::Case;
use crate::program::text::{maps_lines, outcome_text};
use crate::run::{Observation, Woven};

/// The address space that a `maps:` block is about.
const FIRST: MmId = MmId(1);

/// An expectation that a manager did not meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmet {
    /// The manager: its name, or its part in the run.
    pub manager: &'static str,
    /// The index of the call; none: the areas at the end.
    pub call: Option<usize>,
    /// What was expected, as text.
    pub expected: String,
    /// What was found instead, as text.
    pub found: String,
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            manager,
            call,
            expected,
            found,
        } = self;
        match call {
            Some(index) => write!(f, "call {}", index + 1)?,
            None => f.write_str("areas at the end")?,
        }
        write!(f, ": expected {expected}, {manager} has {found}")
    }
}

/// What a manager did not meet of a case's expectations, in the order of the calls.
pub fn unmet(case: &Case, seen: &Observation) -> Vec<Unmet> {
    unmet_by(case, seen)
}

/// What was not met in a run, woven or not, by manager, in the order of the calls. The managers are
/// called by their parts in the run, as in reports.
pub fn unmet_in(case: &Case, ran: &Ran) -> Vec<Unmet> {
    let by = |manager, seen: &dyn Seen| {
        let unmet = unmet_by(case, seen).into_iter();
        unmet.map(move |unmet| Unmet { manager, ..unmet })
    };
    match &ran.woven {
        Some(woven) => by("the candidate", woven.as_ref()).collect(),
        None => by("the reference", &ran.reference)
            .chain(by("the candidate", &ran.candidate))
            .collect(),
    }
}

/// What expectations are about.
trait Seen {
    fn manager(&self) -> &'static str;
    fn outcome(&self, call: usize) -> Option<Outcome>;
    fn frees(&self, call: usize) -> BTreeSet<VmaId>;
    /// The state after the last of so many calls.
    fn state(&self, calls: usize) -> Option<&Snapshot>;
}

impl Seen for Observation {
    fn manager(&self) -> &'static str {
        self.manager
    }

    fn outcome(&self, call: usize) -> Option<Outcome> {
        self.calls.get(call).map(|observed| observed.outcome)
    }

    fn frees(&self, call: usize) -> BTreeSet<VmaId> {
        frees(self, call)
    }

    fn state(&self, calls: usize) -> Option<&Snapshot> {
        let last = self.calls.get(calls.checked_sub(1)?)?;
        Some(&last.state)
    }
}

impl Seen for Woven {
    fn manager(&self) -> &'static str {
        self.manager
    }

    fn outcome(&self, call: usize) -> Option<Outcome> {
        self.outcomes.get(call).copied().flatten()
    }

    /// As in a serial run: what the call took out of a tree, or freed without that.
    fn frees(&self, call: usize) -> BTreeSet<VmaId> {
        let unlinked = |vma| {
            let mut events = self.events.iter();
            let found = events.find(|raised| raised.event == Event::VmaUnlink { vma });
            found.map(|raised| raised.call)
        };
        let freed_in = self.events.iter().map(|raised| (raised.call, raised.event));
        let later = self.deferred.iter().map(|&event| (None, event));
        let freed = freed_in.chain(later).filter_map(|(by, event)| match event {
            Event::VmaFree { vma } => Some((vma, unlinked(vma).unwrap_or(by))),
            _ => None,
        });
        let its_own = freed.filter(|&(_, by)| by == Some(call as u32));
        its_own.map(|(vma, _)| vma).collect()
    }

    fn state(&self, _calls: usize) -> Option<&Snapshot> {
        self.finished().then_some(&self.state)
    }
}

fn unmet_by(case: &Case, seen: &(impl Seen + ?Sized)) -> Vec<Unmet> {
    let mut all = Vec::new();
    let mut object = |call, expected: String, found: String| {
        if expected != found {
            all.push(Unmet {
                manager: seen.manager(),
                call,
                expected,
                found,
            });
        }
    };
    for (index, (expect, step)) in case.expect.iter().zip(&case.program.calls).enumerate() {
        if let Some(expected) = expect.outcome {
            let show = |outcome| outcome_text(step.call.kind(), outcome);
            let found = seen.outcome(index).map(show);
            object(Some(index), show(expected), found.unwrap_or_else(nothing));
        }
        if let Some(expected) = &expect.frees {
            let expected = expected.iter().copied().collect();
            let found = seen.frees(index);
            object(Some(index), show_frees(&expected), show_frees(&found));
        }
    }
    if let Some(expected) = &case.maps {
        let state = seen.state(case.program.calls.len());
        let found = state.map_or_else(Vec::new, |state| maps_lines(state, FIRST));
        object(None, show_maps(expected), show_maps(&found));
    }
    all
}

/// The VMAs that a call frees, once all grace periods have ended: those that it took out of their
/// tree, or freed without that, and that are freed in the end.
fn frees(seen: &Observation, index: usize) -> BTreeSet<VmaId> {
    let Some(call) = seen.calls.get(index) else {
        return BTreeSet::new();
    };
    let unlinked = |events: &[Event], vma: VmaId| events.contains(&Event::VmaUnlink { vma });
    let unlinked_before = |vma| {
        seen.calls[..index]
            .iter()
            .any(|earlier| unlinked(&earlier.events, vma))
    };
    let later = seen.calls[index..]
        .iter()
        .flat_map(|call| &call.events)
        .chain(&seen.deferred);
    let freed: BTreeSet<VmaId> = later
        .filter_map(|event| match event {
            Event::VmaFree { vma } => Some(*vma),
            _ => None,
        })
        .collect();
    let freed_here = |vma| call.events.contains(&Event::VmaFree { vma });
    freed
        .into_iter()
        .filter(|&vma| unlinked(&call.events, vma) || freed_here(vma) && !unlinked_before(vma))
        .collect()
}

fn show_frees(vmas: &BTreeSet<VmaId>) -> String {
    if vmas.is_empty() {
        return "frees none".to_owned();
    }
    let names: Vec<String> = vmas.iter().map(VmaId::to_string).collect();
    format!("frees {}", names.join(", "))
}

fn show_maps(lines: &[String]) -> String {
    if lines.is_empty() {
        "no areas".to_owned()
    } else {
        format!("\n  {}", lines.join("\n  "))
    }
}

fn nothing() -> String {
    "no answer".to_owned()
}
