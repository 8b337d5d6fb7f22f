//! Finds the step at which a race that was followed and the reference part.

use vmadiff_contract::{
    About, Call, Choice, Event, Offer, PAGE_SIZE, Refusal, Snapshot, StepKind, Stepped,
};

use super::cause::{is_of_an_area, ours, writes};
use super::{Parting, StepAt};
use crate::judge::names::Names;
use crate::judge::steps::follow::{Objection, Trod, ahead};
use crate::judge::steps::path::{Race, What};
use crate::judge::steps::signed::step_name;
use crate::judge::{Divergence, Object, state};
use crate::run::Woven;

/// A race that was followed as far as it goes, and its divergence.
pub struct Followed<'a> {
    pub race: &'a Race<'a>,
    pub spans: &'a [(usize, usize)],
    pub woven: &'a Woven,
    pub trail: &'a [Trod],
    pub names: &'a Names,
    pub reference: &'a mut dyn Stepped,
    pub objection: Option<&'a Objection>,
}

impl Followed<'_> {
    /// Where it parts; none: nothing tells.
    pub fn part(mut self, divergence: &Divergence) -> Option<Parting> {
        match self.objection.filter(|objection| self.counts(objection)) {
            Some(objection) => self.objected(objection),
            None => self.unseen(divergence),
        }
    }

    /// Of a run that did not come to its end the state is not that when all calls had returned.
    fn counts(&self, objection: &Objection) -> bool {
        objection.item.is_some() || self.woven.finished()
    }

    /// The step that was objected to.
    fn objected(&mut self, objection: &Objection) -> Option<Parting> {
        let Some(item) = objection.item else {
            return self.left_otherwise();
        };
        let call = self.race.items[item].call as usize;
        let is_own = |trod: &Trod| trod.call == call && trod.step.kind != StepKind::Return;
        let last = self.trail.iter().rposition(is_own);
        let last_step = last.map(|at| self.trail[at].step);
        // Where the reference has nothing more to do, the call's last step made it so.
        let objected = objection.step.filter(|step| step.kind != StepKind::Return);
        let step = objected.or(last_step).or(objection.step)?;
        let taken = last.filter(|&at| {
            let trod = &self.trail[at];
            let here = trod.item == item || objected.is_none();
            here && (trod.step.list, trod.step.row) == (step.list, step.row)
        });
        let mark = match self.race.items[item].what {
            What::Mark(mark) => Some(mark),
            What::Begin | What::End => None,
        };
        let mut about: Vec<About> = Vec::new();
        match taken {
            Some(at) => about.extend(&self.trail[at].about),
            // What the candidate has left out, or is yet to do.
            None => self.would_be_about(&step, &mut about),
        }
        let legal = match self.guard(&step).filter(|_| taken.is_none()) {
            Some(guard) => format!("`{}` has to wait ({guard})", step_name(&step)),
            None => self.legal(call, &step, &about, objection),
        };
        let shown = about.clone();
        about.extend(mark.and_then(|mark| ours(self.names, mark.about)));
        about.extend(self.page_of(call));
        let before = taken.unwrap_or(self.trail.len());
        let cause = self.cause(before, call, &about, is_of_an_area(&step, &about));
        let at = self.race.items[item].at as usize;
        let seen = mark.map(|mark| self.seen(call, at, &mark));
        let legal = if seen.is_some() {
            legal
        } else {
            objection.what.clone()
        };
        Some(Parting {
            step: self.step_at(call, step, at, &shown),
            legal: Some(legal),
            seen,
            by: mark.map(|mark| mark.about),
            beside: self.beside(before, call),
            cause,
            nearest: self.nearest(call),
        })
    }

    /// The marks were the reference's steps, and what is left is not: the last step at the page that
    /// differs.
    fn left_otherwise(&mut self) -> Option<Parting> {
        let (mut ours, mut theirs) = (Snapshot::default(), Snapshot::default());
        self.reference.see(&mut ours);
        self.names
            .clone()
            .translate(&ours, self.race.state, &mut theirs);
        let first = state::differences(&ours, &theirs).into_iter().next()?;
        let page = first.page.map(|page| page & !(PAGE_SIZE - 1));
        let at_page = |trod: &Trod| {
            let here =
                |about: &About| matches!(*about, About::Entry { addr, .. } if Some(addr) == page);
            writes(trod.step.kind) && trod.about.iter().any(here)
        };
        let last = self.trail.iter().rposition(at_page);
        let last = last.or(self.trail.len().checked_sub(1))?;
        let Trod {
            call, step, item, ..
        } = self.trail[last];
        let about = self.trail[last].about.clone();
        let cause = self.cause(last, call, &about, false);
        Some(Parting {
            step: self.step_at(call, step, self.race.items[item].at as usize, &about),
            beside: self.beside(last, call),
            legal: Some(first.what.clone()),
            seen: None,
            by: None,
            cause,
            nearest: None,
        })
    }

    /// The marks go on as the reference does: the step that the call is at, and who did something to
    /// the object that the law is about. What was left at the end is of the call that allocated it.
    fn unseen(&mut self, divergence: &Divergence) -> Option<Parting> {
        let at = divergence.at.zip(divergence.step);
        let (call, moment) = at.or_else(|| self.who_allocated(divergence.object?))?;
        let is_own = |trod: &&Trod| trod.call == call;
        let is_later = |trod: &Trod| self.race.items[trod.item].at as usize >= moment;
        let own = self
            .trail
            .iter()
            .enumerate()
            .filter(|(_, trod)| is_own(trod));
        let next = own.clone().find(|(_, trod)| is_later(trod));
        let (place, trod) = next.or_else(|| own.clone().next_back())?;
        let (step, shown) = (trod.step, trod.about.clone());
        let mut about = shown.clone();
        about.extend(self.page_of(call));
        let object = divergence.object.filter(|_| at.is_some());
        let cause = object.and_then(|object| self.who_ended(object, call, moment));
        let cause = cause.or_else(|| self.cause(place, call, &about, is_of_an_area(&step, &about)));
        Some(Parting {
            step: self.step_at(call, step, moment, &shown),
            legal: None,
            seen: None,
            by: None,
            beside: self.beside(place, call),
            cause,
            nearest: None,
        })
    }

    /// The call that allocated an object, and when.
    fn who_allocated(&self, object: Object) -> Option<(usize, usize)> {
        let makes = |event: &Event| match (*event, object) {
            (Event::VmaAlloc { vma, .. }, Object::Vma(id)) => vma == id,
            (Event::FrameAlloc { frame }, Object::Frame(id)) => frame == id,
            (Event::TableAlloc { table }, Object::Table(id)) => table == id,
            (Event::AnonAlloc { anon }, Object::Anon(id)) => anon == id,
            (Event::PolicyAlloc { policy }, Object::Policy(id)) => policy == id,
            _ => false,
        };
        let raised = self
            .woven
            .events
            .iter()
            .find(|raised| makes(&raised.event))?;
        Some((raised.call? as usize, raised.step as usize))
    }

    /// The entry that an access is for.
    pub(super) fn page_of(&self, call: usize) -> Option<About> {
        let step = self.race.program.calls.get(call)?;
        let addr = match step.call {
            Call::Load { addr } | Call::Store { addr, .. } | Call::Exec { addr } => addr,
            _ => return None,
        };
        let task = self.names.task(step.task)?;
        let mut seen = Snapshot::default();
        self.reference.observe(About::Task(task), &mut seen);
        let mm = seen.tasks.first()?.mm;
        let addr = addr & !(PAGE_SIZE - 1);
        Some(About::Entry { mm, addr })
    }

    /// The step of another call that took an object out of use before a moment.
    fn who_ended(&self, object: Object, call: usize, moment: usize) -> Option<StepAt> {
        let ends = |event: &Event| match (*event, object) {
            (Event::VmaUnlink { vma } | Event::VmaFree { vma }, Object::Vma(id)) => vma == id,
            (Event::FrameFree { frame }, Object::Frame(id)) => frame == id,
            (Event::TableFree { table }, Object::Table(id)) => table == id,
            (Event::AnonFree { anon }, Object::Anon(id)) => anon == id,
            (Event::PolicyFree { policy }, Object::Policy(id)) => policy == id,
            (Event::FileFree { file }, Object::File(id)) => file == id,
            _ => false,
        };
        let raised = self.woven.events.iter().rev();
        let mut ended = raised.filter(|raised| {
            let other = raised.call.is_some_and(|other| other as usize != call);
            other && raised.step as usize <= moment && ends(&raised.event)
        });
        let raised = ended.next()?;
        let other = raised.call? as usize;
        let unlinked = matches!(raised.event, Event::VmaUnlink { .. });
        let is_own = |trod: &&Trod| trod.call == other && trod.step.kind != StepKind::Return;
        let mut own = self.trail.iter().filter(is_own);
        let at = |trod: &Trod| self.race.items[trod.item].at;
        let counts = |trod: &&Trod| writes(trod.step.kind);
        // An area leaves its tree right before that is told; what is freed is so behind the step that put it.
        let next = own
            .clone()
            .find(|trod| counts(trod) && at(trod) >= raised.step.saturating_sub(1));
        let last = own
            .clone()
            .rfind(|trod| counts(trod) && at(trod) < raised.step);
        let trod = if unlinked {
            next.or(last)
        } else {
            last.or(next)
        };
        let trod = trod.or_else(|| own.next_back())?;
        let how = if unlinked { "unlinked" } else { "freed" };
        Some(StepAt {
            about: format!("{object} {how}"),
            ..self.step_at(other, trod.step, raised.step as usize, &[])
        })
    }

    /// What a step that is not taken yet would be about.
    fn would_be_about(&self, step: &Offer, about: &mut Vec<About>) {
        let is = |next: &Offer| next.row == step.row && next.list == step.list;
        let ahead = ahead(self.reference, step.task, 1).filter(|(next, _)| is(next));
        about.extend(ahead.into_iter().flat_map(|(_, found)| found));
    }

    /// What a step has to wait by.
    fn guard(&self, step: &Offer) -> Option<&'static str> {
        match self.reference.fork().take(step.task, Choice::Go) {
            Err(Refusal::Waits(guard)) => Some(guard),
            _ => None,
        }
    }
}
