//! What was legal and what was seen, in words.

use vmadiff_contract::{
    About, Choice, Mark, Offer, Outcome, Refusal, Snapshot, Stepped, Taken, TaskId, Told, VmFlags,
    VmaId,
};
use vmadiff_interleave::Kind;
use vmadiff_interleave::sim::What as Traced;

use super::StepAt;
use super::cause::ours;
use super::find::Followed;
use crate::judge::steps::follow::Objection;
use crate::judge::steps::path::What;
use crate::judge::steps::signed::step_name;
use crate::judge::steps::told::{about_text, entry_text, mark_text, rights_text};
use crate::run::Recorder;

/// Steps that a call may take to its end alone.
const ALONE_MAX: usize = 20_000;

impl Followed<'_> {
    /// What a step of a call finds in the reference.
    pub(super) fn legal(
        &self,
        call: usize,
        step: &Offer,
        about: &[About],
        objection: &Objection,
    ) -> String {
        let name = step_name(step);
        let mut found: Vec<String> = about
            .iter()
            .filter_map(|&about| self.described(about))
            .collect();
        // The areas alone: a fault has looked for one that is not there.
        if let [About::Areas(_)] = about
            && let Some(About::Entry { addr, .. }) = self.page_of(call)
        {
            found.push(format!("no area has {addr:#x}"));
        }
        if !found.is_empty() {
            return format!("`{name}` finds that {}", found.join(", "));
        }
        match named(about) {
            objects if objects.is_empty() => objection.what.clone(),
            objects => format!("`{name}` is about {objects}"),
        }
    }

    /// What a mark tells, and how what it is about stands in the reference by then.
    pub(super) fn seen(&self, call: usize, at: usize, mark: &Mark) -> String {
        let About::Area(vma) = mark.about else {
            return format!("does `{}`", mark_text(mark));
        };
        let read = self.read_as(call, at, vma);
        let went = match mark.told {
            Told::Refused => format!("is refused by {vma}{read}"),
            Told::Flags(_) if !read.is_empty() => format!("goes by {vma}{read}"),
            Told::Flags(flags) => format!("goes by {vma}, read as {}", rights_text(flags)),
            Told::Done | Told::Number(_) | Told::Range { .. } | Told::Entry { .. } => {
                format!("does `{}`", mark_text(mark))
            }
        };
        match ours(self.names, mark.about).and_then(|about| self.described(about)) {
            Some(stands) => format!("{went}, and {stands} by then"),
            None => went,
        }
    }

    /// What a call had read of an area, up to a step of the trace: its flags, and the bounds that it had
    /// then. Nothing where values were not kept.
    pub(super) fn read_as(&self, call: usize, at: usize, vma: VmaId) -> String {
        let task = self.race.program.calls[call].task;
        let trace = &self.woven.trace;
        let begun = self
            .race
            .items
            .iter()
            .find(|item| item.call as usize == call && item.what == What::Begin);
        let begun = begun.map_or(0, |item| item.at);
        let last = |word: &str, upto: u32| {
            let own = trace.values().iter().rev().find(|value| {
                let owner = value.owner.filter(|owner| owner.object == "Vma");
                let of = owner.is_some_and(|o| o.ordinal == vma.0 && o.word == word);
                let step = trace.steps()[value.step as usize];
                let read = matches!(
                    step.what,
                    Traced::Access {
                        kind: Kind::Read,
                        ..
                    }
                );
                of && read && step.task == task.0 && (begun..upto).contains(&value.step)
            });
            own.map(|value| (value.step, value.word))
        };
        let Some((when, flags)) = last("vm_flags", at as u32 + 1) else {
            return String::new();
        };
        let rights = rights_text(VmFlags::from_bits_retain(flags as u32));
        match (last("vm_start", when), last("vm_end", when)) {
            (Some((_, start)), Some((_, end))) => {
                format!(", which it had read as {start:#x}-{end:#x} {rights}")
            }
            _ => format!(", which it had read as {rights}"),
        }
    }

    /// How an area or an entry of the reference stands now; none of others, which have no such words.
    pub(super) fn described(&self, about: About) -> Option<String> {
        Some(match about {
            About::Area(vma) => {
                let mut seen = Snapshot::default();
                self.reference.observe(about, &mut seen);
                match seen.vmas.first() {
                    Some(area) => format!(
                        "{vma} is {:#x}-{:#x} {}",
                        area.start,
                        area.end,
                        rights_text(area.flags)
                    ),
                    None => format!("{vma} is no more"),
                }
            }
            About::Entry { mm, addr } => {
                let entry = entry_text(self.reference.fork().entry(mm, addr));
                format!("the entry of {addr:#x} is {entry}")
            }
            _ => return None,
        })
    }

    pub(super) fn step_at(&self, call: usize, step: Offer, at: usize, about: &[About]) -> StepAt {
        StepAt {
            call,
            step,
            at,
            about: named(about),
        }
    }

    /// What the call answers if it goes on as the reference does, and others only where it has to wait.
    pub(super) fn nearest(&self, call: usize) -> Option<Outcome> {
        let task = self.names.task(self.race.program.calls[call].task)?;
        let mut copy = self.reference.fork();
        let answered = to_its_end(&mut *copy, task);
        Recorder::clear();
        answered
    }
}

/// Objects by their names, each once.
fn named(about: &[About]) -> String {
    let mut objects: Vec<String> = Vec::new();
    for &about in about {
        let text = about_text(about);
        if !objects.contains(&text) {
            objects.push(text);
        }
    }
    objects.join(", ")
}

/// Takes a task's call to its end, and others' steps only where it has to wait; what it answers.
pub(in crate::judge::steps) fn to_its_end(
    reference: &mut dyn Stepped,
    task: TaskId,
) -> Option<Outcome> {
    let mut offers = Vec::new();
    for _ in 0..ALONE_MAX {
        match reference.take(task, Choice::Go) {
            Ok(Taken::Returned(outcome)) => return Some(outcome),
            Ok(Taken::Step) => {}
            Err(Refusal::Waits(_)) => {
                offers.clear();
                reference.legal(&mut offers);
                let other = offers.iter().find(|offer| offer.task != task)?;
                reference.take(other.task, other.choice).ok()?;
            }
            Err(Refusal::Idle | Refusal::Choice) => return None,
        }
    }
    None
}
