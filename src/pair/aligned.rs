//! Programs on managers of which not all is compared: call by call, both looked at through one
//! view, the second told the place that the first chose, and on past differences that are known.
//!
//! What is observed is what is judged: states are narrowed before anybody sees them.

use std::mem;

use vmadiff_contract::{CallKind, Event, Outcome, Parts, Snapshot};

use super::{AT_BOOT, AT_DROP, Pair, Ran, TWICE_IN, nondeterminism, working};
use crate::compare::{Difference, Passed, Shown, narrow};
use crate::judge::{
    Broken, Divergence, Rule, Side, Signature, Verdict, answers_differ, same_state, states_differ,
};
use crate::program::{Program, Step};
use crate::run::{
    Keep, Observation, Observed, Pace, Panic, Recorder, Seen, Stage, Watch, caught, exit,
};

/// What a run came to, and what was kept of it.
#[derive(Default)]
struct Aligned {
    found: Option<Divergence>,
    passed: Vec<Passed>,
    reference: Observation,
    candidate: Observation,
}

/// Why a run does not go on.
enum Stop {
    /// Something differs that is not known, or a law was broken.
    Found(Box<Divergence>),
    /// Something differs that is known, and the managers cannot be brought together again.
    Known,
}

impl Pair {
    /// The reference's state: where it was not looked at anew, the one that both agreed on.
    fn ours(&self) -> &Snapshot {
        if self.reference.left_out {
            &self.agreed
        } else {
            &self.reference.state
        }
    }

    /// The candidate's state: where it was not looked at, the reference's.
    fn theirs(&self) -> &Snapshot {
        if self.candidate.left_out {
            self.ours()
        } else {
            &self.candidate.state
        }
    }

    /// Runs a program; none if all is well, or known.
    pub(super) fn run_aligned(
        &mut self,
        program: &Program,
        watch: &mut impl Watch,
    ) -> Option<Box<Ran>> {
        let first = self.align(program, &mut Pace::of(program.calls.len()), None, watch);
        for passed in &first.passed {
            self.tally.count(passed);
        }
        if first.found.is_none() && !program.is_one_in(TWICE_IN) {
            return None;
        }
        let mut ran = self.observe_aligned_twice(program, &[]);
        if first.found.is_some() && ran.verdict == Verdict::Agree {
            let what = "a run that was objected to could not be repeated";
            ran.verdict = Verdict::Diverge(nondeterminism(None, what));
        }
        (ran.verdict != Verdict::Agree).then(|| Box::new(ran))
    }

    /// Runs a program once and keeps what is observed; of a long one not all states.
    pub(super) fn observe_aligned(&mut self, program: &Program, looks: &[usize]) -> Ran {
        let mut pace = Pace::of(program.calls.len());
        let mut keep = Keep::All;
        if pace.is_long() {
            let mut first = pace.clone();
            let ran = self.align(program, &mut first, None, &mut ());
            keep = first.keep(looks, ran.found.and_then(|found| found.at));
        }
        let aligned = self.align(program, &mut pace, Some(&keep), &mut ());
        Ran {
            design: self.design,
            view: self.terms.view,
            verdict: aligned.found.map_or(Verdict::Agree, Verdict::Diverge),
            known: aligned.passed,
            reference: aligned.reference,
            candidate: aligned.candidate,
            woven: None,
        }
    }

    /// As [`Pair::observe_aligned`], and a manager that does otherwise a second time is a finding.
    pub(super) fn observe_aligned_twice(&mut self, program: &Program, looks: &[usize]) -> Ran {
        let mut ran = self.observe_aligned(program, looks);
        if ran != self.observe_aligned(program, looks) {
            let what = "the candidate does otherwise when the program runs again";
            ran.verdict = Verdict::Diverge(nondeterminism(Some(Side::Candidate), what));
        }
        ran
    }

    /// Runs a program. `keep` says which states are kept; none: nothing is, and `watch` sees calls.
    fn align(
        &mut self,
        program: &Program,
        pace: &mut Pace,
        keep: Option<&Keep>,
        watch: &mut impl Watch,
    ) -> Aligned {
        let mut aligned = Aligned::default();
        if let Some(keep) = keep {
            aligned.reference.manager = self.reference.instance.manager.name();
            aligned.candidate.manager = self.candidate.instance.manager.name();
            aligned.reference.kept = keep.clone();
            aligned.candidate.kept = keep.clone();
        }
        let mut place = Place {
            at: None,
            call: AT_BOOT,
            side: Side::Candidate,
        };
        // States that are kept are looked at as a whole.
        let alone = Parts::alone_in(&self.terms.view).filter(|_| keep.is_none());
        let ran = caught(|| {
            let mut run = Run {
                pair: self,
                aligned: &mut aligned,
                place: &mut place,
                pace,
                keep,
                alone,
                unasked: None,
            };
            run.all(program, watch)
        });
        aligned.found = match ran {
            Ok(ended) => {
                let dropped = self.dropped();
                match ended {
                    Ok(()) | Err(Stop::Known) => {
                        dropped.map(|message| self.panicked(Place::DROP, message, &mut aligned))
                    }
                    Err(Stop::Found(found)) => Some(*found),
                }
            }
            Err(message) => {
                self.reference.instance.renew();
                self.candidate.instance.renew();
                Some(self.panicked(place, message, &mut aligned))
            }
        };
        working::on_nothing();
        aligned
    }

