//! The fast path over both managers, and the slow one that finds words for what it objects to.

use vmadiff_contract::{Capabilities, Manager, Outcome};

use super::bench::{Bench, Make, Objects, caught, exit};
use super::{Observation, Watch};
use crate::judge::{Divergence, Rule, Side, Signature, Verdict, judge, same_state};
use crate::program::{Program, Step};

/// One run in so many is made twice and must be the same.
const TWICE_IN: u64 = 1000;

/// Runs programs on a reference and a candidate, one after another.
pub struct Runner<R, C> {
    reference: Bench<R>,
    candidate: Bench<C>,
    known: Capabilities,
    runs: u64,
}

/// A verdict with what it was founded on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// What the judge says.
    pub verdict: Verdict,
    /// What was observed of the reference.
    pub reference: Observation,
    /// What was observed of the candidate.
    pub candidate: Observation,
}

impl<R: Manager, C: Manager> Runner<R, C> {
    /// A runner whose managers are made so: once now, and again should one panic.
    pub fn new(reference: Make<R>, candidate: Make<C>) -> Self {
        let reference = Bench::new(Side::Reference, reference);
        let candidate = Bench::new(Side::Candidate, candidate);
        let known = reference
            .manager
            .supports()
            .and(candidate.manager.supports());
        Self {
            reference,
            candidate,
            known,
            runs: 0,
        }
    }

    /// The calls that both managers know; others in a program are not made.
    pub fn known(&self) -> Capabilities {
        self.known
    }

    /// Runs a program, as fast as can be; none if all is well.
    ///
    /// `watch` sees the first run only.
    pub fn run(&mut self, program: &Program, watch: &mut impl Watch) -> Option<Box<Ran>> {
        self.runs += 1;
        let fast = match caught(|| self.fast(program, watch)) {
            Ok(fast) => fast,
            Err(_) => {
                self.reference.renew();
                self.candidate.renew();
                Err(Objects)
            }
        };
        if fast.is_ok() && !self.runs.is_multiple_of(TWICE_IN) {
            return None;
        }
        let mut ran = self.observe_twice(program);
        if fast.is_err() && ran.verdict == Verdict::Agree {
            let what = "a run that was objected to could not be repeated";
            ran.verdict = Verdict::Diverge(nondeterminism(None, what));
        }
        (ran.verdict != Verdict::Agree).then(|| Box::new(ran))
    }

    /// Runs a program once, keeps everything and judges it.
    pub fn observe(&mut self, program: &Program) -> Ran {
        let reference = self.reference.observe(program, self.known);
        let candidate = self.candidate.observe(program, self.known);
        let verdict = judge(program, &reference, &candidate);
        Ran {
            verdict,
            reference,
            candidate,
        }
    }

    /// As [`Runner::observe`], and a manager that does otherwise a second time is a finding.
    pub fn observe_twice(&mut self, program: &Program) -> Ran {
        let mut ran = self.observe(program);
        let again = self.observe(program);
        let side = if ran.reference != again.reference {
            Side::Reference
        } else if ran.candidate != again.candidate {
            Side::Candidate
        } else {
            return ran;
        };
        let what = format!("the {side} does otherwise when the program runs again");
        ran.verdict = Verdict::Diverge(nondeterminism(Some(side), &what));
        ran
    }

    fn fast(&mut self, program: &Program, watch: &mut impl Watch) -> Result<(), Objects> {
        self.reference.reset(&program.config);
        self.candidate.reset(&program.config);
        watch.begin(&program.config);
        self.reference.manager.snapshot(&mut self.reference.state);
        for step in &program.calls {
            if self.known.knows(step.call.kind()) {
                self.fast_call(step, watch)?;
            }
        }
        self.fast_exits()?;
        self.fast_quiesce()
    }

    /// Makes one call on both; answers what both answered.
    fn fast_call(&mut self, step: &Step, watch: &mut impl Watch) -> Result<Outcome, Objects> {
        let ours = self.reference.fast_call(step, &mut ())?;
        let theirs = self.candidate.fast_call(step, watch)?;
        if ours != theirs || ours == Outcome::Livelock {
            return Err(Objects);
        }
        self.reference.settle(ours)?;
        self.candidate.settle(theirs)?;
        self.compare()?;
        Ok(ours)
    }

    fn fast_exits(&mut self) -> Result<(), Objects> {
        while let Some(last) = self.reference.state.tasks.last() {
            if self.fast_call(&exit(last.task), &mut ())? != Outcome::Value(0) {
                break;
            }
        }
        Ok(())
    }

    fn fast_quiesce(&mut self) -> Result<(), Objects> {
        self.reference.quiesce()?;
        self.candidate.quiesce()?;
        self.compare()
    }

    fn compare(&self) -> Result<(), Objects> {
        let (ours, theirs) = (&self.reference, &self.candidate);
        let equal = same_state(&ours.state, &theirs.state) && ours.digest == theirs.digest;
        if equal { Ok(()) } else { Err(Objects) }
    }
}

fn nondeterminism(side: Option<Side>, what: &str) -> Divergence {
    let field = match side {
        None => "verdict",
        Some(Side::Reference) => "reference",
        Some(Side::Candidate) => "candidate",
    };
    Divergence {
        signature: Signature {
            rule: Rule::Nondeterminism,
            call: "run",
            field,
        },
        at: None,
        side,
        event: None,
        object: None,
        what: what.to_owned(),
    }
}
