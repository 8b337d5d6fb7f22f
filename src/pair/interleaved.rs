//! Programs with a schedule: the candidate's calls are woven, and the reference explains them.

use std::sync::Arc;

use vmadiff_contract::Config;
use vmadiff_interleave::policy::Policy;
use vmadiff_reference::Reference;

use super::{AT_BOOT, Pair, Ran, TWICE_IN, nondeterminism, working};
use crate::judge::steps::{Scene, StepJudge};
use crate::judge::{Alone, Divergence, Rule, Side, Verdict};
use crate::program::mutate::forced::{self, Chain, Met};
use crate::program::{Program, Schedule};
use crate::run::{Observation, Recorder, Watch, Weaver, caught};

/// The candidate in a simulation, and the judges of its runs.
pub(super) struct Interleaved {
    pub(super) weaver: Weaver,
    pub(super) alone: Alone,
    steps: StepJudge,
    /// What is driven along marks.
    driven: Reference,
}

impl Pair {
    /// What a woven program does to the state, part by part, in both managers; nothing of a serial
    /// one, or where not all is compared.
    pub fn scenes(&mut self, program: &Program) -> Vec<Scene> {
        if program.schedule.is_serial() || !self.interleaves() || !self.terms.are_whole() {
            return Vec::new();
        }
        let known = self.known;
        let Interleaved {
            weaver,
            steps,
            driven,
            ..
        } = self.interleaved();
        working::on_race();
        let filmed = caught(|| weaver.film(program, known));
        working::on_nothing();
        let Ok(shots) = filmed else {
            weaver.renew();
            return Vec::new();
        };
        let woven = weaver.woven();
        let told = caught(|| steps.scenes(program, driven, woven, &shots));
        told.unwrap_or_else(|_| {
            *driven = Reference::new(&Config::default(), Arc::new(Recorder));
            Vec::new()
        })
    }

    /// Has two tasks of a woven program meet in another order than they do, and then perhaps others
    /// ([`forced`]); how many pairs of the chain were forced. Runs it once for each. A run that has
    /// switches already is a race like any other, and is judged: where it diverges the chain ends, and
    /// whoever runs the program finds that.
    pub fn force(&mut self, program: &mut Program, seed: u32, chain: Chain, met: &mut Met) -> u32 {
        if !self.interleaves() {
            return 0;
        }
        forced::by_switches(program, seed);
        let mut force = |link| {
            let races = !program.schedule.switches.is_empty() && self.terms.are_whole();
            let goes_on = match races {
                true => self.weave(program, &mut ()) == Verdict::Agree,
                false => self.trace(program),
            };
            if !goes_on {
                return false;
            }
            let trace = &self.interleaved().weaver.woven().trace;
            forced::force(program, trace.steps(), (seed, link), met).is_some()
        };
        chain.links().take_while(|&link| force(link)).count() as u32
    }

    /// Runs a woven program for its trace; false if the candidate panicked as it booted, or was thrown
    /// away: whoever runs the program finds that.
    fn trace(&mut self, program: &Program) -> bool {
        let known = self.known;
        let weaver = &mut self.interleaved().weaver;
        working::on_race();
        let traced = caught(|| {
            weaver.trace(program, known);
        });
        working::on_nothing();
        if traced.is_err() {
            weaver.renew();
        }
        traced.is_ok()
    }

    /// Runs a woven program; none if all is well.
    pub(super) fn run_woven(
        &mut self,
        program: &Program,
        watch: &mut impl Watch,
    ) -> Option<Box<Ran>> {
        let verdict = self.weave(program, watch);
        if verdict == Verdict::Agree && !program.is_one_in(TWICE_IN) {
            return None;
        }
        if let Some(ran) = self.without_schedule(program, &verdict) {
            return Some(Box::new(ran));
        }
        let first = self.ran_woven(verdict);
        let mut ran = self.observe(program);
        if !same_run(&ran, &first) {
            let what = "the candidate does otherwise when the program runs again";
            ran.verdict = Verdict::Diverge(nondeterminism(Some(Side::Candidate), what));
        }
        (ran.verdict != Verdict::Agree).then(|| Box::new(ran))
    }

    /// Runs a woven program once and judges it.
    pub(super) fn weave(&mut self, program: &Program, watch: &mut impl Watch) -> Verdict {
        let known = self.known;
        let weaver = &mut self.interleaved().weaver;
        watch.begin(&program.config);
        working::on_race();
        let ran = caught(|| {
            let woven = weaver.weave(program, known, watch.pairs());
            watch.woven(program, woven);
        });
        working::on_nothing();
        self.verdict_of(program, ran)
    }

    /// The same by another policy than its own, behind so many calls one after another.
    pub(super) fn weave_by(
        &mut self,
        program: &Program,
        ground: usize,
        policy: &mut dyn Policy,
    ) -> Verdict {
        let known = self.known;
        let weaver = &mut self.interleaved().weaver;
        working::on_race();
        let ran = caught(|| {
            weaver.weave_by(program, known, ground, policy);
        });
        working::on_nothing();
        self.verdict_of(program, ran)
    }

