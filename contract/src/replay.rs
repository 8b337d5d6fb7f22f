//! A manager that is led through what another one did.

use crate::{Call, Fail, Manager, Outcome, TaskId};

/// What an access does with its byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Touch {
    /// Reads it.
    Load,
    /// Writes it.
    Store,
    /// Fetches it as an instruction.
    Exec,
}

/// Whose anon_vma the first store to an area takes. Two faults at once may each miss the other's,
/// so what they took is a choice, which is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Lender {
    /// As the rule says: the next area's, else the previous one's, else a new one.
    #[default]
    ByRule,
    /// A new one.
    Nobody,
    /// The previous area's if it can be shared, else a new one.
    Prev,
}

/// A manager that can make parts of calls, so that a judge can try an order of the parts of calls
/// that another manager made at the same time.
pub trait Replay: Manager {
    /// Makes a call without the populating that may follow it: only what [`Manager::call`] does
    /// under one lock. Its outcome is that of the call, as if all pages could be had.
    fn section(&self, task: TaskId, call: &Call, fail: Fail) -> Outcome;

    /// Serves the fault that an access would raise, whether or not it needs one now, and makes no
    /// access. Answers 0, or what the access would answer whose fault cannot be served.
    fn fault(&self, task: TaskId, addr: u64, touch: Touch, lender: Lender) -> Outcome;

    /// Gives the area at an address an anon_vma, if it has none: all that is left of a store's
    /// fault if another fault was faster, or no page can be had. Answers 0, SIGSEGV if there is no
    /// area, or Oom if there is nobody to take one from and the allocation of a new one fails.
    fn prepare(&self, task: TaskId, addr: u64, lender: Lender, fail: Fail) -> Outcome;
}
