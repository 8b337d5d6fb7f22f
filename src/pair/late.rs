//! A manager that panics as it is made: it stands there all the same, and panics as it boots for a program, where
//! that is told of the program.

use std::panic::resume_unwind;
use std::sync::Arc;

use vmadiff_contract::{
    Call, CallKind, Capabilities, Config, EventSink, Fail, Manager, Outcome, Snapshot, TaskId,
};

use super::working;
use crate::judge::Side;
use crate::run::{Stage, caught};

/// Has a manager made, or one in its place that says what it said.
pub(super) fn boot(
    make: impl Fn(&Config, Arc<dyn EventSink>) -> Box<dyn Manager>,
    config: &Config,
    events: Arc<dyn EventSink>,
) -> Box<dyn Manager> {
    working::on_stage(Side::Candidate, Stage::Boot);
    let made = caught(|| make(config, events));
    working::on_nothing();
    made.unwrap_or_else(|said| Box::new(Late { said }))
}

/// A manager that there is not.
struct Late {
    said: String,
}

impl Manager for Late {
    fn boot(_: &Config, _: Arc<dyn EventSink>) -> Box<dyn Manager> {
        unreachable!("it stands for one that was booted")
    }

    fn reset(&mut self, _: &Config) {
        // It was printed when it was said first.
        resume_unwind(Box::new(self.said.clone()));
    }

    fn name(&self) -> &'static str {
        "a manager that cannot be made"
    }

    /// Nobody knows what it would have.
    fn supports(&self) -> Capabilities {
        Capabilities::of(CallKind::ALL)
    }

    fn call(&self, _: TaskId, _: &Call, _: Fail) -> Outcome {
        Outcome::Unsupported
    }

    fn snapshot(&self, into: &mut Snapshot) {
        into.clear();
    }

    fn quiesce(&self) {}
}