    /// What is said of a run, or of a candidate whose panic unwound it.
    fn verdict_of(&mut self, program: &Program, ran: Result<(), String>) -> Verdict {
        match ran {
            Ok(()) => self.judge_woven(program),
            // Calls keep what they say: it was its boot.
            Err(message) => {
                self.interleaved().weaver.renew();
                self.panicked_at(AT_BOOT, &message).verdict
            }
        }
    }

    pub(super) fn interleaved(&mut self) -> &mut Interleaved {
        let (make, design) = (&self.make, self.design);
        self.interleaved.get_or_insert_with(|| Interleaved {
            weaver: Weaver::following(Arc::clone(make)),
            alone: Alone::new(design),
            steps: StepJudge::default(),
            driven: Reference::new(&Config::default(), Arc::new(Recorder)),
        })
    }

    fn judge_woven(&mut self, program: &Program) -> Verdict {
        let Some(Interleaved {
            weaver,
            alone,
            steps,
            driven,
        }) = &mut self.interleaved
        else {
            return Verdict::Agree;
        };
        let woven = weaver.woven();
        let verdict = match alone.judge(program, woven) {
            Err(divergence) => Verdict::Diverge(*divergence),
            Ok(()) => steps.verdict(program, driven, woven),
        };
        match verdict {
            Verdict::Diverge(divergence) => Verdict::Diverge(self.named(program, divergence)),
            verdict => verdict,
        }
    }

    /// A program with a schedule that diverges without it, too: that run, since it says more plainly
    /// what is wrong. Races are told of programs that need their schedule.
    pub(super) fn without_schedule(&mut self, program: &Program, woven: &Verdict) -> Option<Ran> {
        let Verdict::Diverge(found) = woven else {
            return None;
        };
        let serial = Program {
            schedule: Schedule::default(),
            ..program.clone()
        };
        let mut ran = self.observe(&serial);
        let Verdict::Diverge(divergence) = &mut ran.verdict else {
            return None;
        };
        let before = found.formerly.as_ref().unwrap_or(&found.signature);
        divergence.formerly.get_or_insert(before.clone());
        Some(ran)
    }

    /// The divergence of a race by what tells its cause: the step at which it parts from the reference.
    /// What ends a run has names of its own: where it stood.
    fn named(&mut self, program: &Program, mut divergence: Divergence) -> Divergence {
        let rule = divergence.signature.rule;
        let Some(Interleaved {
            weaver,
            steps,
            driven,
            ..
        }) = &mut self.interleaved
        else {
            return divergence;
        };
        // Of a law that the reference breaks no mark tells anything.
        if ends(rule) || divergence.side == Some(Side::Reference) {
            return divergence;
        }
        if let Some(parting) = steps.part(program, driven, weaver.woven(), &divergence) {
            // What was done last to a count says more than where that showed.
            if divergence.formerly.is_none() {
                // A step that goes otherwise is told by what its call answers, where that differs.
                let outcomes = &weaver.woven().outcomes;
                let answer = parting.as_answer(program, outcomes);
                if let Some((signature, what)) = answer.filter(|_| rule == Rule::FaultUnexplained) {
                    (divergence.signature, divergence.what) = (signature, what);
                }
                divergence.rename(parting.signature(&divergence.signature));
            }
            if parting.tells() {
                let sentence = parting.sentence(program, &divergence.what);
                divergence.what = format!("{}: {sentence}", divergence.what);
                divergence.parting = Some(Box::new(parting));
            }
        }
        divergence
    }

    pub(super) fn ran_woven(&self, verdict: Verdict) -> Ran {
        let woven = self
            .interleaved
            .as_ref()
            .map(|interleaved| interleaved.weaver.woven().clone());
        Ran {
            design: self.design,
            view: self.terms.view,
            known: Vec::new(),
            verdict,
            reference: Observation::default(),
            candidate: Observation::default(),
            woven: woven.map(Box::new),
        }
    }
}

/// Whether two runs are the same; what is said of one that is told to people says more.
fn same_run(one: &Ran, other: &Ran) -> bool {
    let signature = |ran: &Ran| match &ran.verdict {
        Verdict::Diverge(found) => Some(found.signature.clone()),
        Verdict::Agree | Verdict::Skip(_) => None,
    };
    one.woven == other.woven && signature(one) == signature(other)
}

/// Whether a rule is about how a run ends, which its signature tells by itself.
fn ends(rule: Rule) -> bool {
    matches!(
        rule,
        Rule::Panic
            | Rule::Livelock
            | Rule::Deadlock
            | Rule::StepLimit
            | Rule::LockLeft
            | Rule::SectionLeft
            | Rule::InterruptsLeft
            | Rule::FaultCount
    )
}
