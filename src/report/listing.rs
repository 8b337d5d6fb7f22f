//! The program, each call with its outcome, the offending one marked.

use vmadiff_contract::CallKind;

use super::{Report, Role};
use crate::judge::Divergence;
use crate::pair::{AT_BOOT, AT_DROP};
use crate::program::text::outcome_text;
use crate::program::{Program, Schedule};
use crate::run::{Observation, Observed, Woven};
use crate::views::fold;

pub fn add(
    report: &mut Report,
    program: &Program,
    divergence: &Divergence,
    reference: &Observation,
    candidate: &Observation,
) {
    report.heading("program");
    for line in frame(program).lines() {
        report.line(Role::Plain, format!("       {line}"));
    }
    let calls = program.calls.len();
    let shown = divergence.at.map_or(calls, |at| calls.min(at + 1));
    let mut next = 0;
    for range in fold::shown(shown, divergence.at) {
        if range.start > next {
            let folded = fold::left_out(range.start - next);
            report.line(Role::Plain, format!("       {folded}"));
        }
        next = range.end;
        for at in range {
            let step = &program.calls[at];
            let kind = step.call.kind();
            let answers = answers(kind, reference.calls.get(at), candidate.calls.get(at));
            let text = format!("{step}{answers}");
            number(report, Some(at), divergence.at == Some(at), &text);
        }
    }
    if shown < calls {
        let left = calls - shown;
        let calls = if left == 1 { "call" } else { "calls" };
        report.line(Role::Plain, format!("       and {left} more {calls}"));
    }
    match divergence.at {
        Some(at) if at >= calls => number(report, Some(at), true, "exit() of a task left"),
        None => number(report, None, true, outside(divergence)),
        Some(_) => {}
    }
}

/// Where a run stands that is at no call.
fn outside(divergence: &Divergence) -> &'static str {
    match divergence.signature.call {
        AT_BOOT => "the candidate boots",
        AT_DROP => "the candidate is thrown away",
        _ => "the end of all grace periods",
    }
}

/// The program of a woven run, with its schedule.
pub fn add_woven(
    report: &mut Report,
    program: &Program,
    divergence: Option<&Divergence>,
    woven: &Woven,
) {
    report.heading("program");
    for line in frame(program).lines() {
        report.line(Role::Plain, format!("       {line}"));
    }
    for (at, (step, outcome)) in program.calls.iter().zip(&woven.outcomes).enumerate() {
        let answer = match outcome {
            Some(outcome) => format!(" = {}", outcome_text(step.call.kind(), *outcome)),
            None => "   never returned".to_owned(),
        };
        let marked = divergence.is_some_and(|found| found.marks(at));
        number(report, Some(at), marked, &format!("{step}{answer}"));
    }
    let schedule = Program {
        schedule: program.schedule.clone(),
        ..Program::default()
    };
    for line in schedule.to_string().lines() {
        report.line(Role::Plain, format!("       {line}"));
    }
}

/// A numbered line, marked if it is the offending one.
fn number(report: &mut Report, at: Option<usize>, marked: bool, text: &str) {
    let number = at.map_or_else(String::new, |at| (at + 1).to_string());
    let (role, mark) = if marked {
        (Role::Marked, '>')
    } else {
        (Role::Plain, ' ')
    };
    report.line(role, format!(" {mark}{number:>4}  {text}"));
}

/// The settings and the schedule, as program text.
fn frame(program: &Program) -> String {
    let bare = Program {
        config: program.config.clone(),
        calls: Vec::new(),
        schedule: Schedule::default(),
    };
    bare.to_string()
}

pub(super) fn answers(
    kind: CallKind,
    reference: Option<&Observed>,
    candidate: Option<&Observed>,
) -> String {
    let text = |seen: Option<&Observed>| seen.map(|seen| outcome_text(kind, seen.outcome));
    match (text(reference), text(candidate)) {
        (Some(ours), Some(theirs)) if ours == theirs => format!(" = {ours}"),
        (None, None) => String::new(),
        (ours, theirs) => {
            let or_panic = |text: Option<String>| text.unwrap_or_else(|| "a panic".to_owned());
            let (ours, theirs) = (or_panic(ours), or_panic(theirs));
            format!("   reference: {ours}   candidate: {theirs}")
        }
    }
}
