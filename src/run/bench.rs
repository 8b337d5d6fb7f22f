//! One manager on the test bench: booted, driven call by call, observed in full.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use vmadiff_contract::{
    Call, Capabilities, Config, Event, EventSink, Fail, Manager, Outcome, Snapshot, TaskId,
};

use super::{Keep, Observation, Observed, Panic, Recorder, Seen, Watch};
use crate::judge::{Broken, Digest, Laws, Side};
use crate::program::{Program, Step};

/// Makes a manager.
pub type Make<M> = Arc<dyn Fn(&Config, Arc<dyn EventSink>) -> M + Send + Sync>;

/// The fast path objects to something; what it is, full observations will tell.
pub struct Objects;

impl From<Box<Broken>> for Objects {
    fn from(_: Box<Broken>) -> Self {
        Self
    }
}

/// A manager, and what is kept of it during a fast run.
pub struct Bench<M> {
    make: Make<M>,
    pub manager: M,
    pub state: Snapshot,
    laws: Laws,
    pub digest: Digest,
}

impl<M: Manager> Bench<M> {
    pub fn new(side: Side, make: Make<M>) -> Self {
        let manager = make(&Config::default(), Arc::new(Recorder));
        Self {
            make,
            manager,
            state: Snapshot::default(),
            laws: Laws::new(side),
            digest: Digest::default(),
        }
    }

    /// Boots for the next program.
    pub fn reset(&mut self, config: &Config) {
        self.manager.reset(config);
        self.laws.reset();
        self.digest = Digest::default();
        Recorder::clear();
    }

    /// Replaces a manager that panicked: nobody knows what it left behind.
    pub fn renew(&mut self) {
        self.manager = (self.make)(&Config::default(), Arc::new(Recorder));
        Recorder::clear();
    }

    /// Makes a call, keeping its state, if that is looked at, and nothing else.
    pub fn fast_call(
        &mut self,
        step: &Step,
        look: bool,
        watch: &mut impl Watch,
    ) -> Result<Outcome, Objects> {
        self.laws.begin(Some(step.call.kind()));
        let outcome = self.manager.call(step.task, &step.call, step.fail);
        if look {
            self.manager.snapshot(&mut self.state);
        }
        let Self {
            state,
            laws,
            digest,
            ..
        } = self;
        Recorder::drain(|events| {
            watch.call(&Seen {
                step,
                outcome,
                events,
                state,
            });
            feed(events, laws, digest)
        })?;
        Ok(outcome)
    }

    /// Asks the laws about the state after a call.
    pub fn settle(&mut self, outcome: Outcome) -> Result<(), Objects> {
        Ok(self.laws.settle(outcome, &self.state)?)
    }

    /// Ends the run.
    pub fn quiesce(&mut self) -> Result<(), Objects> {
        self.laws.begin(None);
        self.manager.quiesce();
        self.manager.snapshot(&mut self.state);
        Recorder::drain(|events| feed(events, &mut self.laws, &mut self.digest))?;
        Ok(self.laws.quiesced(&self.state)?)
    }

    /// Runs a program and keeps everything, but of the states only these.
    pub fn observe(&mut self, program: &Program, known: Capabilities, keep: Keep) -> Observation {
        self.reset(&program.config);
        let mut seen = Observation {
            manager: self.manager.name(),
            kept: keep,
            ..Observation::default()
        };
        self.observe_calls(program, known, &mut seen);
        if seen.panicked.is_none() {
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

    fn observe_calls(&mut self, program: &Program, known: Capabilities, seen: &mut Observation) {
        let calls = program.calls.iter().copied();
        for step in calls {
            if known.knows(step.call.kind()) {
                self.observe_call(&step, seen);
            } else {
                self.skip_call(seen);
            }
            if seen.panicked.is_some() {
                return;
            }
        }
        while let Some(task) = self.somebody(seen) {
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
            let outcome = self.manager.call(step.task, &step.call, step.fail);
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

fn feed(events: &[Event], laws: &mut Laws, digest: &mut Digest) -> Result<(), Objects> {
    for event in events {
        laws.event(event)?;
        digest.event(event);
    }
    Ok(())
}

/// The step that ends a task.
pub fn exit(task: TaskId) -> Step {
    Step {
        task,
        call: Call::Exit,
        fail: Fail::NONE,
    }
}

/// Runs it; what a panic said.
pub fn caught<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|payload| message(&*payload))
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|s| (*s).to_owned());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "without a message".to_owned())
}
