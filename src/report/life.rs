//! The life of the object that a law is about, event by event, the offending one marked.

use vmadiff_contract::{CallKind, Event, Misuse};

use super::{Report, Role};
use crate::judge::{Divergence, Object, Side};
use crate::program::Program;
use crate::run::Observation;

pub fn add(
    report: &mut Report,
    program: &Program,
    divergence: &Divergence,
    reference: &Observation,
    candidate: &Observation,
) {
    let (Some(object), Some(side)) = (divergence.object, divergence.side) else {
        return;
    };
    let seen = match side {
        Side::Reference => reference,
        Side::Candidate => candidate,
    };
    report.heading(&format!("life of {object} in the {side}"));
    let ends = divergence.at.unwrap_or(seen.calls.len());
    for (at, call) in seen.calls.iter().enumerate().take(ends + 1) {
        let name = program
            .calls
            .get(at)
            .map_or(CallKind::Exit, |step| step.call.kind())
            .name();
        events(report, divergence, object, (Some(at), name), &call.events);
    }
    if divergence.at.is_none() {
        events(
            report,
            divergence,
            object,
            (None, "quiescence"),
            &seen.deferred,
        );
    }
    if divergence.event.is_none() {
        let place = (divergence.at, divergence.signature.call);
        line(report, Role::Marked, place, "and nothing more");
    }
}

/// The index and name of a call.
type Place<'a> = (Option<usize>, &'a str);

fn events(
    report: &mut Report,
    divergence: &Divergence,
    object: Object,
    place: Place<'_>,
    events: &[Event],
) {
    for (i, event) in events.iter().enumerate() {
        let marked = place.0 == divergence.at && divergence.event == Some(i);
        let Some(text) = step(object, event) else {
            if marked {
                line(report, Role::Marked, place, &format!("{event:?}"));
            }
            continue;
        };
        line(
            report,
            if marked { Role::Marked } else { Role::Plain },
            place,
            &text,
        );
        if marked {
            return;
        }
    }
}

fn line(report: &mut Report, role: Role, (at, call): Place<'_>, text: &str) {
    let mark = if role == Role::Marked { '>' } else { ' ' };
    let number = at.map_or_else(String::new, |at| (at + 1).to_string());
    report.line(role, format!(" {mark}{number:>4}  {call:<13} {text}"));
}

/// What an event means in the life of an object; none if it is about others.
fn step(object: Object, event: &Event) -> Option<String> {
    let vma = Object::Vma;
    let (subject, text) = match *event {
        Event::VmaAlloc {
            vma: id,
            copy_of: None,
        } => (vma(id), "allocated".to_owned()),
        Event::VmaAlloc {
            vma: id,
            copy_of: Some(original),
        } => {
            if object == vma(original) {
                return Some(format!("copied: {id}"));
            }
            (vma(id), format!("allocated, a copy of {original}"))
        }
        Event::VmaLink { vma: id, mm } => (vma(id), format!("linked into {mm}")),
        Event::VmaUnlink { vma: id } => (vma(id), "unlinked".to_owned()),
        Event::VmaGet { vma: id, refs } => (vma(id), format!("reference taken: {refs}")),
        Event::VmaPut { vma: id, refs } => (vma(id), format!("reference put: {refs}")),
        Event::VmaOpen { vma: id } => (vma(id), "opened".to_owned()),
        Event::VmaClose { vma: id } => (vma(id), "closed".to_owned()),
        Event::VmaFree { vma: id } => (vma(id), "freed".to_owned()),
        Event::FilePut { file, vma: id } => {
            if object == Object::File(file) {
                return Some(format!("put by {id}"));
            }
            (vma(id), format!("puts {file}"))
        }
        Event::FileFree { file } => (Object::File(file), "freed".to_owned()),
        Event::AnonAlloc { anon } => (Object::Anon(anon), "allocated".to_owned()),
        Event::AnonFree { anon } => (Object::Anon(anon), "freed".to_owned()),
        Event::PolicyAlloc { policy } => (Object::Policy(policy), "allocated".to_owned()),
        Event::PolicyFree { policy } => (Object::Policy(policy), "freed".to_owned()),
        Event::FrameAlloc { frame } => (Object::Frame(frame), "allocated".to_owned()),
        Event::FrameFree { frame } => (Object::Frame(frame), "freed".to_owned()),
        Event::TableAlloc { table } => (Object::Table(table), "allocated".to_owned()),
        Event::TableFree { table } => (Object::Table(table), "freed".to_owned()),
        Event::Misuse(misuse) => misused(misuse),
        Event::Note(_) => return None,
    };
    (subject == object).then_some(text)
}

fn misused(misuse: Misuse) -> (Object, String) {
    let (object, text) = match misuse {
        Misuse::DeadVma(id) => (Object::Vma(id), "used though freed"),
        Misuse::DeadFrame(id) => (Object::Frame(id), "used though freed"),
        Misuse::DeadTable(id) => (Object::Table(id), "used though freed"),
        Misuse::DeadAnon(id) => (Object::Anon(id), "used though freed"),
        Misuse::DeadPolicy(id) => (Object::Policy(id), "used though freed"),
        Misuse::DeadFile(id) => (Object::File(id), "used though put for the last time"),
        Misuse::GetFromZero(id) => (Object::Vma(id), "reference taken though none is left"),
        Misuse::PutBelowZero(id) => (Object::Vma(id), "reference put though none is left"),
        Misuse::FreedLinked(id) => (Object::Vma(id), "freed though linked"),
        Misuse::FreedInTlb(id) => (Object::Frame(id), "freed though a TLB maps it"),
        Misuse::FreedTableInUse(id) => (Object::Table(id), "freed though walked"),
        Misuse::SequenceNested(id) => (Object::Vma(id), "sequence count begun or ended twice"),
    };
    (object, text.to_owned())
}