    /// Throws away what the candidate kept for the program; what it said if it panicked.
    fn dropped(&mut self) -> Option<String> {
        working::on_drop();
        let closed = caught(|| self.candidate.instance.manager.close());
        let message = closed.err()?;
        self.candidate.instance.renew();
        Some(message)
    }

    fn panicked(&self, place: Place, message: String, aligned: &mut Aligned) -> Divergence {
        let Place { at, side, .. } = place;
        let what = format!("the {side} panicked: {message}");
        let panicked = Some(Panic { at, message });
        match side {
            Side::Reference => aligned.reference.panicked = panicked,
            Side::Candidate => aligned.candidate.panicked = panicked,
        }
        place.of_side().diverges(Rule::Panic, "panic", what)
    }
}

/// Where a run is, and who is at work.
#[derive(Clone, Copy)]
struct Place {
    at: Option<usize>,
    call: &'static str,
    side: Side,
}

/// A place, and whether an objection there is about one side only.
#[derive(Clone, Copy)]
struct Objection(Place, Option<Side>);

impl Place {
    /// The candidate is thrown away.
    const DROP: Self = Self {
        at: None,
        call: AT_DROP,
        side: Side::Candidate,
    };

    fn of_both(self) -> Objection {
        Objection(self, None)
    }

    fn of_side(self) -> Objection {
        Objection(self, Some(self.side))
    }
}

impl Objection {
    fn diverges(self, rule: Rule, field: &'static str, what: String) -> Divergence {
        let Self(Place { at, call, .. }, side) = self;
        Divergence {
            at,
            side,
            ..Divergence::of(Signature { rule, call, field }, what)
        }
    }
}

/// A run under way.
struct Run<'a> {
    pair: &'a mut Pair,
    aligned: &'a mut Aligned,
    place: &'a mut Place,
    pace: &'a mut Pace,
    keep: Option<&'a Keep>,
    /// All that is shown, where looks may be left out.
    alone: Option<Parts>,
    /// What the candidate is taken to answer to a call that it is not asked: one that may go anywhere, and for
    /// which the reference, which it follows, has found no place.
    unasked: Option<Outcome>,
}

impl Run<'_> {
    fn all(&mut self, program: &Program, watch: &mut impl Watch) -> Result<(), Stop> {
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

    fn look(&mut self, side: Side) {
        self.place.side = side;
        self.snapshot(side);
        self.narrow(side);
    }

    /// Looks at both, as far as what is shown has moved, and differs.
    fn look_at_both(&mut self, shown: Parts, at: usize, step: &Step) {
        let Pair {
            reference,
            candidate,
            agreed,
            terms,
            ..
        } = &mut *self.pair;
        self.place.side = Side::Reference;
        reference.look_if_moved(shown);
        if !reference.left_out {
            narrow(&terms.view, &mut reference.state);
        }
        let ours = if reference.left_out {
            agreed
        } else {
            &reference.state
        };
        self.place.side = Side::Candidate;
        working::on_call(Side::Candidate, step.call.kind(), at);
        candidate.look_if_other(shown, &terms.view, ours);
        if !candidate.left_out {
            narrow(&terms.view, &mut candidate.state);
        }
    }

    fn snapshot(&mut self, side: Side) {
        match side {
            Side::Reference => self.pair.reference.snapshot(),
            Side::Candidate => self.pair.candidate.snapshot(),
        }
    }

    fn narrow(&mut self, side: Side) {
        let view = self.pair.terms.view;
        narrow(&view, self.state_of(side));
    }

    fn state_of(&mut self, side: Side) -> &mut Snapshot {
        match side {
            Side::Reference => &mut self.pair.reference.state,
            Side::Candidate => &mut self.pair.candidate.state,
        }
    }

    /// Both managers are in the reference's state.
    fn agree(&mut self) {
        if !self.pair.reference.left_out {
            mem::swap(&mut self.pair.agreed, &mut self.pair.reference.state);
        }
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

    /// Asks the laws about what the candidate raised, and about its state.
    fn laws(
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

    fn broken(place: Place, broken: Broken) -> Stop {
        Stop::Found(Box::new(Divergence {
            at: place.at,
            ..broken.diverges(place.side, place.call)
        }))
    }

    fn compare(
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
    fn states(&self, look: bool) -> Option<(&'static str, String)> {
        let (ours, theirs) = (self.pair.ours(), self.pair.theirs());
        if !look || self.pair.candidate.left_out || same_state(ours, theirs) {
            return None;
        }
        states_differ(ours, theirs)
    }

    /// Whether a difference is over: what is not shown is the same, too. Areas that are not shown, and what
    /// memory holds, tell of it only later, and then nobody would know it for this one.
    fn are_together(&self, step: &Step, reference: Outcome, candidate: Outcome) -> bool {
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
    fn bring_together(&mut self) -> bool {
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
