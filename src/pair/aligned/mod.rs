//! Programs on managers of which not all is compared: call by call, both looked at through one
//! view, the second told the place that the first chose, and on past differences that are known.
//!
//! What is observed is what is judged: states are narrowed before anybody sees them.

mod differ;
mod looks;
mod place;
mod run;

use vmadiff_contract::{Parts, Snapshot};

use super::{AT_BOOT, Pair, Ran, TWICE_IN, nondeterminism, working};
use crate::compare::Passed;
use crate::judge::{Divergence, Rule, Side, Verdict};
use crate::program::Program;
use crate::run::{Keep, Observation, Pace, Panic, Watch, caught};
use place::Place;
use run::Run;

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
