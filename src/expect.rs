//! Compares what a program's text expects with what a manager did.
//!
//! Expectations are the project's memory of what is right: both managers can be wrong in the same
//! way, and then the judge, who compares them, says nothing.

use std::collections::BTreeSet;
use std::fmt;

use vmadiff_contract::{Event, MmId, VmaId};

use crate::program::Case;
use crate::program::text::{maps_lines, outcome_text};
use crate::run::Observation;

/// The address space that a `maps:` block is about.
const FIRST: MmId = MmId(1);

/// An expectation that a manager did not meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmet {
    /// The manager's name.
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
    let mut all = Vec::new();
    let mut object = |call, expected: String, found: String| {
        if expected != found {
            all.push(Unmet {
                manager: seen.manager,
                call,
                expected,
                found,
            });
        }
    };
    for (index, (expect, step)) in case.expect.iter().zip(&case.program.calls).enumerate() {
        if let Some(expected) = expect.outcome {
            let show = |outcome| outcome_text(step.call.kind(), outcome);
            let found = seen.calls.get(index).map(|observed| show(observed.outcome));
            object(Some(index), show(expected), found.unwrap_or_else(nothing));
        }
        if let Some(expected) = &expect.frees {
            let expected = expected.iter().copied().collect();
            object(
                Some(index),
                show_frees(&expected),
                show_frees(&frees(seen, index)),
            );
        }
    }
    if let Some(expected) = &case.maps {
        let last = case.program.calls.len().checked_sub(1);
        let state = last
            .and_then(|last| seen.calls.get(last))
            .map(|call| &call.state);
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
