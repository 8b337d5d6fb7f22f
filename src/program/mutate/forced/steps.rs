//! The steps of a run, and what is asked of them for each pair that is drawn: which steps made the same
//! object's accesses before, took or gave back locks, began calls. Gone over once; a run has hundreds of
//! steps, and some fifty pairs are drawn.

use vmadiff_contract::CallKind;
use vmadiff_interleave::sim::{Step, TASKS, What};

use super::locks::{free_of_locks, is_about_a_lock};

/// Stands for no step.
const NONE: u32 = u32::MAX;

/// A run's steps.
pub(super) struct Steps<'a> {
    pub(super) all: &'a [Step],
    /// In which call each step was made; none: no call's.
    pub(super) calls: Vec<Option<CallKind>>,
    /// By step, the access before it to the same object, by whomever; or [`NONE`].
    same_object: Vec<u32>,
    /// Which steps take locks, try to, or give them back; rising.
    locks: Vec<usize>,
    /// Which steps begin a call; rising.
    pub(super) begins: Vec<usize>,
}

impl<'a> Steps<'a> {
    /// The steps of a run of calls of these kinds.
    pub(super) fn new(all: &'a [Step], kinds: &[CallKind]) -> Self {
        let mut steps = Self {
            all,
            calls: Vec::with_capacity(all.len()),
            same_object: Vec::with_capacity(all.len()),
            locks: Vec::new(),
            begins: Vec::new(),
        };
        let mut inside = [None; TASKS + 1];
        let mut last = Vec::new();
        for (at, step) in all.iter().enumerate() {
            let inside = &mut inside[usize::from(step.task)];
            let mut before = NONE;
            match step.what {
                What::Begin(call) => {
                    *inside = kinds.get(call as usize).copied();
                    steps.begins.push(at);
                }
                What::End(_) => *inside = None,
                What::Access { kind, object } => {
                    if object != 0 {
                        let object = object as usize;
                        if last.len() <= object {
                            last.resize(object + 1, NONE);
                        }
                        before = std::mem::replace(&mut last[object], at as u32);
                    }
                    if is_about_a_lock(kind) {
                        steps.locks.push(at);
                    }
                }
                What::Mark(_) | What::Chose(_) => {}
            }
            steps.calls.push(*inside);
            steps.same_object.push(before);
        }
        steps
    }

    /// The accesses before this one to the same object, the last one first.
    pub(super) fn same_object_before(&self, at: usize) -> impl Iterator<Item = usize> {
        let before = |&at: &usize| match self.same_object[at] {
            NONE => None,
            before => Some(before as usize),
        };
        std::iter::successors(Some(at), before).skip(1)
    }

    /// The step of the first task before which the second can come to its own, with all locks free that
    /// it takes on its way.
    pub(super) fn free_of_locks(&self, first: usize, then: usize) -> usize {
        free_of_locks(self.all, &self.locks, first, then)
    }

    /// Whether the second access is made in the call that its task makes next. Of what lies behind that
    /// call other things may become once the order is another.
    pub(super) fn is_of_next_call(&self, first: usize, then: usize) -> bool {
        let begins = self
            .begins
            .iter()
            .filter(|&&at| (first..=then).contains(&at));
        let own = begins.filter(|&&at| self.all[at].task == self.all[then].task);
        own.count() <= 1
    }
}
