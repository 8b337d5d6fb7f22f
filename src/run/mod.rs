//! Runs a program on one manager and records what can be observed: call after call
//! ([`Instance`]), or woven by a schedule ([`Weaver`]). Nothing here judges. Of a long program the
//! states are recorded that are asked for (`pace`).

mod chooser;
mod instance;
mod pace;
mod recorder;
mod tagger;
mod watch;
mod weaver;
mod woven;

pub use instance::{Instance, Make, Stage};
pub(crate) use instance::{caught, exit, is_caught};
pub use pace::{Keep, Pace};
pub use recorder::Recorder;
pub use tagger::Tagger;
pub use watch::{Seen, Watch};
pub use weaver::Weaver;
pub use woven::{Exited, Marked, Raised, Shot, Woven};

use vmadiff_contract::{Event, Outcome, Snapshot};

/// What was observed of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observation {
    /// The manager's name.
    pub manager: &'static str,
    /// Per call of the program, in order; then an exit of each task that was left, so that
    /// everything ends. A call that either manager does not know is not made and answers
    /// `Unsupported`, so that indexes are the program's.
    pub calls: Vec<Observed>,
    /// Which of `calls` have their state; that of others is empty.
    pub kept: Keep,
    /// What quiescing raised.
    pub deferred: Vec<Event>,
    /// The state after it.
    pub last: Snapshot,
    /// The manager panicked, and the run ended there.
    pub panicked: Option<Panic>,
}

impl Observation {
    /// The state after the call of this index, if it was made and its state was kept.
    pub fn state(&self, at: usize) -> Option<&Snapshot> {
        let observed = self.calls.get(at).filter(|_| self.kept.has(at))?;
        Some(&observed.state)
    }
}

/// What was observed of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Its outcome.
    pub outcome: Outcome,
    /// The events it raised, in order.
    pub events: Vec<Event>,
    /// The state after it, if it was kept ([`Observation::state`]).
    pub state: Snapshot,
}

/// A panic of a manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panic {
    /// The index of the call in which it happened; none: while quiescing.
    pub at: Option<usize>,
    /// What it said.
    pub message: String,
}
