//! What can be observed of a woven run: calls of several tasks, interleaved by a schedule.

use vmadiff_contract::{Event, Mark, Outcome, Snapshot, TaskId};
use vmadiff_interleave::policy::Missed;
use vmadiff_interleave::sim::{End, Trace};

use super::{Observed, Panic};

/// What was observed of a manager in one woven run.
///
/// Calls bear their index in the program, in the trace too. Exits follow one after another, when
/// all calls have returned; their indexes follow the program's.
#[derive(Clone, Debug, Default)]
pub struct Woven {
    /// The manager's name.
    pub manager: &'static str,
    /// Every step of every task, and how it ended.
    pub trace: Trace,
    /// What each call came to; none: it never returned.
    pub outcomes: Vec<Option<Outcome>>,
    /// What was raised while calls ran, in order.
    pub events: Vec<Raised>,
    /// What the manager told of the steps of calls while they ran, in order; nothing if nobody
    /// follows them ([`super::Weaver::following`]).
    pub marks: Vec<Marked>,
    /// The state when all calls had returned.
    pub state: Snapshot,
    /// Then an exit of each task that was left, the last task first, one after another.
    pub exits: Vec<Exited>,
    /// What quiescing raised.
    pub deferred: Vec<Event>,
    /// The state after it.
    pub last: Snapshot,
    /// The manager panicked, and the run ended there.
    pub panicked: Option<Panic>,
    /// Switches of the program's own schedule whose moments never came.
    pub missed: Vec<Missed>,
}

/// An event, and where it was raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raised {
    /// Between the trace's step before this index and the one at it.
    pub step: u32,
    /// Who ran; 0 is the softirq.
    pub task: TaskId,
    /// In which call; none: the softirq.
    pub call: Option<u32>,
    /// What.
    pub event: Event,
}

/// A mark, and where it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marked {
    /// Between the trace's step before this index and the one at it.
    pub step: u32,
    /// In which call; none: the softirq.
    pub call: Option<u32>,
    /// What was told.
    pub mark: Mark,
}

/// What could be seen of a manager while a woven run was under way.
#[derive(Clone, Debug)]
pub struct Shot {
    /// The step of the trace that had just been made: a mark, or the end of a call.
    pub step: u32,
    /// All that could be seen, in whatever state calls that were not over had left it.
    pub state: Snapshot,
}

/// A task that was ended after the last call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exited {
    /// Who.
    pub task: TaskId,
    /// What was observed of its exit.
    pub seen: Observed,
}

impl Woven {
    /// Whether every call returned, so that there is a state to look at.
    pub fn finished(&self) -> bool {
        *self.trace.end() == End::Finished && self.panicked.is_none()
    }

    /// Forgets everything and keeps the memory, but for the trace's: the simulation clears that.
    /// Exits go to `spare`.
    pub(super) fn clear(&mut self, calls: usize, spare: &mut Vec<Exited>) {
        self.outcomes.clear();
        self.outcomes.resize(calls, None);
        self.events.clear();
        self.marks.clear();
        self.state.clear();
        spare.append(&mut self.exits);
        self.deferred.clear();
        self.last.clear();
        self.panicked = None;
        self.missed.clear();
    }
}

/// Two runs are the same if they are step by step, by the hash of their traces, and in all that was
/// observed.
impl PartialEq for Woven {
    fn eq(&self, other: &Self) -> bool {
        let Self {
            manager,
            trace,
            outcomes,
            events,
            marks,
            state,
            exits,
            deferred,
            last,
            panicked,
            missed,
        } = self;
        *manager == other.manager
            && trace.hash() == other.trace.hash()
            && trace.end() == other.trace.end()
            && *outcomes == other.outcomes
            && *events == other.events
            && *marks == other.marks
            && *state == other.state
            && *exits == other.exits
            && *deferred == other.deferred
            && *last == other.last
            && *panicked == other.panicked
            && *missed == other.missed
    }
}

impl Eq for Woven {}
