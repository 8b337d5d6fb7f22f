//! Logical threads as coroutines, on stacks that are used again.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, Yielder};

use super::TASKS;
use super::run::Run;

/// How a suspended thread is found again: its yielder, null before it has started.
pub(super) struct Yielders([Cell<*const Yielder<(), ()>>; TASKS + 1]);

impl Yielders {
    pub(super) fn new() -> Self {
        Self([const { Cell::new(ptr::null()) }; TASKS + 1])
    }

    /// Suspends the thread of `task`, which must be the caller, until it is resumed.
    pub(super) fn suspend(&self, task: u8) {
        let yielder = self.0[usize::from(task)].get();
        assert!(!yielder.is_null(), "only a thread suspends itself");
        // SAFETY: the pointer was stored by the coroutine of `task` at its start, from a reference
        // that lives as long as that coroutine does. The coroutine is the one that runs now, or
        // has finished in an earlier run: then `Yielders`, made anew for each run, holds null.
        unsafe { (*yielder).suspend(()) };
    }
}

/// The threads of one run. Those that are left unfinished are unwound when it is dropped.
pub(super) struct Threads<'r, 'a> {
    run: &'r Run<'a>,
    stacks: &'r mut Vec<DefaultStack>,
    stack_size: usize,
    coroutines: [Option<Coroutine<(), (), ()>>; TASKS + 1],
}

/// What a thread panicked with.
pub(super) type Panic = Box<dyn std::any::Any + Send>;

impl<'r, 'a> Threads<'r, 'a> {
    pub(super) fn new(
        run: &'r Run<'a>,
        stacks: &'r mut Vec<DefaultStack>,
        stack_size: usize,
    ) -> Self {
        Self {
            run,
            stacks,
            stack_size,
            coroutines: [const { None }; TASKS + 1],
        }
    }

    /// Runs the thread of `task` until it suspends itself or finishes; starts it if it is new.
    ///
    /// # Errors
    /// What it panicked with.
    pub(super) fn resume(&mut self, task: u8) -> Result<(), Panic> {
        let slot = usize::from(task);
        if self.coroutines[slot].is_none() {
            self.coroutines[slot] = Some(self.start(task));
        }
        let Some(coroutine) = &mut self.coroutines[slot] else {
            return Ok(());
        };
        catch_unwind(AssertUnwindSafe(|| coroutine.resume(())))?;
        if coroutine.done() {
            self.collect(slot);
        }
        Ok(())
    }

    /// Whether the thread has started and not finished.
    pub(super) fn is_suspended(&self, task: u8) -> bool {
        self.coroutines[usize::from(task)].is_some()
    }

    /// Unwinds every thread that is suspended; their stacks can be used again.
    pub(super) fn unwind(&mut self) {
        for slot in 0..self.coroutines.len() {
            if let Some(coroutine) = &mut self.coroutines[slot] {
                coroutine.force_unwind();
                self.collect(slot);
            }
        }
    }

    fn start(&mut self, task: u8) -> Coroutine<(), (), ()> {
        let stack = self.stacks.pop().unwrap_or_else(|| {
            DefaultStack::new(self.stack_size).expect("memory for a thread's stack")
        });
        let run = self.run;
        let body = move |yielder: &Yielder<(), ()>, ()| {
            run.yielders.0[usize::from(task)].set(yielder);
            run.thread(task);
        };
        // SAFETY: the body borrows the run, which outlives `self` by `'r`; and `self`, which never
        // leaves the module's one user, drives or unwinds each coroutine to its end when dropped.
        unsafe { Coroutine::with_stack_unchecked(stack, body) }
    }

    /// Takes the stack back from a coroutine that has finished.
    fn collect(&mut self, slot: usize) {
        if let Some(coroutine) = self.coroutines[slot].take() {
            self.stacks.push(coroutine.into_stack());
        }
    }
}
