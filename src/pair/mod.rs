//! The two managers that are compared: runs a program on both and has the judge say what is to be
//! said of it.
//!
//! [`Pair`] owns a reference and a candidate and uses them for one program after another. Its fast
//! path keeps nothing: it compares after every call and feeds the laws as events come. On the
//! slightest mismatch the program runs again with full [`Observation`]s, and only those are judged.
//! Of a long program they have the states that are asked for.

mod aligned;
mod checked;
mod explore;
mod interleaved;
mod late;
mod moved;
mod orders;
mod raced;
mod serial;
mod stages;
mod working;

use std::sync::Arc;

use vmadiff_contract::{
    CallKind, Capabilities, Config, DesignInfo, Event, EventSink, Manager, Outcome, Snapshot,
};
use vmadiff_reference::Reference;

pub use working::{Work, candidate_works, working};

use checked::Checked;
use interleaved::Interleaved;

use crate::compare::{Passed, Tally, Terms, View, World};
use crate::designs::{self, Entry, Planted};
use crate::judge::{Divergence, Rule, Side, Signature, Verdict};
use crate::program::Program;
use crate::program::mutate::{Flavour, Profile};
use crate::program::sites::Sites;
use crate::run::{Make, Observation, Watch, Woven};

/// One program in so many is run twice and must do the same. Which ones depends on what they are and
/// on nothing else: to a fuzzing engine the same input must always do the same.
pub const TWICE_IN: u64 = 1000;

/// Stands for a call in what is said of a manager that boots, or is thrown away.
pub(crate) const AT_BOOT: &str = "boot";
pub(crate) const AT_DROP: &str = "drop";

/// Runs programs on a reference and a candidate, one after another.
pub struct Pair {
    reference: Checked<dyn Manager>,
    candidate: Checked<dyn Manager>,
    design: &'static DesignInfo,
    known: Capabilities,
    make: Make<dyn Manager>,
    terms: Terms,
    /// The last state in which both agreed, as the view has it.
    agreed: Box<Snapshot>,
    /// How often known differences were met.
    tally: Tally,
    /// For programs with a schedule, once there was one.
    interleaved: Option<Interleaved>,
}

/// A verdict with what it was founded on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// What the candidate is.
    pub design: &'static DesignInfo,
    /// What of states was looked at.
    pub view: View,
    /// What the judge says.
    pub verdict: Verdict,
    /// Known differences that the run met.
    pub known: Vec<Passed>,
    /// What was observed of the reference.
    pub reference: Observation,
    /// What was observed of the candidate.
    pub candidate: Observation,
    /// What was observed of the candidate where calls were woven: then both others are empty.
    pub woven: Option<Box<Woven>>,
}

impl Ran {
    /// The calls of the program that were not made, by index: the candidate has them not, or its
    /// [`World`] leaves them out. Of a program that was not run at all there are none.
    pub fn unmade(&self) -> Vec<usize> {
        let answered = |outcome: Option<Outcome>| outcome == Some(Outcome::Unsupported);
        match &self.woven {
            Some(woven) => indexes(woven.outcomes.iter().map(|outcome| answered(*outcome))),
            None => indexes(
                (self.reference.calls.iter()).map(|observed| answered(Some(observed.outcome))),
            ),
        }
    }
}

fn indexes(are: impl Iterator<Item = bool>) -> Vec<usize> {
    let all = are.enumerate();
    all.filter_map(|(at, is)| is.then_some(at)).collect()
}

/// The reference, and a candidate of this design with these defects.
pub fn pair(planted: &Planted) -> Pair {
    let planted = planted.clone();
    let design = planted.design();
    let terms = designs::terms(design);
    Pair::new(
        reference,
        move |config, events| planted.boot(config, events),
        design,
    )
    .on(terms)
}

/// The reference, and a manager of somebody else's.
pub(crate) fn pair_of(entry: Entry) -> Pair {
    let Entry { design, terms, .. } = entry;
    let candidate = move |config: &Config, events| (design.boot)(config, events, &[]);
    Pair::new(reference, candidate, design).on(terms)
}

fn reference(config: &Config, events: Arc<dyn EventSink>) -> Box<dyn Manager> {
    Box::new(Reference::new(config, events))
}

impl Pair {
    /// Managers that are made so: once now, and again should one panic. The candidate is judged by
    /// what `design` declares.
    pub fn new(
        reference: impl Fn(&Config, Arc<dyn EventSink>) -> Box<dyn Manager> + Send + Sync + 'static,
        candidate: impl Fn(&Config, Arc<dyn EventSink>) -> Box<dyn Manager> + Send + Sync + 'static,
        design: &'static DesignInfo,
    ) -> Self {
        // Programs may name its points from here on.
        Sites::of_design(design);
        let make: Make<dyn Manager> =
            Arc::new(move |config, events| late::boot(&candidate, config, events));
        let reference = Checked::new(Arc::new(reference), None);
        let candidate = Checked::new(Arc::clone(&make), Some(design));
        let supported = candidate.instance.manager.supports();
        Self {
            known: reference.instance.manager.supports().and(supported),
            reference,
            candidate,
            design,
            make,
            terms: Terms::default(),
            agreed: Box::default(),
            tally: Tally::default(),
            interleaved: None,
        }
    }

