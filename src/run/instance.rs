//! One manager that is booted, driven call by call and observed in full.

use std::any::Any;
use std::cell::Cell;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use vmadiff_contract::{
    Call, CallKind, Capabilities, Config, EventSink, Fail, Manager, Outcome, Snapshot, TaskId,
};

use super::{Keep, Observation, Observed, Panic, Recorder};
use crate::program::{Program, Step};

/// Makes a manager.
pub type Make<M> = Arc<dyn Fn(&Config, Arc<dyn EventSink>) -> Box<M> + Send + Sync>;

/// What a manager is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It boots for a program.
    Boot,
    /// It makes the call of this index, or is looked at behind it.
    Call(CallKind, usize),
    /// It runs what was deferred to its end.
    Quiesce,
}

/// A manager, and how to make another should it panic. Its events go to the [`Recorder`].
pub struct Instance<M: ?Sized> {
    make: Make<M>,
    /// The manager.
    pub manager: Box<M>,
}

impl<M: Manager + ?Sized> Instance<M> {
    /// Makes one.
    pub fn new(make: Make<M>) -> Self {
        let manager = make(&Config::default(), Arc::new(Recorder));
        Self { make, manager }
    }

    /// Boots for the next program.
    pub fn reset(&mut self, config: &Config) {
        self.manager.reset(config);
        Recorder::clear();
    }

    /// Replaces a manager that panicked: nobody knows what it left behind.
    pub fn renew(&mut self) {
        let fresh = (self.make)(&Config::default(), Arc::new(Recorder));
        throw_away(mem::replace(&mut self.manager, fresh));
        Recorder::clear();
    }

    /// Makes a call.
    #[inline]
    pub fn call(&self, step: &Step) -> Outcome {
        self.manager.call(step.task, &step.call, step.fail)
    }

    /// Runs a program and keeps everything, but of the states only these. `begins` is told what comes.
    ///
    /// # Panics
    /// If the manager panics as it boots.
    pub fn observe(
        &mut self,
        program: &Program,
        known: Capabilities,
        keep: Keep,
        begins: impl Fn(Stage),
    ) -> Observation {
        begins(Stage::Boot);
        self.reset(&program.config);
        let mut seen = Observation {
            manager: self.manager.name(),
            kept: keep,
            ..Observation::default()
        };
        self.observe_calls(program, known, &mut seen, &begins);
        if seen.panicked.is_none() {
            begins(Stage::Quiesce);
            let quiesced = caught(|| {
                self.manager.quiesce();
                self.manager.snapshot(&mut seen.last);
            });
            seen.deferred = Recorder::drain(<[_]>::to_vec);
            seen.panicked = quiesced.err().map(|message| Panic { at: None, message });
        }
        if seen.panicked.is_some() {
            self.renew();
        }
        seen
    }

    fn observe_calls(
        &mut self,
        program: &Program,
        known: Capabilities,
        seen: &mut Observation,
        begins: &impl Fn(Stage),
    ) {
        let calls = program.calls.iter().copied();
        for step in calls {
            if known.makes(&step.call) {
                begins(Stage::Call(step.call.kind(), seen.calls.len()));
                self.observe_call(&step, seen);
            } else {
                self.skip_call(seen);
            }
            if seen.panicked.is_some() {
                return;
            }
        }
        while let Some(task) = self.somebody(seen).filter(|_| known.knows(CallKind::Exit)) {
            begins(Stage::Call(CallKind::Exit, seen.calls.len()));
            self.observe_call(&exit(task), seen);
            let answered = seen.calls.last().map(|call| call.outcome);
            // A manager that cannot end a task would keep us here for ever.
            if seen.panicked.is_some() || answered != Some(Outcome::Value(0)) {
                return;
            }
        }
    }

    fn observe_call(&mut self, step: &Step, seen: &mut Observation) {
        let mut state = Snapshot::default();
        let keep = seen.kept.has(seen.calls.len());
        let outcome = caught(|| {
            let outcome = self.call(step);
            if keep {
                self.manager.snapshot(&mut state);
            }
            outcome
        });
        let events = Recorder::drain(<[_]>::to_vec);
        match outcome {
            Ok(outcome) => seen.calls.push(Observed {
                outcome,
                events,
                state,
            }),
            Err(message) => {
                let at = Some(seen.calls.len());
                seen.panicked = Some(Panic { at, message });
            }
        }
    }

    fn skip_call(&mut self, seen: &mut Observation) {
        let mut state = Snapshot::default();
        if seen.kept.has(seen.calls.len()) {
            self.manager.snapshot(&mut state);
        }
        let outcome = Outcome::Unsupported;
        seen.calls.push(Observed {
            outcome,
            events: Vec::new(),
            state,
        });
    }

    /// A task that is left; the last first, so that children end before the first process.
    fn somebody(&self, seen: &Observation) -> Option<TaskId> {
        let last = seen.calls.len().checked_sub(1);
        match last.and_then(|last| seen.state(last)) {
            Some(state) => state.tasks.last().map(|t| t.task),
            None => {
                let mut state = Snapshot::default();
                self.manager.snapshot(&mut state);
                state.tasks.last().map(|t| t.task)
            }
        }
    }
}

/// The step that ends a task.
pub fn exit(task: TaskId) -> Step {
    Step {
        task,
        call: Call::Exit,
        fail: Fail::NONE,
    }
}

/// Throws away what has panicked, and may do so once more.
pub fn throw_away<T>(broken: T) {
    let _ = caught(|| drop(broken));
}

thread_local! {
    /// Calls of [`caught`] that this thread is in.
    static CATCHING: Cell<u32> = const { Cell::new(0) };
}

/// Whether a panic of this thread would be caught now, and become a finding.
pub fn is_caught() -> bool {
    CATCHING.get() > 0
}

/// Runs it; what a panic said.
pub fn caught<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    CATCHING.set(CATCHING.get() + 1);
    let ran = catch_unwind(AssertUnwindSafe(run));
    CATCHING.set(CATCHING.get() - 1);
    ran.map_err(|payload| message(&*payload))
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|s| (*s).to_owned());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "without a message".to_owned())
}
