//! A manager that panics in one of its calls, to see what becomes of a panic under an engine.

use std::sync::Arc;

use vmadiff::CallKind;
use vmadiff::compare::Compare;
use vmadiff::contract::{
    Call, Capabilities, Config, DesignInfo, EventSink, Fail, Manager, Outcome, Snapshot, TaskId,
};
use vmadiff::designs::Planted;
use vmadiff::target::Target;

/// This project's first design, but that msync panics.
struct Panicking(Box<dyn Manager>);

fn boot(config: &Config, events: Arc<dyn EventSink>, _: &[&str]) -> Box<dyn Manager> {
    Box::new(Panicking(Planted::default().boot(config, events)))
}

/// A target that runs programs on it.
pub fn target() -> Target {
    let own = Planted::default().design();
    Compare::of(DesignInfo {
        sites: own.sites,
        reasons: own.reasons,
        breaches: own.breaches,
        counts: own.counts,
        frees: own.frees,
        aims: own.aims,
        ..DesignInfo::plain("panicking", boot)
    })
    .target()
}

impl Manager for Panicking {
    fn boot(config: &Config, events: Arc<dyn EventSink>) -> Box<dyn Manager> {
        boot(config, events, &[])
    }

    fn reset(&mut self, config: &Config) {
        self.0.reset(config);
    }

    fn name(&self) -> &'static str {
        "panicking"
    }

    fn supports(&self) -> Capabilities {
        self.0.supports()
    }

    fn call(&self, task: TaskId, call: &Call, fail: Fail) -> Outcome {
        assert!(call.kind() != CallKind::Msync, "planted: msync panics");
        self.0.call(task, call, fail)
    }

    fn snapshot(&self, into: &mut Snapshot) {
        self.0.snapshot(into);
    }

    fn quiesce(&self) {
        self.0.quiesce();
    }
}
