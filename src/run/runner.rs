//! The fast path over both managers, and the slow one that finds words for what it objects to.

use vmadiff_contract::{Capabilities, Config, EventSink, Manager, Outcome, Replay};
use vmadiff_interleave::policy::Policy;

use std::sync::Arc;

use super::bench::{Bench, Make, Objects, caught, exit};
use super::pace::Pace;
use super::{Observation, Watch, Weaver, Woven};
use crate::judge::{
    Alone, Divergence, Rule, Scene, Side, Signature, Verdict, WovenJudge, judge, same_state,
};
use crate::program::{Program, Step};

/// One program in so many is run twice and must do the same. Which ones depends on what they are and
/// on nothing else: to a fuzzing engine the same input must always do the same.
pub const TWICE_IN: u64 = 1000;

/// Runs programs on a reference and a candidate, one after another.
pub struct Runner<R, C> {
    reference: Bench<R>,
    candidate: Bench<C>,
    known: Capabilities,
    make: Make<C>,
    /// For programs with a schedule, once there was one.
    loom: Option<Loom<C>>,
}

struct Loom<C> {
    weaver: Weaver<C>,
    alone: Alone,
    judge: WovenJudge,
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
    /// What was observed of the candidate where calls were woven: then both others are empty.
    pub woven: Option<Box<Woven>>,
}

