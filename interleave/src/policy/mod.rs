//! Policies: who goes on when a thread arrives at a scheduling point.

mod bounded;
mod dependence;
mod exhaustive;
mod pct;
mod pos;
mod preemptions;
mod random;
mod surw;

use crate::{Kind, Site};

pub use bounded::Bounded;
pub use exhaustive::Exhaustive;
pub use pct::Pct;
pub use pos::Pos;
pub use preemptions::{Missed, Moment, Preemptions, Switch};
pub use random::RandomWalk;
pub use surw::Surw;

/// What a task is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Who; 0 is the softirq.
    pub task: u8,
    /// Where in the code.
    pub site: Site,
    /// To which object, named by the order of first appearance from 1; 0: none.
    pub object: u32,
    /// What.
    pub kind: Kind,
    /// In, or about to begin, the call of this number; the softirq has the highest there is.
    pub call: u32,
    /// Whether it can be done now.
    pub runnable: bool,
}

/// A choice to make.
#[derive(Clone, Copy, Debug)]
pub struct Choice<'a> {
    /// What each task that has not finished is about to do, by task number. At least one of them
    /// is runnable.
    pub pending: &'a [Pending],
    /// What the task that has just arrived is about to do; at the start of a run and after a
    /// task's last call it is in no list. Runnable: to choose another task is a preemption.
    pub arrived: &'a Pending,
    /// The index of the task that goes on if the policy has no opinion: the one that arrived, or,
    /// where that has finished a call or cannot move, that of the earliest unfinished call.
    pub default: usize,
    /// A call returned between the last choice and this one.
    pub returned: bool,
}

impl Choice<'_> {
    /// The tasks that can be chosen, by index.
    pub fn runnable(&self) -> impl Iterator<Item = usize> + Clone + use<'_> {
        (0..self.pending.len()).filter(|&index| self.pending[index].runnable)
    }
}

/// Chooses who goes on. Its answers may depend on nothing but itself and what it is told.
pub trait Policy {
    /// A run begins.
    fn begin(&mut self) {}

    /// A task has arrived at a scheduling point: is there a choice to make, or does the default
    /// task go on? Asked at each point, so that a policy with few opinions costs little.
    fn asks(&mut self, _arrived: &Pending) -> bool {
        true
    }

    /// The index, in the list of pending accesses, of the one that is made next. One that is not
    /// runnable, or none, means the default.
    fn pick(&mut self, choice: &Choice<'_>) -> usize;

    /// Which of `ready` callbacks, at least two, is taken, from 0 in the order of queueing.
    fn pick_callback(&mut self, _ready: usize) -> usize {
        0
    }

    /// Whether callbacks that are ready still run after the last call, before the run ends.
    fn drains(&self) -> bool {
        false
    }

    /// The run has ended with these accesses pending: those of tasks that cannot move, if it did
    /// not finish, and that of the softirq. `returned` as in [`Choice`].
    fn end(&mut self, _pending: &[Pending], _returned: bool) {}
}

/// A policy that runs one schedule after another, until it has run all there are.
pub trait Search: Policy {
    /// Goes on to the next schedule; false: there is none, or the search has reached its limit.
    /// To be called before each run, also the first:
    ///
    /// ```no_run
    /// # use vmadiff_interleave::{policy::{Exhaustive, Search}, sim::{Plan, Sim}};
    /// # fn explore(sim: &mut Sim, plan: &Plan<'_>) {
    /// let mut search = Exhaustive::new();
    /// while search.advance() {
    ///     // Put everything back to the start, then:
    ///     sim.run(plan, &mut search);
    /// }
    /// assert!(search.explored().complete);
    /// # }
    /// ```
    fn advance(&mut self) -> bool;

    /// What has been run so far.
    fn explored(&self) -> Explored;
}

/// How much of a program's schedules was explored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Explored {
    /// Runs.
    pub schedules: u64,
    /// Runs that partial-order reduction could not avoid and that were equal to others.
    pub redundant: u64,
    /// Whether these were all there are: of all, or of those with so many preemptions at most.
    pub complete: bool,
    /// Runs in which a task could not do what it could in an earlier run with the same schedule:
    /// what runs is not deterministic, and nothing is complete.
    pub diverged: u64,
}
