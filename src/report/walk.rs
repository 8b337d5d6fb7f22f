//! The whole way of a program: the areas after each call, the candidate's where they differ; of a
//! woven one, the threads.

use std::ops::Range;

use vmadiff_contract::{MmId, Snapshot, VmaState};

use super::{Report, Role, listing, race};
use crate::compare::Shown;
use crate::judge::Verdict;
use crate::pair::Ran;
use crate::program::Program;
use crate::story;
use crate::views::columns::Columns;
use crate::views::fold;

/// Tells a run call by call; a table of threads takes up to `width` columns.
pub fn walk(program: &Program, ran: &Ran, width: usize) -> Report {
    let mut report = Report::default();
    if let Some(woven) = &ran.woven {
        listing::add_woven(&mut report, program, None, woven);
        race::add(
            &mut report,
            program,
            None,
            &story::woven(program, woven, None),
            width,
        );
        return report;
    }
    let found = match &ran.verdict {
        Verdict::Diverge(divergence) => divergence.at,
        Verdict::Agree | Verdict::Skip(_) => None,
    };
    let mut next = 0;
    for range in fold::shown_with_states(program, ran, found) {
        if range.start > next {
            left_out(&mut report, range.start - next);
        }
        next = range.end;
        stretch(&mut report, program, ran, range);
    }
    if next < program.calls.len() {
        left_out(&mut report, program.calls.len() - next);
    }
    report
}

fn left_out(report: &mut Report, calls: usize) {
    report.line(Role::Plain, format!("  {}", fold::left_out(calls)));
}

/// Calls after none of which there is an area to draw.
fn without_areas(report: &mut Report, program: &Program, ran: &Ran, calls: Range<usize>) {
    report.heading("calls, and no area that changes");
    for at in calls {
        let step = &program.calls[at];
        let (seen, other) = (ran.reference.calls.get(at), ran.candidate.calls.get(at));
        let answers = listing::answers(step.call.kind(), seen, other);
        report.line(Role::Plain, format!("  {:>4}  {step}{answers}", at + 1));
    }
}

/// Calls that follow one another, with columns of their own.
fn stretch(report: &mut Report, program: &Program, ran: &Ran, calls: Range<usize>) {
    let (ours, theirs) = (&ran.reference, &ran.candidate);
    let states: Vec<&Snapshot> = calls
        .clone()
        .flat_map(|at| [ours.state(at), theirs.state(at)])
        .flatten()
        .collect();
    let vmas: Vec<&[VmaState]> = states.iter().map(|state| &state.vmas[..]).collect();
    let (drawn, hidden) = fold::changing(&vmas);
    let drawn: Vec<&[VmaState]> = drawn.iter().map(Vec::as_slice).collect();
    let mut mms: Vec<MmId> = states
        .iter()
        .flat_map(|state| state.mms.iter().map(|m| m.mm))
        .collect();
    mms.sort_unstable();
    mms.dedup();
    let all: Vec<Columns> = mms.iter().map(|mm| Columns::of(*mm, &drawn, &[])).collect();
    if all.iter().all(|columns| columns.width() == 0) {
        return without_areas(report, program, ran, calls);
    }
    for (mm, columns) in mms.iter().zip(&all).filter(|(_, c)| c.width() > 0) {
        report.heading(&format!(
            "areas of {mm} after each call, a letter each, a column a page"
        ));
        if hidden > 0 {
            let text = match hidden {
                1 => "  areas that change; at most one other is not drawn".to_owned(),
                _ => format!("  areas that change; up to {hidden} others are not drawn"),
            };
            report.line(Role::Plain, text);
        }
        let width = columns.width().max(columns.axis().len());
        let mut line = |role, map: &str, number: &str, text: &str| {
            let line = format!("  {map:width$} {number:>4}  {text}");
            report.line(role, line.trim_end().to_owned());
        };
        line(Role::Plain, &columns.axis(), "", "");
        for at in calls.clone() {
            let step = &program.calls[at];
            let lives = |seen: Option<&Snapshot>| {
                seen.is_some_and(|state| state.mms.iter().any(|state| state.mm == *mm))
            };
            let (seen, other) = (ours.state(at), theirs.state(at));
            if !lives(seen) && !lives(other) {
                continue;
            }
            let row = |state: Option<&Snapshot>| {
                state.map_or_else(|| "a panic".to_owned(), |state| columns.row(&state.vmas))
            };
            let (map, map_of_other) = (row(seen), row(other));
            let (seen, other) = (ours.calls.get(at), theirs.calls.get(at));
            let answers = listing::answers(step.call.kind(), seen, other);
            let text = format!("{step}{answers}");
            line(Role::Plain, &map, &(at + 1).to_string(), &text);
            if map != map_of_other {
                line(Role::Candidate, &map_of_other, "", "in the candidate");
            }
        }
        if ran.view.shows(Shown::IDENTITIES) {
            line(Role::Plain, &columns.legend(), "", "");
        }
    }
}
