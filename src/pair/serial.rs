//! Programs whose calls are made one after another: a pass that compares as fast as can be, and one
//! that keeps what is observed and has it judged.

use vmadiff_contract::{CallKind, Outcome};

use super::checked::Mismatch;
use super::{AT_BOOT, Pair, Ran, TWICE_IN, nondeterminism, working};
use crate::judge::{Divergence, Side, Verdict, judge, same_moved};
use crate::program::{Program, Step};
use crate::run::{Pace, Stage, Watch, caught, exit};

impl Pair {
    /// Runs a serial program; none if all is well.
    pub(super) fn run_serial(
        &mut self,
        program: &Program,
        watch: &mut impl Watch,
    ) -> Option<Box<Ran>> {
        let fast = self.first_pass(program, watch);
        if fast.found.is_none() && !program.is_one_in(TWICE_IN) {
            return None;
        }
        let mut ran = self.observe_twice(program);
        if ran.verdict == Verdict::Agree
            && let Some(objection) = fast.unfounded()
        {
            ran.verdict = Verdict::Diverge(objection);
        }
        (ran.verdict != Verdict::Agree).then(|| Box::new(ran))
    }

    /// The first pass that a long program needs before it is run with its states kept.
    pub(super) fn before_keeping(&mut self, program: &Program) -> FirstPass {
        let pace = Pace::of(program.calls.len());
        if pace.is_long() {
            self.first_pass(program, &mut ())
        } else {
            FirstPass::at(pace)
        }
    }

    pub(super) fn second_pass(
        &mut self,
        program: &Program,
        first: &FirstPass,
        looks: &[usize],
    ) -> Ran {
        let keep = first.pace.keep(looks, first.found);
        let begins = |side| move |stage| working::on_stage(side, stage);
        let reference = self.reference.instance.observe(
            program,
            self.known,
            keep.clone(),
            begins(Side::Reference),
        );
        let ran = caught(|| {
            let instance = &mut self.candidate.instance;
            instance.observe(program, self.known, keep, begins(Side::Candidate))
        });
        working::on_nothing();
        let candidate = match ran {
            Ok(candidate) => candidate,
            // What calls say is kept by who observes them.
            Err(message) => {
                self.candidate.instance.renew();
                return self.panicked_at(AT_BOOT, &message);
            }
        };
        let mut verdict = judge(program, self.design, &reference, &candidate);
        if verdict == Verdict::Agree
            && let Some(objection) = first.unfounded()
        {
            verdict = Verdict::Diverge(objection);
        }
        Ran {
            design: self.design,
            view: self.terms.view,
            known: Vec::new(),
            verdict,
            reference,
            candidate,
            woven: None,
        }
    }

    /// Compares as fast as can be and keeps nothing. Where a look at the states of a long program
    /// finds something, the calls before it are gone through one by one.
    fn first_pass(&mut self, program: &Program, watch: &mut impl Watch) -> FirstPass {
        let mut pass = FirstPass::at(Pace::of(program.calls.len()));
        self.pass(program, &mut pass, watch);
        if let Some(at) = pass.found {
            let unlooked = pass.pace.unlooked(at);
            if unlooked.len() > 1 {
                let pace = pass.pace.closer(unlooked);
                let mut closer = FirstPass::at(pace);
                self.pass(program, &mut closer, &mut ());
                // A pass that finds nothing now is a finding of its own.
                if closer.found.is_some() {
                    pass = closer;
                }
            }
        }
        pass
    }

    fn pass(&mut self, program: &Program, pass: &mut FirstPass, watch: &mut impl Watch) {
        let mut at = 0;
        let pace = &mut pass.pace;
        let ended = caught(|| self.fast(program, &mut at, pace, watch));
        working::on_nothing();
        match ended {
            Err(_) => {
                self.reference.instance.renew();
                self.candidate.instance.renew();
            }
            Ok(Err(Mismatch)) if pace.is_due(at) => {
                pass.missed = caught(|| self.missed()).ok().flatten();
            }
            Ok(_) => {}
        }
        pass.found = (!matches!(ended, Ok(Ok(())))).then_some(at);
    }

