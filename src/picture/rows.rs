//! The moments at which address spaces are drawn: after each call; of a woven run, after each part of
//! one, in the order that explains the run.

use vmadiff_contract::{CallKind, Outcome, Snapshot};

use super::Subject;
use crate::judge::steps::Scene;
use crate::program::text::outcome_text;
use crate::run::{Observed, Woven};
use crate::story::words;
use crate::views::fold;

/// One moment: what is said of it, and the states of the managers then.
pub struct Row<'a> {
    /// The call's number.
    pub number: Option<usize>,
    /// The call.
    pub says: String,
    /// What it did here, if it did more elsewhere.
    pub did: Option<&'static str>,
    /// By side; one without a name where they agree.
    pub outcomes: Vec<(&'static str, String)>,
    /// The run was found wanting here.
    pub offends: bool,
    /// No call is under way: whatever differs is wrong.
    pub quiet: bool,
    /// Calls that are left out before this one.
    pub folded: usize,
    /// By side; none where there was none to be seen.
    pub states: Vec<(&'static str, Option<&'a Snapshot>)>,
}

/// All of a run.
pub fn rows<'a>(subject: &Subject<'a>) -> Vec<Row<'a>> {
    match &subject.ran.woven {
        Some(woven) => woven_rows(subject, woven),
        None => serial_rows(subject),
    }
}

fn serial_rows<'a>(subject: &Subject<'a>) -> Vec<Row<'a>> {
    let Subject { program, ran, .. } = *subject;
    let at = subject.divergence().map(|found| found.at);
    let (ours, theirs) = (&ran.reference, &ran.candidate);
    let count = ours.calls.len().max(theirs.calls.len());
    let calls = program.calls.len();
    let ranges = fold::shown_with_states(program, ran, at.flatten());
    let mut shown: Vec<usize> = ranges.into_iter().flatten().collect();
    // The exits that end every run are shown if that is where it goes wrong.
    shown.extend((calls..count).filter(|index| at == Some(Some(*index))));
    let mut next = 0;
    let mut rows: Vec<Row<'_>> = shown
        .into_iter()
        .filter(|index| *index < count)
        .map(|index| {
            let seen = (ours.calls.get(index), theirs.calls.get(index));
            let folded = index.min(calls).saturating_sub(next);
            next = index + 1;
            Row {
                folded,
                states: sides(ours.state(index), theirs.state(index)),
                ..serial_row(subject, index, seen)
            }
        })
        .collect();
    let folded = calls.min(count).saturating_sub(next);
    rows.push(Row {
        number: None,
        says: "the end of all grace periods".to_owned(),
        did: None,
        outcomes: Vec::new(),
        offends: at == Some(None),
        quiet: true,
        folded,
        states: sides(Some(&ours.last), Some(&theirs.last)),
    });
    rows
}

fn serial_row<'a>(
    subject: &Subject<'a>,
    index: usize,
    (ours, theirs): (Option<&'a Observed>, Option<&'a Observed>),
) -> Row<'a> {
    let step = subject.program.calls.get(index);
    let kind = step.map_or(CallKind::Exit, |step| step.call.kind());
    let said = |seen: Option<&Observed>| answer(kind, seen.map(|seen| seen.outcome));
    let outcomes = if said(ours) == said(theirs) {
        vec![("", said(ours))]
    } else {
        vec![("reference", said(ours)), ("candidate", said(theirs))]
    };
    let task = step.map_or(1, |step| step.task.0);
    let tag = if task == 1 {
        String::new()
    } else {
        format!("[{task}] ")
    };
    let found = subject.divergence();
    Row {
        number: Some(index + 1),
        says: tag + &words::call(subject.program, Some(index)),
        did: None,
        outcomes,
        offends: found.is_some_and(|found| found.at == Some(index)),
        quiet: true,
        folded: 0,
        states: Vec::new(),
    }
}

/// A row a scene; calls that are in none, since they did nothing or did not return, come before the
/// end.
fn woven_rows<'a>(subject: &Subject<'a>, woven: &Woven) -> Vec<Row<'a>> {
    let Subject {
        program, scenes, ..
    } = *subject;
    let wrong = offending(subject);
    let mut rows: Vec<Row<'_>> = scenes
        .iter()
        .enumerate()
        .filter_map(|(place, scene)| {
            let call = scene.call?;
            let same = |other: &Scene| other.call == Some(call);
            let last = !scenes[place + 1..].iter().any(same);
            let only = last && !scenes[..place].iter().any(same);
            Some(Row {
                did: (!only).then_some(scene.did),
                offends: wrong == Some(Place::Scene(place)),
                quiet: scene.quiet,
                states: sides(Some(&scene.ours), Some(&scene.theirs)),
                ..call_row(subject, woven, call, last)
            })
        })
        .collect();
    let missing = |call: &usize| !scenes.iter().any(|scene| scene.call == Some(*call));
    let rest = (0..program.calls.len()).filter(missing);
    rows.extend(rest.map(|call| Row {
        offends: wrong == Some(Place::Call(call)),
        ..call_row(subject, woven, call, true)
    }));
    rows.push(end_row(subject, woven, wrong));
    rows
}

fn call_row<'a>(subject: &Subject<'a>, woven: &Woven, call: usize, answers: bool) -> Row<'a> {
    let step = &subject.program.calls[call];
    let outcome = answer(step.call.kind(), woven.outcomes[call]);
    Row {
        number: Some(call + 1),
        says: step.to_string(),
        did: None,
        outcomes: answers.then_some(("", outcome)).into_iter().collect(),
        offends: false,
        quiet: true,
        folded: 0,
        states: Vec::new(),
    }
}

fn end_row<'a>(subject: &Subject<'a>, woven: &Woven, wrong: Option<Place>) -> Row<'a> {
    let end = subject.scenes.iter().find(|scene| scene.call.is_none());
    let says = if woven.finished() {
        "when all calls had returned"
    } else {
        "the run does not come to its end"
    };
    Row {
        number: None,
        says: says.to_owned(),
        did: None,
        outcomes: Vec::new(),
        offends: wrong == Some(Place::End),
        quiet: true,
        folded: 0,
        states: end.map_or_else(Vec::new, |scene| {
            sides(Some(&scene.ours), Some(&scene.theirs))
        }),
    }
}

/// Where a woven run is wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Scene(usize),
    Call(usize),
    End,
}

/// The first scene of the call behind the step that is wrong, else its last.
fn offending(subject: &Subject<'_>) -> Option<Place> {
    let found = subject.divergence()?;
    let Some(call) = found
        .shown_at()
        .filter(|call| *call < subject.program.calls.len())
    else {
        return Some(Place::End);
    };
    let own = subject.scenes.iter().enumerate();
    let mut own = own.filter(|(_, scene)| scene.call == Some(call));
    let behind = |scene: &Scene| {
        found
            .shown_step()
            .is_some_and(|step| scene.step as usize >= step)
    };
    let place = own.clone().find(|(_, scene)| behind(scene));
    let place = place.or_else(|| own.next_back());
    Some(place.map_or(Place::Call(call), |(place, _)| Place::Scene(place)))
}

fn sides<'a>(
    ours: Option<&'a Snapshot>,
    theirs: Option<&'a Snapshot>,
) -> Vec<(&'static str, Option<&'a Snapshot>)> {
    vec![("reference", ours), ("candidate", theirs)]
}

fn answer(kind: CallKind, outcome: Option<Outcome>) -> String {
    outcome.map_or_else(
        || "never returned".to_owned(),
        |outcome| outcome_text(kind, outcome),
    )
}
