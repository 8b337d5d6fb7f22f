//! The areas around the call at which it shows: before it, after it, and where it was to work.

use std::ops::Range;

use vmadiff_contract::{Call, MmId, Outcome, PAGE_SIZE, Snapshot, VmFlags, VmaState};

use super::{Report, Role};
use crate::compare::{Shown, View};
use crate::judge::Divergence;
use crate::program::shape::{Param, params, words};
use crate::program::{Program, Step};
use crate::run::{Observation, Observed};
use crate::views::columns::Columns;

pub fn add(
    report: &mut Report,
    view: View,
    program: &Program,
    divergence: &Divergence,
    reference: &Observation,
    candidate: &Observation,
) {
    let Some((at, step)) = divergence
        .at
        .and_then(|at| Some((at, program.calls.get(at)?)))
    else {
        return;
    };
    let Some(ours) = reference.calls.get(at) else {
        return;
    };
    let before = at.checked_sub(1).and_then(|last| reference.state(last));
    let theirs = candidate.calls.get(at);
    let mm = space(before, step, ours, theirs);
    let mut states = vec![
        ("before", before.map_or(&[][..], |state| &state.vmas)),
        ("reference", &ours.state.vmas),
    ];
    states.extend(theirs.map(|theirs| ("candidate", &theirs.state.vmas[..])));
    let range = range(&step.call, ours.outcome).or_else(|| range(&step.call, theirs?.outcome));
    let all: Vec<&[VmaState]> = states.iter().map(|(_, areas)| *areas).collect();
    let columns = Columns::of(mm, &all, range.as_slice());
    if columns.width() == 0 {
        return;
    }
    report.heading(&format!("areas of {mm}, a letter each, a column a page"));
    let mut line = |role, name: &str, text: &str| {
        report.line(role, format!("  {name:<10} {text}").trim_end().to_owned());
    };
    line(Role::Plain, "", &columns.axis());
    line(Role::Plain, "before", &columns.row(states[0].1));
    if let Some(range) = &range {
        line(Role::Marked, step.call.kind().name(), &columns.stars(range));
    }
    let look = |areas: &[VmaState]| -> Vec<(u64, u64, VmFlags)> {
        let own = areas.iter().filter(|area| area.mm == mm);
        own.map(|area| (area.start, area.end, area.flags)).collect()
    };
    let same = (states.get(2)).is_some_and(|(_, theirs)| look(states[1].1) == look(theirs));
    let (ours, theirs) = (columns.row(states[1].1), states.get(2));
    match theirs.map(|(_, areas)| columns.row(areas)) {
        // Areas that are drawn alike may allow something else, or have no byte.
        Some(theirs) if theirs == ours && same => line(Role::Plain, "both after", &ours),
        theirs => {
            line(Role::Reference, "reference", &ours);
            let theirs = theirs.unwrap_or_else(|| "a panic".to_owned());
            line(Role::Candidate, "candidate", &theirs);
        }
    }
    if view.shows(Shown::IDENTITIES) {
        line(Role::Plain, "", &columns.legend());
    }
}

/// The address space to draw: one whose areas differ, or else the caller's.
fn space(
    before: Option<&Snapshot>,
    step: &Step,
    ours: &Observed,
    theirs: Option<&Observed>,
) -> MmId {
    let differing = theirs.and_then(|theirs| {
        let mut areas = ours.state.vmas.iter().zip(&theirs.state.vmas);
        areas.find(|(a, b)| a != b).map(|(a, _)| a.mm)
    });
    let of_caller = |state: &Snapshot| {
        let mut tasks = state.tasks.iter();
        tasks.find(|task| task.task == step.task).map(|t| t.mm)
    };
    differing
        .or_else(|| before.and_then(of_caller))
        .or_else(|| of_caller(&ours.state))
        .unwrap_or(MmId(1))
}

/// The range that a call works on, in whole pages; none if it names none.
pub fn range(call: &Call, outcome: Outcome) -> Option<Range<u64>> {
    let (words, params) = (words(call), params(call.kind()));
    let mut start = *words.get(params.iter().position(|param| *param == Param::Addr)?)?;
    match (call, outcome) {
        (Call::Mmap { .. }, Outcome::Value(chosen)) => start = chosen,
        // It may go anywhere, and found no place.
        (Call::Mmap { addr: 0, .. }, _) => return None,
        _ => {}
    }
    let len = params.iter().position(|param| *param == Param::Len);
    let len = len.map_or(1, |place| words[place]);
    let end = start.checked_add(len.max(1))?;
    let page = !(PAGE_SIZE - 1);
    Some(start & page..end.checked_add(PAGE_SIZE - 1)? & page)
}
