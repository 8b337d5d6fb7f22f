//! The judge proper: walks two observations side by side and stops at the first objection.

use vmadiff_contract::{CallKind, DesignInfo, Event, Outcome};

use super::{Broken, Divergence, Laws, Rule, Side, Signature, Verdict, events, outcome, state};
use crate::program::Program;
use crate::run::{Observation, Observed, Panic};

/// Judges what was observed of a program on both managers, the candidate by what its design
/// declares.
pub fn judge(
    program: &Program,
    design: &'static DesignInfo,
    reference: &Observation,
    candidate: &Observation,
) -> Verdict {
    let mut judge = Judge {
        program,
        laws: [Laws::new(None), Laws::new(Some(design))],
    };
    match judge.all(reference, candidate) {
        Ok(()) => Verdict::Agree,
        Err(divergence) => Verdict::Diverge(*divergence),
    }
}

type Judged = Result<(), Box<Divergence>>;

struct Judge<'a> {
    program: &'a Program,
    laws: [Laws; 2],
}

/// Where in the run an objection arises.
#[derive(Clone, Copy)]
struct Place {
    at: Option<usize>,
    call: &'static str,
    side: Option<Side>,
    event: Option<usize>,
}

impl Judge<'_> {
    fn all(&mut self, reference: &Observation, candidate: &Observation) -> Judged {
        let calls = reference.calls.len().max(candidate.calls.len());
        for at in 0..calls {
            match (reference.calls.get(at), candidate.calls.get(at)) {
                (Some(ours), Some(theirs)) => {
                    let looked = reference.kept.has(at) && candidate.kept.has(at);
                    self.call(at, ours, theirs, looked)?;
                }
                _ => {
                    self.panicked(reference, candidate)?;
                    return Err(self.ended_early(at, reference));
                }
            }
        }
        self.panicked(reference, candidate)?;
        self.quiescence(reference, candidate)
    }

    /// Judges a call; its states only if they were kept.
    fn call(&mut self, at: usize, ours: &Observed, theirs: &Observed, looked: bool) -> Judged {
        let kind = self.kind(at);
        let place = self.place(Some(at));
        livelock(place, ours, theirs)?;
        for (side, observed) in [(Side::Reference, ours), (Side::Candidate, theirs)] {
            self.events(
                Place {
                    side: Some(side),
                    ..place
                },
                Some(kind),
                &observed.events,
            )?;
        }
        if let Some((field, what)) = outcome::difference(kind, ours.outcome, theirs.outcome) {
            return Err(place.diverges(Rule::Outcome, field, what));
        }
        if looked {
            self.states(place, ours, theirs)?;
        }
        compare_events(place, &ours.events, &theirs.events)
    }

    fn states(&mut self, place: Place, ours: &Observed, theirs: &Observed) -> Judged {
        for (side, observed) in [(Side::Reference, ours), (Side::Candidate, theirs)] {
            let settled = self.laws[side as usize].settle(observed.outcome, &observed.state);
            settled.map_err(|broken| {
                Place {
                    side: Some(side),
                    ..place
                }
                .breaks(*broken)
            })?;
        }
        match state::difference(&ours.state, &theirs.state) {
            Some((field, what)) => Err(place.diverges(Rule::State, field, what)),
            None => Ok(()),
        }
    }

    fn quiescence(&mut self, reference: &Observation, candidate: &Observation) -> Judged {
        let place = self.place(None);
        for (side, observed) in [(Side::Reference, reference), (Side::Candidate, candidate)] {
            self.events(
                Place {
                    side: Some(side),
                    ..place
                },
                None,
                &observed.deferred,
            )?;
        }
        let calls = self.program.calls.len();
        for (side, observed) in [(Side::Reference, reference), (Side::Candidate, candidate)] {
            // Tasks that nobody was asked to end, since a manager knows no exit, leave things behind.
            if observed.calls.len() == calls && !observed.last.tasks.is_empty() {
                continue;
            }
            let quiesced = self.laws[side as usize].quiesced(&observed.last);
            quiesced.map_err(|broken| {
                Place {
                    side: Some(side),
                    ..place
                }
                .breaks(*broken)
            })?;
        }
        if let Some((field, what)) = state::difference(&reference.last, &candidate.last) {
            return Err(place.diverges(Rule::State, field, what));
        }
        compare_events(place, &reference.deferred, &candidate.deferred)
    }

    fn events(&mut self, place: Place, kind: Option<CallKind>, events: &[Event]) -> Judged {
        let side = place.side.expect("laws are one manager's");
        let laws = &mut self.laws[side as usize];
        laws.begin(kind);
        for (i, event) in events.iter().enumerate() {
            let obeyed = laws.event(event);
            obeyed.map_err(|broken| {
                Place {
                    event: Some(i),
                    ..place
                }
                .breaks(*broken)
            })?;
        }
        Ok(())
    }

    /// One manager has fewer calls, though all before were equal: it lost or gained a task's exit.
    fn ended_early(&self, at: usize, reference: &Observation) -> Box<Divergence> {
        let side = if reference.calls.len() == at {
            Side::Reference
        } else {
            Side::Candidate
        };
        let place = Place {
            side: Some(side),
            ..self.place(Some(at))
        };
        let what = format!("the run of the {side} has ended, the other goes on");
        place.diverges(Rule::State, "tasks", what)
    }

    fn panicked(&self, reference: &Observation, candidate: &Observation) -> Judged {
        for (side, observed) in [(Side::Reference, reference), (Side::Candidate, candidate)] {
            if let Some(Panic { at, message }) = &observed.panicked {
                let place = Place {
                    side: Some(side),
                    ..self.place(*at)
                };
                let what = format!("the {side} panicked: {message}");
                return Err(place.diverges(Rule::Panic, "panic", what));
            }
        }
        Ok(())
    }

    fn place(&self, at: Option<usize>) -> Place {
        let call = at.map_or("quiescence", |at| self.kind(at).name());
        Place {
            at,
            call,
            side: None,
            event: None,
        }
    }

    /// Behind the program's calls come the exits that end every run.
    fn kind(&self, at: usize) -> CallKind {
        self.program
            .calls
            .get(at)
            .map_or(CallKind::Exit, |step| step.call.kind())
    }
}

impl Place {
    fn diverges(self, rule: Rule, field: &'static str, what: String) -> Box<Divergence> {
        let Self {
            at,
            call,
            side,
            event,
        } = self;
        Box::new(Divergence {
            at,
            side,
            event,
            ..Divergence::of(Signature { rule, call, field }, what)
        })
    }

    fn breaks(self, broken: Broken) -> Box<Divergence> {
        let side = self.side.expect("laws are one manager's");
        Box::new(Divergence {
            at: self.at,
            event: self.event,
            ..broken.diverges(side, self.call)
        })
    }
}

fn livelock(place: Place, ours: &Observed, theirs: &Observed) -> Judged {
    for (side, observed) in [(Side::Reference, ours), (Side::Candidate, theirs)] {
        if observed.outcome == Outcome::Livelock {
            let what = format!("in the {side}, the fault is served again and again");
            let place = Place {
                side: Some(side),
                ..place
            };
            return Err(place.diverges(Rule::Livelock, "fault", what));
        }
    }
    Ok(())
}

fn compare_events(place: Place, ours: &[Event], theirs: &[Event]) -> Judged {
    match events::difference(ours, theirs) {
        Some((field, what)) => Err(place.diverges(Rule::Events, field, what)),
        None => Ok(()),
    }
}
