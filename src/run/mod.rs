//! Runs a program on one manager and records what can be observed.

use vmadiff_contract::{Event, Outcome, Snapshot};

/// What was observed of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observation {
    /// The manager's name.
    pub manager: &'static str,
    /// Per call of the program, in order; then an exit of each task that was left, so that
    /// everything ends.
    pub calls: Vec<Observed>,
    /// What quiescing raised.
    pub deferred: Vec<Event>,
    /// The state after it.
    pub last: Snapshot,
}

/// What was observed of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Its outcome.
    pub outcome: Outcome,
    /// The events it raised, in order.
    pub events: Vec<Event>,
    /// The state after it.
    pub state: Snapshot,
}
