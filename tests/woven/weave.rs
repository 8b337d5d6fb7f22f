//! A loom for tests: programs woven on the candidate and judged by the reference.

use std::sync::Arc;
use vmadiff::designs::Planted;
use vmadiff::judge::Verdict;
use vmadiff::judge::steps::StepJudge;
use vmadiff::program::Program;
use vmadiff::program::mutate::{Flavour, Profile, generate};
use vmadiff::run::{Recorder, Weaver, Woven};

use vmadiff_contract::{Config, DesignInfo, Manager};
use vmadiff_reference::Reference;

/// The candidate in a simulation, the reference, and the judge between them.
pub struct Loom {
    weaver: Weaver,
    design: &'static DesignInfo,
    reference: Reference,
    judge: StepJudge,
}

impl Loom {
    pub fn new(planted: &Planted) -> Self {
        let made = planted.clone();
        Self {
            design: planted.design(),
            weaver: Weaver::following(Arc::new(move |config, events| made.boot(config, events))),
            reference: Reference::new(&Config::default(), Arc::new(Recorder)),
            judge: StepJudge::default(),
        }
    }

    /// A program of the generator for interleaved runs.
    pub fn program(&self, seed: u64) -> Program {
        let calls = self.reference.supports().and(self.weaver.supports());
        let profile = Profile {
            flavour: Flavour::Interleaved,
            calls,
            design: self.design,
            ..Profile::default()
        };
        generate(seed, &profile)
    }

    /// Weaves a program.
    pub fn weave(&mut self, program: &Program) -> &Woven {
        let known = self.reference.supports().and(self.weaver.supports());
        self.weaver.weave(program, known, None)
    }

    /// Weaves a program and judges it; none: it did not come to its end.
    pub fn run(&mut self, program: &Program) -> Option<Verdict> {
        let finished = self.weave(program).finished();
        let Self {
            weaver,
            reference,
            judge,
            ..
        } = self;
        finished.then(|| judge.verdict(program, reference, weaver.woven()))
    }

    /// Judges what is said to have been observed of a program.
    pub fn judge(&mut self, program: &Program, woven: &Woven) -> Verdict {
        self.judge.verdict(program, &mut self.reference, woven)
    }

    /// The last run, step by step.
    pub fn trace(&self) -> String {
        self.weaver.woven().trace.to_string()
    }
}
