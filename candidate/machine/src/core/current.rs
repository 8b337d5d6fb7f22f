//! Who makes the call that runs (`current`), and which of its allocations fails.

use std::cell::Cell;
use std::ops::Deref;

use vmadiff_contract::{StepKind, Told};

use crate::core::machine::Machine;
use crate::core::mm::Mm;
use crate::core::slab::Handle;
use crate::core::task::Task;
use crate::design::Design;

/// A task in the middle of a call.
pub struct Current<'a, D: Design> {
    machine: &'a Machine<D>,
    /// The task.
    pub task: &'a Task,
    /// Its address space.
    pub mm: Handle<Mm>,
    /// Allocations until the one that fails; 0: none will.
    countdown: Cell<u8>,
}

impl<'a, D: Design> Current<'a, D> {
    /// This task, whose `fail`-th allocation fails.
    pub fn new(machine: &'a Machine<D>, task: &'a Task, fail: u8) -> Self {
        Self {
            machine,
            task,
            mm: task.mm.peek(),
            countdown: Cell::new(fail),
        }
    }

    /// Its address space.
    #[inline]
    pub fn mm_struct(&self) -> &'a Mm {
        self.machine.mm(self.mm)
    }

    /// Counts an allocation; whether it is the one that fails.
    #[inline]
    pub fn fails(&self) -> bool {
        let fails = self.fails_untold();
        if fails {
            self.mark_failed();
        }
        fails
    }

    /// The same, of an allocation that may turn out not to matter.
    #[inline]
    pub fn fails_untold(&self) -> bool {
        let left = self.countdown.get();
        self.countdown.set(left.saturating_sub(1));
        left == 1
    }

    /// Tells that an allocation has failed.
    pub fn mark_failed(&self) {
        self.mark(StepKind::Allocate, self.areas(), Told::Refused);
    }
}

impl<D: Design> Deref for Current<'_, D> {
    type Target = Machine<D>;

    #[inline]
    fn deref(&self) -> &Machine<D> {
        self.machine
    }
}
