//! A run on aligned managers: call by call, to its quiescence.

use vmadiff_contract::{CallKind, Event, Outcome, Parts, Snapshot};

use super::place::Place;
use super::{Aligned, Stop};
use crate::compare::Shown;
use crate::judge::Side;
use crate::pair::{Pair, working};
use crate::program::{Program, Step};
use crate::run::{Keep, Observed, Pace, Recorder, Seen, Stage, Watch, exit};

/// A run under way.
pub(super) struct Run<'a> {
    pub pair: &'a mut Pair,
    pub aligned: &'a mut Aligned,
    pub place: &'a mut Place,
    pub pace: &'a mut Pace,
    pub keep: Option<&'a Keep>,
    /// All that is shown, where looks may be left out.
    pub alone: Option<Parts>,
    /// What the candidate is taken to answer to a call that it is not asked: one that may go anywhere, and for
    /// which the reference, which it follows, has found no place.
    pub unasked: Option<Outcome>,
}

impl Run<'_> {
    pub fn all(&mut self, program: &Program, watch: &mut impl Watch) -> Result<(), Stop> {
        let config = self.pair.terms.world.machine(&program.config);
        self.place.side = Side::Reference;
        self.pair.reference.reset(&config);
        self.place.side = Side::Candidate;
        working::on_boot();
        self.pair.candidate.reset(&config);
        watch.begin(&program.config);
        self.look(Side::Reference);
        self.agree();
        for (at, step) in program.calls.iter().enumerate() {
            let pair = &self.pair;
            if pair.known.makes(&step.call) && pair.terms.world.has_arguments(step) {
                self.call(at, step, watch)?;
            } else {
                self.skip(at);
            }
        }
        if self.pair.known.knows(CallKind::Exit) {
            self.exits(program.calls.len())?;
        }
        self.quiesce()
    }

    /// Makes a call on both managers and compares.
    fn call(&mut self, at: usize, step: &Step, watch: &mut impl Watch) -> Result<(), Stop> {
        let look = self.pace.is_due(at);
        (self.place.at, self.place.call) = (Some(at), step.call.kind().name());
        let [ours, theirs] = if self.pair.terms.candidate_first() {
            let theirs = self.one(Side::Candidate, at, [step, step], look, watch)?;
            let told = self.pair.terms.second(step, theirs);
            let told = told.as_ref().unwrap_or(step);
            [
                self.one(Side::Reference, at, [told, step], look, watch)?,
                theirs,
            ]
        } else {
            let ours = self.one(Side::Reference, at, [step, step], look, watch)?;
            self.unasked = (self.pair.terms.has_no_place(step, ours)).then_some(ours);
            let told = self.pair.terms.second(step, ours);
            let told = told.as_ref().unwrap_or(step);
            [
                ours,
                self.one(Side::Candidate, at, [told, step], look, watch)?,
            ]
        };
        if let Some(shown) = self.alone.filter(|_| look) {
            self.look_at_both(shown, at, step);
        }
        self.compare(at, step, ours, theirs, look)?;
        if look {
            self.pace.looked(at, self.pair.ours());
            self.agree();
        }
        Ok(())
    }

    /// Makes a call on one manager: that of the program, `step`, as it was `told`.
    fn one(
        &mut self,
        side: Side,
        at: usize,
        [told, step]: [&Step; 2],
        look: bool,
        watch: &mut impl Watch,
    ) -> Result<Outcome, Stop> {
        self.place.side = side;
        working::on_call(side, step.call.kind(), at);
        let outcome = match side {
            Side::Reference => self.pair.reference_makes(step, told),
            Side::Candidate => match self.unasked.take() {
                Some(outcome) => outcome,
                None => self.pair.candidate.instance.call(told),
            },
        };
        let raises = self.pair.terms.view.shows(Shown::EVENTS);
        let events = Recorder::drain(|events| {
            // What a candidate raises nothing of is told from what the same call did here.
            if raises == (side == Side::Candidate) && self.keep.is_none() {
                watch.call(&Seen {
                    step,
                    outcome,
                    events,
                    state: &self.pair.agreed,
                });
            }
            let wanted = raises || self.keep.is_some();
            if wanted { events.to_vec() } else { Vec::new() }
        });
        // Otherwise once both have made the call.
        let look = look && self.alone.is_none();
        if look {
            self.snapshot(side);
        }
        if raises && side == Side::Candidate {
            self.laws(step, outcome, &events, look)?;
        }
        if look {
            self.narrow(side);
        }
        if self.keep.is_some() {
            self.note(side, outcome, events);
        }
        Ok(outcome)
    }

    /// Keeps what was observed of a call, if that is wanted.
    fn note(&mut self, side: Side, outcome: Outcome, events: Vec<Event>) {
        let Some(keep) = self.keep else {
            return;
        };
        let seen = match side {
            Side::Reference => &self.aligned.reference,
            Side::Candidate => &self.aligned.candidate,
        };
        let state = if keep.has(seen.calls.len()) {
            self.state_of(side).clone()
        } else {
            Snapshot::default()
        };
        let seen = match side {
            Side::Reference => &mut self.aligned.reference,
            Side::Candidate => &mut self.aligned.candidate,
        };
        seen.calls.push(Observed {
            outcome,
            events,
            state,
        });
    }

    /// A call that is not made. Both stay in the state that they agreed on.
    fn skip(&mut self, at: usize) {
        let Some(keep) = self.keep else {
            return;
        };
        for seen in [&mut self.aligned.reference, &mut self.aligned.candidate] {
            seen.calls.push(Observed {
                outcome: Outcome::Unsupported,
                events: Vec::new(),
                state: if keep.has(at) {
                    Snapshot::clone(&self.pair.agreed)
                } else {
                    Snapshot::default()
                },
            });
        }
    }

    /// Ends each task that is left, the last one first.
    fn exits(&mut self, calls: usize) -> Result<(), Stop> {
        let mut at = calls;
        while let Some(last) = self.pair.agreed.tasks.last() {
            let step = exit(last.task);
            self.call(at, &step, &mut ())?;
            at += 1;
            if self
                .pair
                .agreed
                .tasks
                .iter()
                .any(|task| task.task == step.task)
            {
                break;
            }
        }
        Ok(())
    }

    /// Lets what was deferred run to its end.
    fn quiesce(&mut self) -> Result<(), Stop> {
        (self.place.at, self.place.call) = (None, "quiescence");
        if self.keep.is_some() {
            self.aligned.reference.last.clone_from(&self.pair.agreed);
            self.aligned.candidate.last.clone_from(&self.pair.agreed);
        }
        if !self.pair.terms.view.shows(Shown::EVENTS) {
            return Ok(());
        }
        self.place.side = Side::Candidate;
        let place = *self.place;
        working::on_stage(Side::Candidate, Stage::Quiesce);
        let candidate = &mut self.pair.candidate;
        candidate.instance.manager.quiesce();
        candidate.snapshot();
        let events = Recorder::drain(<[_]>::to_vec);
        candidate.laws.begin(None);
        let mut obeyed = events
            .iter()
            .try_for_each(|event| candidate.laws.event(event));
        if obeyed.is_ok() && self.pair.known.knows(CallKind::Exit) {
            obeyed = candidate.laws.quiesced(&candidate.state);
        }
        self.aligned.candidate.deferred = events;
        obeyed.map_err(|broken| Self::broken(place, *broken))
    }
}
