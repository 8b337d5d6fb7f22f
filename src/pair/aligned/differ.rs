//! Whether a call came to the same on both managers, and past differences that are known.

use vmadiff_contract::{CallKind, Event, Outcome};

use super::Stop;
use super::place::Place;
use super::run::Run;
use crate::compare::{Difference, Passed, Shown};
use crate::judge::{Broken, Divergence, Rule, Side, answers_differ, same_state, states_differ};
use crate::pair::{Pair, working};
use crate::program::Step;
use crate::run::Recorder;

impl Run<'_> {
    /// Asks the laws about what the candidate raised, and about its state.
    pub(super) fn laws(
        &mut self,
        step: &Step,
        outcome: Outcome,
        events: &[Event],
        look: bool,
    ) -> Result<(), Stop> {
        let place = *self.place;
        let candidate = &mut self.pair.candidate;
        let laws = &mut candidate.laws;
        laws.begin(Some(step.call.kind()));
        let mut obeyed = events.iter().try_for_each(|event| laws.event(event));
        if look && obeyed.is_ok() {
            obeyed = laws.settle(outcome, &candidate.state);
        }
        obeyed.map_err(|broken| Self::broken(place, *broken))
    }

    pub(super) fn broken(place: Place, broken: Broken) -> Stop {
        Stop::Found(Box::new(Divergence {
            at: place.at,
            ..broken.diverges(place.side, place.call)
        }))
    }

    pub(super) fn compare(
        &mut self,
        at: usize,
        step: &Step,
        reference: Outcome,
        candidate: Outcome,
        look: bool,
    ) -> Result<(), Stop> {
        let view = self.pair.terms.view;
        let fails = |outcome| matches!(outcome, Outcome::Errno(_));
        let any_error = !view.shows(Shown::ERRORS) && fails(reference) && fails(candidate);
        let answers = (reference != candidate && !any_error)
            .then(|| answers_differ(step.call.kind(), reference, candidate))
            .flatten();
        let differ = answers.map(|(field, what)| (Rule::Outcome, field, what));
        let differ = differ.or_else(|| {
            let (field, what) = self.states(look)?;
            Some((Rule::State, field, what))
        });
        let Some((rule, field, what)) = differ else {
            return Ok(());
        };
        self.place.side = Side::Candidate;
        working::on_call(Side::Candidate, step.call.kind(), at);
        let kept_apart = look && self.pair.keeps_apart(step, reference, candidate);
        let difference = Difference {
            rule,
            field,
            what: &what,
            step,
            reference,
            candidate,
            before: &self.pair.agreed,
            ours: self.pair.ours(),
            theirs: self.pair.theirs(),
            kept_apart,
        };
        // A state that was not looked at tells nobody how the difference came about.
        let known = look
            .then(|| self.pair.terms.explain(step, &difference))
            .flatten();
        let Some(known) = known else {
            let found = self.place.of_both().diverges(rule, field, what);
            return Err(Stop::Found(Box::new(found)));
        };
        let same = self.are_together(step, reference, candidate);
        let (name, went_on) = (known.name, known.goes_on && (same || self.bring_together()));
        self.aligned.passed.push(Passed { at, name, went_on });
        if went_on { Ok(()) } else { Err(Stop::Known) }
    }

    /// How the states differ, if they were looked at.
    pub(super) fn states(&self, look: bool) -> Option<(&'static str, String)> {
        let (ours, theirs) = (self.pair.ours(), self.pair.theirs());
        if !look || self.pair.candidate.left_out || same_state(ours, theirs) {
            return None;
        }
        states_differ(ours, theirs)
    }

    /// Whether a difference is over: what is not shown is the same, too. Areas that are not shown, and what
    /// memory holds, tell of it only later, and then nobody would know it for this one.
    pub(super) fn are_together(&self, step: &Step, reference: Outcome, candidate: Outcome) -> bool {
        let hidden = !self.pair.terms.view.shows(Shown::AREAS)
            || self.pair.known.knows(CallKind::Load)
            || self.pair.known.knows(CallKind::Store);
        let accesses = matches!(
            step.call.kind(),
            CallKind::Load | CallKind::Store | CallKind::Exec
        );
        let nothing_done = accesses && !reference.is_success() && !candidate.is_success();
        self.states(true).is_none() && (nothing_done || !hidden)
    }

    /// Brings the candidate to the reference's state; whether it is there.
    pub(super) fn bring_together(&mut self) -> bool {
        self.place.side = Side::Candidate;
        let Pair {
            reference,
            candidate,
            terms,
            ..
        } = &mut *self.pair;
        // What was raised so far would be about other objects.
        if terms.view.shows(Shown::EVENTS)
            || !candidate.instance.manager.adopt(reference.look_at_all())
        {
            return false;
        }
        Recorder::clear();
        self.look(Side::Candidate);
        self.states(true).is_none()
    }
}
