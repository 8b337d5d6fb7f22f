//! The two managers that are compared.

use std::sync::Arc;

use vmadiff_candidate::{Candidate, Defects};
use vmadiff_contract::{Config, Event, EventSink, Manager, Outcome};
use vmadiff_reference::Reference;

use crate::program::Program;
use crate::run::Runner;

/// Runs programs on both.
pub type Pair = Runner<Reference, Candidate>;

/// The reference, and a candidate with these defects.
pub fn pair(defects: Defects) -> Pair {
    Runner::new(Reference::new, move |config: &Config, events| {
        Candidate::with_defects(config, events, defects)
    })
}

/// What the reference, alone, answers to a program's calls, one after another.
pub fn reference_answers(program: &Program) -> Vec<Outcome> {
    struct Deaf;
    impl EventSink for Deaf {
        fn event(&self, _: Event) {}
    }
    let reference = Reference::new(&program.config, Arc::new(Deaf));
    let steps = program.calls.iter();
    steps
        .map(|step| reference.call(step.task, &step.call, step.fail))
        .collect()
}