    /// `at` is the index of the call that is being made.
    fn fast(
        &mut self,
        program: &Program,
        at: &mut usize,
        pace: &mut Pace,
        watch: &mut impl Watch,
    ) -> Result<(), Mismatch> {
        self.reference.reset(&program.config);
        working::on_stage(Side::Candidate, Stage::Boot);
        self.candidate.reset(&program.config);
        watch.begin(&program.config);
        self.reference.look();
        let checked = program.is_one_in(TWICE_IN);
        for step in &program.calls {
            if self.known.makes(&step.call) {
                let look = pace.is_due(*at);
                self.fast_call(*at, step, look, watch)?;
                if look {
                    pace.looked(*at, &self.reference.state);
                }
                if look && checked {
                    self.missed_nothing()?;
                }
            }
            *at += 1;
        }
        if !pace.unlooked(*at).is_empty() {
            self.reference.look();
        }
        if pace.has_looked() {
            self.missed_nothing()?;
        }
        if self.known.knows(CallKind::Exit) {
            self.fast_exits(at)?;
        }
        self.fast_quiesce()
    }

    /// Makes one call on both; answers what both answered.
    fn fast_call(
        &mut self,
        at: usize,
        step: &Step,
        look: bool,
        watch: &mut impl Watch,
    ) -> Result<Outcome, Mismatch> {
        working::on_call(Side::Reference, step.call.kind(), at);
        let ours = self.reference.call(step, look, &mut ())?;
        working::on_call(Side::Candidate, step.call.kind(), at);
        let theirs = self.candidate.call(step, look, watch)?;
        let same = self.reference.digest == self.candidate.digest;
        if ours != theirs || ours == Outcome::Livelock || !same {
            return Err(Mismatch);
        }
        if look {
            self.reference.settle(ours)?;
            self.candidate.settle(theirs)?;
            self.compare()?;
        }
        Ok(ours)
    }

    fn fast_exits(&mut self, at: &mut usize) -> Result<(), Mismatch> {
        while let Some(last) = self.reference.state.tasks.last() {
            let answer = self.fast_call(*at, &exit(last.task), true, &mut ())?;
            *at += 1;
            if answer != Outcome::Value(0) {
                break;
            }
        }
        Ok(())
    }

    fn fast_quiesce(&mut self) -> Result<(), Mismatch> {
        let gone = self.known.knows(CallKind::Exit);
        working::on_stage(Side::Reference, Stage::Quiesce);
        self.reference.quiesce(gone)?;
        working::on_stage(Side::Candidate, Stage::Quiesce);
        self.candidate.quiesce(gone)?;
        self.compare()
    }

    fn compare(&self) -> Result<(), Mismatch> {
        let (ours, theirs) = (&self.reference, &self.candidate);
        let moved = ours.moved.or(theirs.moved);
        let equal = same_moved(&ours.state, &theirs.state, moved) && ours.digest == theirs.digest;
        if equal { Ok(()) } else { Err(Mismatch) }
    }

    fn missed_nothing(&mut self) -> Result<(), Mismatch> {
        self.missed().map_or(Ok(()), |_| Err(Mismatch))
    }

    /// Who said of a part of its state that it had not moved, and it had.
    fn missed(&mut self) -> Option<Side> {
        if !self.reference.left_out_nothing() {
            return Some(Side::Reference);
        }
        (!self.candidate.left_out_nothing()).then_some(Side::Candidate)
    }
}

/// What the first pass over a serial program came to.
pub(super) struct FirstPass {
    pace: Pace,
    /// The index of the call that it objects to; behind the program's come exits and quiescence.
    found: Option<usize>,
    /// Whose state had moved where it was left out.
    missed: Option<Side>,
}

impl FirstPass {
    fn at(pace: Pace) -> Self {
        Self {
            pace,
            found: None,
            missed: None,
        }
    }

    /// What the pass objected to, where states that are looked at as a whole give no reason.
    fn unfounded(&self) -> Option<Divergence> {
        self.found?;
        Some(match self.missed {
            None => nondeterminism(None, "a run that was objected to could not be repeated"),
            Some(side) => {
                let what = format!("the {side}'s state moves where it says that nothing has");
                Divergence {
                    at: self.found,
                    ..nondeterminism(Some(side), &what)
                }
            }
        })
    }
}