impl<R: Replay, C: Manager> Runner<R, C> {
    /// A runner whose managers are made so: once now, and again should one panic.
    pub fn new(
        reference: impl Fn(&Config, Arc<dyn EventSink>) -> R + Send + Sync + 'static,
        candidate: impl Fn(&Config, Arc<dyn EventSink>) -> C + Send + Sync + 'static,
    ) -> Self {
        let make: Make<C> = Arc::new(candidate);
        let reference = Bench::new(Side::Reference, Arc::new(reference));
        let candidate = Bench::new(Side::Candidate, Arc::clone(&make));
        let known = reference
            .manager
            .supports()
            .and(candidate.manager.supports());
        Self {
            reference,
            candidate,
            known,
            make,
            loom: None,
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
        if !program.schedule.is_serial() {
            return self.run_woven(program, watch);
        }
        let fast = self.first_pass(program, watch);
        if fast.found.is_none() && !program.is_one_in(TWICE_IN) {
            return None;
        }
        let mut ran = self.observe_twice(program);
        if fast.found.is_some() && ran.verdict == Verdict::Agree {
            ran.verdict = Verdict::Diverge(not_repeated());
        }
        (ran.verdict != Verdict::Agree).then(|| Box::new(ran))
    }

    /// Runs a program once, keeps everything and judges it. Of a long program not all states are
    /// kept.
    pub fn observe(&mut self, program: &Program) -> Ran {
        if !program.schedule.is_serial() {
            let verdict = self.weave(program, &mut ());
            return self.ran_woven(verdict);
        }
        let first = self.before_keeping(program);
        self.second_pass(program, &first, &[])
    }

    /// The first pass that a long program needs before it is run with its states kept.
    fn before_keeping(&mut self, program: &Program) -> FirstPass {
        let pace = Pace::of(program.calls.len());
        if pace.is_long() {
            self.first_pass(program, &mut ())
        } else {
            FirstPass { pace, found: None }
        }
    }

    fn second_pass(&mut self, program: &Program, first: &FirstPass, looks: &[usize]) -> Ran {
        let keep = first.pace.keep(looks, first.found);
        let reference = self.reference.observe(program, self.known, keep.clone());
        let candidate = self.candidate.observe(program, self.known, keep);
        let mut verdict = judge(program, &reference, &candidate);
        if first.found.is_some() && verdict == Verdict::Agree {
            verdict = Verdict::Diverge(not_repeated());
        }
        Ran {
            verdict,
            reference,
            candidate,
            woven: None,
        }
    }

    /// As [`Runner::observe`], and a manager that does otherwise a second time is a finding.
    pub fn observe_twice(&mut self, program: &Program) -> Ran {
        self.observe_twice_at(program, &[])
    }

    /// As [`Runner::observe_twice`], and the states at these points are kept, however long the program
    /// is: each after so many calls.
    pub fn observe_twice_at(&mut self, program: &Program, looks: &[usize]) -> Ran {
        let (mut ran, again) = if program.schedule.is_serial() {
            let first = self.before_keeping(program);
            let ran = self.second_pass(program, &first, looks);
            (ran, self.second_pass(program, &first, looks))
        } else {
            (self.observe(program), self.observe(program))
        };
        let side = if ran.reference != again.reference {
            Side::Reference
        } else if ran.candidate != again.candidate || ran.woven != again.woven {
            Side::Candidate
        } else {
            return ran;
        };
        let what = format!("the {side} does otherwise when the program runs again");
        ran.verdict = Verdict::Diverge(nondeterminism(Some(side), &what));
        ran
    }

    /// What a woven program does to the state, part by part, in both managers; nothing of a serial
    /// one.
    pub fn scenes(&mut self, program: &Program) -> Vec<Scene> {
        if program.schedule.is_serial() {
            return Vec::new();
        }
        let known = self.known;
        let shots = self.loom().weaver.film(program, known);
        let Self {
            loom: Some(loom),
            reference,
            ..
        } = self
        else {
            return Vec::new();
        };
        let Loom { weaver, judge, .. } = loom;
        let woven = weaver.woven();
        let told = caught(|| judge.scenes(program, &mut reference.manager, woven, &shots));
        told.unwrap_or_else(|_| {
            reference.renew();
            Vec::new()
        })
    }

    /// Runs a woven program; none if all is well.
    fn run_woven(&mut self, program: &Program, watch: &mut impl Watch) -> Option<Box<Ran>> {
        let verdict = self.weave(program, watch);
        if verdict == Verdict::Agree && !program.is_one_in(TWICE_IN) {
            return None;
        }
        let first = self.ran_woven(verdict);
        let mut ran = self.observe(program);
        if ran != first {
            let what = "the candidate does otherwise when the program runs again";
            ran.verdict = Verdict::Diverge(nondeterminism(Some(Side::Candidate), what));
        }
        (ran.verdict != Verdict::Agree).then(|| Box::new(ran))
    }

    /// Runs a woven program once and judges it.
    fn weave(&mut self, program: &Program, watch: &mut impl Watch) -> Verdict {
        let known = self.known;
        let loom = self.loom();
        watch.begin(&program.config);
        let woven = loom.weaver.weave(program, known, watch.pairs());
        watch.woven(program, woven);
        self.judge_woven(program)
    }

    /// The same by another policy than its own, behind so many calls one after another.
    pub(super) fn weave_by(
        &mut self,
        program: &Program,
        ground: usize,
        policy: &mut dyn Policy,
    ) -> Verdict {
        let known = self.known;
        self.loom().weaver.weave_by(program, known, ground, policy);
        self.judge_woven(program)
    }

    fn loom(&mut self) -> &mut Loom<C> {
        let make = &self.make;
        self.loom.get_or_insert_with(|| Loom {
            weaver: Weaver::new(Arc::clone(make)),
            alone: Alone::default(),
            judge: WovenJudge::default(),
        })
    }

    fn judge_woven(&mut self, program: &Program) -> Verdict {
        let Some(Loom {
            weaver,
            alone,
            judge,
        }) = &mut self.loom
        else {
            return Verdict::Agree;
        };
        let woven = weaver.woven();
        match alone.judge(program, woven) {
            Ok(()) => judge.judge(program, &mut self.reference.manager, woven),
            Err(divergence) => Verdict::Diverge(*divergence),
        }
    }

    pub(super) fn ran_woven(&self, verdict: Verdict) -> Ran {
        let woven = self.loom.as_ref().map(|loom| loom.weaver.woven().clone());
        Ran {
            verdict,
            reference: Observation::default(),
            candidate: Observation::default(),
            woven: woven.map(Box::new),
        }
    }

    /// Compares as fast as can be and keeps nothing. Where a look at the states of a long program
    /// finds something, the calls before it are gone through one by one.
    fn first_pass(&mut self, program: &Program, watch: &mut impl Watch) -> FirstPass {
        let mut pass = FirstPass {
            pace: Pace::of(program.calls.len()),
            found: None,
        };
        self.pass(program, &mut pass, watch);
        if let Some(at) = pass.found {
            let unlooked = pass.pace.unlooked(at);
            if unlooked.len() > 1 {
                let pace = pass.pace.closer(unlooked);
                let mut closer = FirstPass { pace, found: None };
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
        if ended.is_err() {
            self.reference.renew();
            self.candidate.renew();
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
    ) -> Result<(), Objects> {
        self.reference.reset(&program.config);
        self.candidate.reset(&program.config);
        watch.begin(&program.config);
        self.reference.manager.snapshot(&mut self.reference.state);
        for step in &program.calls {
            if self.known.knows(step.call.kind()) {
                let look = pace.is_due(*at);
                self.fast_call(step, look, watch)?;
                if look {
                    pace.looked(*at, &self.reference.state);
                }
            }
            *at += 1;
        }
        if !pace.unlooked(*at).is_empty() {
            self.reference.manager.snapshot(&mut self.reference.state);
        }
        self.fast_exits(at)?;
        self.fast_quiesce()
    }

    /// Makes one call on both; answers what both answered.
    fn fast_call(
        &mut self,
        step: &Step,
        look: bool,
        watch: &mut impl Watch,
    ) -> Result<Outcome, Objects> {
        let ours = self.reference.fast_call(step, look, &mut ())?;
        let theirs = self.candidate.fast_call(step, look, watch)?;
        let same = self.reference.digest == self.candidate.digest;
        if ours != theirs || ours == Outcome::Livelock || !same {
            return Err(Objects);
        }
        if look {
            self.reference.settle(ours)?;
            self.candidate.settle(theirs)?;
            self.compare()?;
        }
        Ok(ours)
    }

    fn fast_exits(&mut self, at: &mut usize) -> Result<(), Objects> {
        while let Some(last) = self.reference.state.tasks.last() {
            let answer = self.fast_call(&exit(last.task), true, &mut ())?;
            *at += 1;
            if answer != Outcome::Value(0) {
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

/// What the first pass over a serial program came to.
struct FirstPass {
    pace: Pace,
    /// The index of the call that it objects to; behind the program's come exits and quiescence.
    found: Option<usize>,
}

fn not_repeated() -> Divergence {
    nondeterminism(None, "a run that was objected to could not be repeated")
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
        step: None,
        object: None,
        what: what.to_owned(),
    }
}
