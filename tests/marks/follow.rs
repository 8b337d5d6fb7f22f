//! Runs a program's calls on both managers, one after another: the reference step by step, the
//! candidate with someone who listens to its marks.

use std::sync::{Arc, Mutex};

use vmadiff::designs::Planted;
use vmadiff::program::{Program, Step as Call};
use vmadiff_contract::{
    About, Choice, Event, EventSink, Manager, Mark, Outcome, Snapshot, StepKind, Stepped, Taken,
};
use vmadiff_reference::Reference;

use crate::matching::Matching;

/// A step of the reference.
pub struct Step {
    /// Its list and row, as `docs/steps.md` has them.
    pub list: &'static str,
    pub row: u8,
    pub kind: StepKind,
    /// What it read and wrote.
    pub about: Vec<About>,
    /// A flush behind a pass that has changed nothing. Linux flushes then only if another flush of
    /// the address space is under way, which there is none of in a serial run.
    pub idle: bool,
    /// What there was before, and after it.
    pub before: Arc<Snapshot>,
    pub after: Arc<Snapshot>,
}

/// Keeps marks by the moment at which they took effect.
#[derive(Default)]
struct Marks(Mutex<Vec<(u64, Mark)>>);

impl Marks {
    fn take(&self) -> Vec<Mark> {
        let mut marks = std::mem::take(&mut *self.0.lock().unwrap());
        marks.sort_by_key(|(moment, _)| *moment);
        marks.into_iter().map(|(_, mark)| mark).collect()
    }
}

impl EventSink for Marks {
    fn event(&self, _: Event) {}

    fn listens(&self) -> bool {
        true
    }

    fn mark(&self, mark: Mark) {
        let moment = self.moment();
        self.0.lock().unwrap().push((moment, mark));
    }

    fn moment(&self) -> u64 {
        self.0.lock().unwrap().len() as u64 * 2
    }

    fn mark_since(&self, moment: u64, mark: Mark) {
        // Before what was told at that moment or later.
        let moment = moment.saturating_sub(1);
        self.0.lock().unwrap().push((moment, mark));
    }
}

struct Deaf;

impl EventSink for Deaf {
    fn event(&self, _: Event) {}
}

/// What is wrong with the marks of a program's first call that has wrong ones; nothing if the
/// candidate lacks a call of it, or does not mark it yet.
pub fn objections(program: &Program, planted: &Planted) -> Option<String> {
    let mut reference = Reference::new(&program.config, Arc::new(Deaf));
    reference.drive(&program.config);
    let marks = Arc::new(Marks::default());
    let candidate = planted.boot(&program.config, marks.clone());
    let known = candidate.supports();
    let told = |call: &Call| known.makes(&call.call);
    if !program.calls.iter().all(told) {
        return None;
    }
    let mut matching = Matching::default();
    for (at, call) in program.calls.iter().enumerate() {
        let (steps, outcome) = steps(&mut reference, call);
        let answer = candidate.call(call.task, &call.call, call.fail);
        let marks = marks.take();
        if answer != outcome {
            return Some(format!("call {at}: {outcome:?}, but {answer:?}"));
        }
        if let Err(wrong) = matching.call(&steps, &marks) {
            return Some(format!("call {at}, {}: {wrong}", call.call.kind().name()));
        }
    }
    None
}

/// Takes all steps of a call.
fn steps(reference: &mut Reference, call: &Call) -> (Vec<Step>, Outcome) {
    let mut steps = Vec::new();
    if let Err(outcome) = reference.begin(call.task, &call.call, call.fail) {
        if call.call == vmadiff_contract::Call::Softirq {
            let outcome = reference.call(call.task, &call.call, call.fail);
            return (steps, outcome);
        }
        return (steps, outcome);
    }
    let mut before = Arc::new(seen(reference));
    let mut caller = "";
    let (mut idle, mut passes) = (false, false);
    loop {
        let mut offers = Vec::new();
        reference.legal(&mut offers);
        let offer = offers.iter().find(|offer| offer.task == call.task);
        let choice = offer.map_or(Choice::Go, |offer| offer.choice);
        match reference.take(call.task, choice).expect("it is legal") {
            Taken::Returned(outcome) => return (steps, outcome),
            Taken::Step => {}
        }
        let offer = offer.expect("a step that was offered");
        let mut about = Vec::new();
        reference.footprint(&mut about);
        let after = Arc::new(seen(reference));
        let list = match offer.list {
            "zap" if caller == "unmap a file's pages" => "zap of a file",
            list => list,
        };
        if offer.list != "zap" {
            caller = offer.list;
        }
        idle = match offer.kind {
            StepKind::Pass => before.pages == after.pages && (idle || !passes),
            StepKind::Flush => idle,
            _ => false,
        };
        passes = offer.kind == StepKind::Pass && !about.is_empty();
        steps.push(Step {
            idle: idle && offer.kind == StepKind::Flush,
            list,
            row: offer.row,
            kind: offer.kind,
            about,
            before: std::mem::replace(&mut before, after.clone()),
            after,
        });
    }
}

fn seen(reference: &Reference) -> Snapshot {
    let mut state = Snapshot::default();
    reference.see(&mut state);
    state
}
