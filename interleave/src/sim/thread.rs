//! Logical threads as coroutines that outlive them: a coroutine whose thread has finished waits on
//! its stack for the next.
//!
//! A coroutine ends only when its simulation is dropped. Starting one costs more than a switch, and
//! AddressSanitizer keeps a fake stack for each (`detect_stack_use_after_return`), which the end of
//! a coroutine leaks: corosensei asks to save it, where a null pointer would destroy it. Whoever
//! starts a coroutine for each thread of each run is out of memory after some thousand runs.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, Yielder};

use super::TASKS;
use super::run::Run;

/// What a thread panicked with.
pub(super) type Panic = Box<dyn Any + Send>;

/// What a coroutine is resumed for.
enum Order {
    /// To run the thread of a task, from its start.
    Run(*const Run<'static>, u8),
    /// To go on where it suspended itself.
    GoOn,
    /// To unwind the thread that suspended itself.
    Unwind,
}

/// Why a coroutine came back.
enum Back {
    /// Its thread suspended itself.
    Suspended,
    /// Its thread has finished or was unwound.
    Finished,
    /// Its thread panicked.
    Panicked(Panic),
}

type Fiber = Coroutine<Order, Back, ()>;
type FiberYielder = Yielder<Order, Back>;

/// What a thread is unwound with.
struct Unwound;

/// How a suspended thread is found again: its yielder, null before it has started.
pub(super) struct Yielders([Cell<*const FiberYielder>; TASKS + 1]);

impl Yielders {
    pub(super) fn new() -> Self {
        Self([const { Cell::new(ptr::null()) }; TASKS + 1])
    }

    /// Suspends the thread of `task`, which must be the caller, until it is resumed. Unwinds the
    /// caller if its run is given up.
    pub(super) fn suspend(&self, task: u8) {
        let yielder = self.0[usize::from(task)].get();
        assert!(!yielder.is_null(), "only a thread suspends itself");
        // SAFETY: the pointer was stored when the thread of `task` began, from a reference that
        // lives as long as the coroutine under it does. That coroutine is the one that runs now:
        // `Yielders` is made anew for each run.
        let order = unsafe { (*yielder).suspend(Back::Suspended) };
        if matches!(order, Order::Unwind) {
            resume_unwind(Box::new(Unwound));
        }
    }
}

/// The coroutines of a simulation that have no thread.
pub(super) struct Fibers {
    idle: Vec<Fiber>,
    stack_size: usize,
}

impl Fibers {
    /// None yet; they will have stacks of this many bytes.
    pub(super) fn new(stack_size: usize) -> Self {
        Self {
            idle: Vec::new(),
            stack_size,
        }
    }

    fn take(&mut self) -> Fiber {
        self.idle.pop().unwrap_or_else(|| {
            let stack = DefaultStack::new(self.stack_size).expect("memory for a thread's stack");
            Coroutine::with_stack(stack, |yielder: &FiberYielder, first| {
                serve(yielder, first);
            })
        })
    }
}

impl Drop for Fibers {
    fn drop(&mut self) {
        for mut fiber in self.idle.drain(..) {
            fiber.resume(Order::GoOn);
        }
    }
}

/// The body of a coroutine: one thread after another, until it is told to go on and has none.
fn serve(yielder: &FiberYielder, first: Order) {
    let mut order = first;
    while let Order::Run(run, task) = order {
        // SAFETY: `Threads`, which gives this order, borrows the run, and has this thread finished
        // or unwound before it lets go of it.
        let run = unsafe { &*run };
        run.yielders.0[usize::from(task)].set(yielder);
        let back = match catch_unwind(AssertUnwindSafe(|| run.thread(task))) {
            Ok(()) => Back::Finished,
            Err(panic) if panic.is::<Unwound>() => Back::Finished,
            Err(panic) => Back::Panicked(panic),
        };
        order = yielder.suspend(back);
    }
}

/// The threads of one run. Those that are left unfinished are unwound when it is dropped.
pub(super) struct Threads<'r, 'a> {
    run: &'r Run<'a>,
    fibers: &'r mut Fibers,
    started: [Option<Fiber>; TASKS + 1],
}

impl<'r, 'a> Threads<'r, 'a> {
    pub(super) fn new(run: &'r Run<'a>, fibers: &'r mut Fibers) -> Self {
        Self {
            run,
            fibers,
            started: [const { None }; TASKS + 1],
        }
    }

    /// Runs the thread of `task` until it suspends itself or finishes; starts it if it is new.
    ///
    /// # Errors
    /// What it panicked with.
    pub(super) fn resume(&mut self, task: u8) -> Result<(), Panic> {
        let order = if self.is_suspended(task) {
            Order::GoOn
        } else {
            self.started[usize::from(task)] = Some(self.fibers.take());
            Order::Run(ptr::from_ref(self.run).cast(), task)
        };
        self.give(task, order)
    }

    /// Whether the thread has started and not finished.
    pub(super) fn is_suspended(&self, task: u8) -> bool {
        self.started[usize::from(task)].is_some()
    }

    /// Unwinds every thread that is suspended.
    ///
    /// # Errors
    /// What the first of their destructors panicked with.
    pub(super) fn unwind(&mut self) -> Result<(), Panic> {
        let mut unwound = Ok(());
        for task in 0..=TASKS as u8 {
            while self.is_suspended(task) {
                let one = self.give(task, Order::Unwind);
                unwound = unwound.and(one);
            }
        }
        unwound
    }

    /// Has the coroutine of `task` do this, and puts it back if its thread is done with.
    fn give(&mut self, task: u8, order: Order) -> Result<(), Panic> {
        let slot = &mut self.started[usize::from(task)];
        let Some(fiber) = slot else {
            return Ok(());
        };
        let back = fiber.resume(order).as_yield();
        let done = match back {
            Some(Back::Suspended) => return Ok(()),
            Some(Back::Panicked(panic)) => Err(panic),
            Some(Back::Finished) | None => Ok(()),
        };
        self.fibers.idle.extend(slot.take());
        done
    }
}

impl Drop for Threads<'_, '_> {
    fn drop(&mut self) {
        // Nobody is left to hear what destructors panic with, and the run must not be borrowed on.
        let _ = self.unwind();
    }
}
