//! The whole way of a program: the areas after each call, the candidate's where they differ; of a
//! woven one, the threads.

use vmadiff_contract::{MmId, Snapshot, VmaState};

use super::{Report, Role, listing, race};
use crate::pair::Ran;
use crate::program::Program;
use crate::run::Observed;
use crate::story;
use crate::views::columns::Columns;

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
    let (ours, theirs) = (&ran.reference.calls, &ran.candidate.calls);
    let states = ours.iter().chain(theirs).map(|seen| &seen.state);
    let vmas: Vec<&[VmaState]> = states.clone().map(|state| &state.vmas[..]).collect();
    let mut mms: Vec<MmId> = states.flat_map(|s| s.mms.iter().map(|m| m.mm)).collect();
    mms.sort_unstable();
    mms.dedup();
    let all: Vec<Columns> = mms.iter().map(|mm| Columns::of(*mm, &vmas, &[])).collect();
    for (mm, columns) in mms.iter().zip(&all).filter(|(_, c)| c.width() > 0) {
        report.heading(&format!(
            "areas of {mm} after each call, a letter each, a column a page"
        ));
        let width = columns.width().max(columns.axis().len());
        let mut line = |role, map: &str, number: &str, text: &str| {
            let line = format!("  {map:width$} {number:>4}  {text}");
            report.line(role, line.trim_end().to_owned());
        };
        line(Role::Plain, &columns.axis(), "", "");
        for (at, step) in program.calls.iter().enumerate() {
            let lives = |seen: Option<&Observed>| {
                seen.is_some_and(|seen| seen.state.mms.iter().any(|state| state.mm == *mm))
            };
            if !lives(ours.get(at)) && !lives(theirs.get(at)) {
                continue;
            }
            let row = |state: Option<&Snapshot>| {
                state.map_or_else(|| "a panic".to_owned(), |state| columns.row(&state.vmas))
            };
            let (seen, other) = (ours.get(at), theirs.get(at));
            let map = row(seen.map(|seen| &seen.state));
            let map_of_other = row(other.map(|seen| &seen.state));
            let answers = listing::answers(step.call.kind(), seen, other);
            let text = format!("{step}{answers}");
            line(Role::Plain, &map, &(at + 1).to_string(), &text);
            if map != map_of_other {
                line(Role::Candidate, &map_of_other, "", "in the candidate");
            }
        }
        line(Role::Plain, &columns.legend(), "", "");
    }
    report
}
