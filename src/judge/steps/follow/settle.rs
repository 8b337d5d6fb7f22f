//! Returns of calls, and the end of the race: answers, events and the whole state.

use vmadiff_contract::{Call, Outcome, Stepped, TaskId};

use super::super::parting::to_its_end;
use super::super::path::Race;
use super::{Followed, Follower, Objection, SILENT_MAX};
use crate::judge::{Rule, outcome, state};
use crate::program::text::outcome_text;

impl Follower {
    pub(super) fn end(
        &mut self,
        race: &Race<'_>,
        reference: &mut dyn Stepped,
        call: usize,
    ) -> Followed {
        self.begin_late(race, reference, call);
        let ours = match (self.calls[call].answer, self.calls[call].task) {
            (Some(outcome), _) => outcome,
            (None, None) => Outcome::NoTask,
            (None, Some(task)) => self.finish(race, reference, call, task)?,
        };
        self.under_way.retain(|&other| other != call);
        if self.under_way.is_empty() {
            self.quiet.rest(call, race.kind(call), reference);
        }
        let theirs = race.outcomes[call].unwrap_or(Outcome::NoTask);
        let step = &race.program.calls[call];
        if let (Call::Fork, Outcome::Value(ours), Outcome::Value(theirs)) =
            (step.call, ours, theirs)
        {
            if !self.names.tasks.pair(theirs as u32, ours as u32) {
                let what = format!("task {theirs} is made twice");
                return Err(self.object(Rule::Outcome, "value", None, what));
            }
        } else if let Some((field, what)) = outcome::difference(step.call.kind(), ours, theirs) {
            return Err(self.object(Rule::Outcome, field, None, what));
        }
        let Self {
            names, life, calls, ..
        } = self;
        let differs = life.differs(names, &calls[call].events, race.life_of(call));
        if let Some(kind) = differs {
            let what = format!("{kind} events differ from those of the same call in the reference");
            return Err(self.object(Rule::Events, kind, None, what));
        }
        Ok(())
    }

    /// Takes what is left of a call.
    fn finish(
        &mut self,
        race: &Race<'_>,
        reference: &mut dyn Stepped,
        call: usize,
        task: TaskId,
    ) -> Followed<Outcome> {
        for _ in 0..SILENT_MAX {
            let Some(offer) = reference.next(task) else {
                return Err(self.unfinished(race, call));
            };
            let done = self.take(race, reference, call, offer, None, None)?;
            if let Some(outcome) = done.returned {
                return Ok(outcome);
            }
            self.may_be_silent(&done)?;
        }
        Err(self.bounded())
    }

    /// The rest of a call that has returned, as the reference goes on.
    pub(super) fn end_alone(&mut self, race: &Race<'_>, reference: &mut dyn Stepped, call: usize) {
        self.under_way.retain(|&other| other != call);
        let Some(task) = self.calls[call].task else {
            return;
        };
        let ours = to_its_end(reference, task);
        if let (Call::Fork, Some(Outcome::Value(ours)), Some(Outcome::Value(theirs))) =
            (race.program.calls[call].call, ours, race.outcomes[call])
        {
            self.names.tasks.pair(theirs as u32, ours as u32);
        }
    }

    #[cold]
    fn unfinished(&self, race: &Race<'_>, call: usize) -> Box<Objection> {
        let theirs = race.outcomes[call].unwrap_or(Outcome::NoTask);
        let kind = race.kind(call);
        let what = format!(
            "the candidate answers {}, and the reference is not done",
            outcome_text(kind, theirs)
        );
        self.object(Rule::Outcome, "unfinished", None, what)
    }

    /// All calls have returned: compares the states.
    pub(super) fn settle(&mut self, race: &Race<'_>, reference: &dyn Stepped) -> Followed {
        let Self {
            names,
            quiet,
            ours,
            theirs,
            ..
        } = self;
        reference.see(ours);
        if let Some(last) = race.items.last() {
            let call = last.call as usize;
            quiet.settle(call, race.kind(call), ours);
        }
        names.translate(ours, race.state, theirs);
        if state::same(ours, theirs) {
            return Ok(());
        }
        let Some(first) = state::differences(ours, theirs).into_iter().next() else {
            return Ok(());
        };
        let lost = first.field.contains("bytes");
        let rule = if lost { Rule::LostStore } else { Rule::State };
        let mut objection = self.object(rule, first.field, None, first.what);
        objection.item = None;
        Err(objection)
    }
}