    /// Compared on these terms, instead of in all that the contract knows.
    ///
    /// # Panics
    /// If the world has bounds of which no program can be made: see [`World::within`] and [`World::tasks`].
    #[must_use]
    #[track_caller]
    pub fn on(mut self, mut terms: Terms) -> Self {
        terms.world.assert_sound();
        self.known = self.known.and(terms.world.calls);
        // What is never called is nothing that programs could prepare for.
        if terms.world != World::all() {
            terms.world.calls = self.known;
        }
        if self.known.knows(CallKind::Mremap) {
            let always = terms.always_known().copied();
            terms.known.extend(always);
        }
        self.terms = terms;
        self
    }

    /// On what terms they are compared.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// How often known differences were met, by [`Pair::run`].
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Whether calls can be interleaved: the candidate has points at which another task can run.
    pub fn interleaves(&self) -> bool {
        designs::interleaves(self.design)
    }

    /// The calls that both managers know; others in a program are not made.
    pub fn known(&self) -> Capabilities {
        self.known
    }

    /// What the candidate is.
    pub fn design(&self) -> &'static DesignInfo {
        self.design
    }

    /// What programs for this pair are made of.
    pub fn profile(&self, flavour: Flavour) -> Profile {
        Profile {
            flavour,
            calls: self.known,
            design: self.design,
            world: self.terms.world,
            ..Profile::default()
        }
    }

    /// Runs a program, as fast as can be; none if all is well.
    ///
    /// `watch` sees the first run only.
    pub fn run(&mut self, program: &Program, watch: &mut impl Watch) -> Option<Box<Ran>> {
        if !program.schedule.is_serial() && !self.interleaves() {
            return Some(Box::new(self.not_raced()));
        }
        if !program.schedule.is_serial() && !self.terms.are_whole() {
            self.run_raced(program, watch)
        } else if !program.schedule.is_serial() {
            self.run_woven(program, watch)
        } else if self.terms.are_whole() {
            self.run_serial(program, watch)
        } else {
            self.run_aligned(program, watch)
        }
    }

    /// Runs a program once, keeps everything and judges it. Of a long program not all states are
    /// kept.
    pub fn observe(&mut self, program: &Program) -> Ran {
        if !program.schedule.is_serial() && !self.interleaves() {
            return self.not_raced();
        }
        if program.schedule.is_serial() && !self.terms.are_whole() {
            return self.observe_aligned(program, &[]);
        }
        if !program.schedule.is_serial() && !self.terms.are_whole() {
            return self.observe_raced(program, &mut ());
        }
        if !program.schedule.is_serial() {
            self.interleaved().weaver.values = true;
            let verdict = self.weave(program, &mut ());
            self.interleaved().weaver.values = false;
            let serial = self.without_schedule(program, &verdict);
            return serial.unwrap_or_else(|| self.ran_woven(verdict));
        }
        let first = self.before_keeping(program);
        self.second_pass(program, &first, &[])
    }

    /// As [`Pair::observe`], and a manager that does otherwise a second time is a finding.
    pub fn observe_twice(&mut self, program: &Program) -> Ran {
        self.observe_twice_at(program, &[])
    }

    /// As [`Pair::observe_twice`], and the states at these points are kept, however long the program
    /// is: each after so many calls.
    pub fn observe_twice_at(&mut self, program: &Program, looks: &[usize]) -> Ran {
        if program.schedule.is_serial() && !self.terms.are_whole() {
            return self.observe_aligned_twice(program, looks);
        }
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
}

impl Pair {
    /// What is said of a program with a schedule where nothing can race: not that its race agrees.
    fn not_raced(&self) -> Ran {
        let name = self.design.name;
        self.skipped(format!(
            "{name} has no points at which another task can run: its calls would not race"
        ))
    }

    /// What is said of a program that is not run.
    fn skipped(&self, why: String) -> Ran {
        Ran {
            design: self.design,
            view: self.terms.view,
            verdict: Verdict::Skip(why),
            known: Vec::new(),
            reference: Observation::default(),
            candidate: Observation::default(),
            woven: None,
        }
    }
}

fn nondeterminism(side: Option<Side>, what: &str) -> Divergence {
    let field = match side {
        None => "verdict",
        Some(Side::Reference) => "reference",
        Some(Side::Candidate) => "candidate",
    };
    let signature = Signature {
        rule: Rule::Nondeterminism,
        call: "run",
        field,
    };
    Divergence {
        side,
        ..Divergence::of(signature, what.to_owned())
    }
}

/// The calls that the reference knows.
pub fn reference_supports() -> Capabilities {
    Reference::new(&Config::default(), Arc::new(Deaf)).supports()
}

struct Deaf;

impl EventSink for Deaf {
    fn event(&self, _: Event) {}
}

/// What the reference, alone, answers to a program's calls, one after another.
pub fn reference_answers(program: &Program) -> Vec<Outcome> {
    let reference = Reference::new(&program.config, Arc::new(Deaf));
    let steps = program.calls.iter();
    steps
        .map(|step| reference.call(step.task, &step.call, step.fail))
        .collect()
}
