//! One manager in the simulation: booted, its tasks interleaved by a schedule, observed in full.

use std::cell::{Cell, RefCell};
use std::mem;
use std::sync::Arc;

use vmadiff_contract::{
    Call, CallKind, Capabilities, Config, Fail, Manager, Outcome, Snapshot, TaskId,
};
use vmadiff_interleave::policy::{Policy, Preemptions};
use vmadiff_interleave::sim::{self, Plan, Planned, Sim, TASKS, Trace, What};

use super::chooser::Chooser;
use super::instance::{Make, caught, exit, throw_away};
use super::{Exited, Observed, Panic, Shot, Tagger, Woven};
use crate::program::{self as schedule, Program};

/// Weaves one program after another. What it fills is used again, so a warm run allocates nothing.
pub struct Weaver {
    make: Make<dyn Manager>,
    tagger: Tagger,
    manager: Box<dyn Manager>,
    sim: Sim,
    /// Away while it chooses.
    chooser: Option<Box<Chooser>>,
    plan: Vec<Planned>,
    woven: Woven,
    /// The last run came to where a planted defect stands.
    reached: bool,
    /// A manager is being thrown away between two runs of one program.
    closing: bool,
    spare: Vec<Exited>,
    /// The trace has what words held, too: for whoever tells people of a run.
    pub values: bool,
}

impl Weaver {
    /// A manager that is made so: once now, and again should a run not finish.
    pub fn new(make: Make<dyn Manager>) -> Self {
        Self::with(make, Tagger::default())
    }

    /// The same, and [`Woven::marks`] has what it tells of its steps.
    pub fn following(make: Make<dyn Manager>) -> Self {
        Self::with(make, Tagger { listens: true })
    }

    fn with(make: Make<dyn Manager>, tagger: Tagger) -> Self {
        let manager = make(&Config::default(), Arc::new(tagger));
        Self {
            make,
            tagger,
            manager,
            sim: Sim::new(),
            chooser: None,
            plan: Vec::new(),
            woven: Woven::default(),
            reached: false,
            closing: false,
            spare: Vec::new(),
            values: false,
        }
    }

    /// The calls that the manager knows.
    pub fn supports(&self) -> Capabilities {
        self.manager.supports()
    }

    /// Whether the last run came to where a defect that is planted in the manager stands.
    pub fn has_reached_defect(&self) -> bool {
        self.reached
    }

    /// What was observed of the last run.
    pub fn woven(&self) -> &Woven {
        &self.woven
    }

    /// Runs a program by its own schedule. Calls that are not `known` answer `Unsupported`.
    /// `pairs` count which write met which read; see [`Plan`].
    pub fn weave(
        &mut self,
        program: &Program,
        known: Capabilities,
        pairs: Option<&[Cell<u8>]>,
    ) -> &Woven {
        let mut chooser = self.set(program, known);
        self.run(program, known, pairs, &mut *chooser, None);
        self.woven.missed.extend(chooser.missed());
        self.chooser = Some(chooser);
        &self.woven
    }

    /// As [`Weaver::weave`], and what the run left is not looked at: its steps alone are wanted.
    pub fn trace(&mut self, program: &Program, known: Capabilities) -> &Trace {
        let mut chooser = self.set(program, known);
        self.steps(program, known, &mut *chooser);
        self.chooser = Some(chooser);
        &self.woven.trace
    }

    /// As [`Weaver::weave`], and looks at the state at each mark and at the end of each call.
    pub fn film(&mut self, program: &Program, known: Capabilities) -> Vec<Shot> {
        let mut chooser = self.set(program, known);
        let film = RefCell::default();
        self.run(program, known, None, &mut *chooser, Some(&film));
        self.chooser = Some(chooser);
        film.into_inner()
    }

    /// Runs a program's calls by another policy than its own: the first `ground` of them one after
    /// another, and then all others.
    pub fn weave_by(
        &mut self,
        program: &Program,
        known: Capabilities,
        ground: usize,
        policy: &mut dyn Policy,
    ) -> &Woven {
        self.plan_from(program, ground);
        self.run(program, known, None, policy, None);
        &self.woven
    }

    /// The policy of a program's schedule, and the plan of its calls. One that weighs accesses by how many
    /// there will be is told those of the run in which no call meets another.
    fn set(&mut self, program: &Program, known: Capabilities) -> Box<Chooser> {
        let mut chooser = self.chooser.take().unwrap_or_default();
        self.plan_from(program, 0);
        if program.schedule.policy == schedule::Policy::Surw {
            let mut list = Preemptions::default();
            self.steps(program, known, &mut list);
            chooser.measure(self.woven.trace.steps());
        }
        chooser.set(&program.schedule);
        chooser
    }

    /// Runs for the steps alone, and is over with the program: what it left is not the next run's to throw away.
    fn steps(&mut self, program: &Program, known: Capabilities, policy: &mut dyn Policy) {
        self.calls(program, known, None, policy, None);
        self.settle();
        self.closing = true;
        self.close();
        self.closing = false;
    }

    fn run(
        &mut self,
        program: &Program,
        known: Capabilities,
        pairs: Option<&[Cell<u8>]>,
        policy: &mut dyn Policy,
        film: Option<&RefCell<Vec<Shot>>>,
    ) {
        self.calls(program, known, pairs, policy, film);
        Tagger::take(&mut self.woven.events);
        Tagger::take_marks(&mut self.woven.marks);
        if self.woven.finished() {
            self.end(known);
        }
        self.settle();
    }

    /// Boots, and makes the calls.
    fn calls(
        &mut self,
        program: &Program,
        known: Capabilities,
        pairs: Option<&[Cell<u8>]>,
        policy: &mut dyn Policy,
        film: Option<&RefCell<Vec<Shot>>>,
    ) {
        self.manager.reset(&program.config);
        Tagger::clear();
        self.woven.clear(program.calls.len(), &mut self.spare);
        self.woven.manager = self.manager.name();
        self.simulate(program, known, pairs, policy, film);
        self.sim.swap_trace(&mut self.woven.trace);
    }

    /// The run is over: the manager is there for the next one.
    fn settle(&mut self) {
        self.reached = self.manager.has_reached_defect();
        if !self.woven.finished() {
            // Nobody knows what was left behind.
            self.renew();
        }
    }

    /// Whether a panic that unwound a run came as a manager was thrown away; otherwise it came as one booted.
    pub fn was_closing(&self) -> bool {
        self.closing
    }

    /// Makes another manager in the place of one that ended badly.
    pub fn renew(&mut self) {
        self.closing = false;
        let fresh = (self.make)(&Config::default(), Arc::new(self.tagger));
        throw_away(mem::replace(&mut self.manager, fresh));
    }

    /// The program is over: see [`Manager::close`].
    pub fn close(&mut self) {
        self.manager.close();
    }

    /// Plans the program's calls. One of the kernel itself, or of a task that there cannot be, is
    /// made by the thread that makes the call before it. Each of the ground's is waited for, as one
    /// that makes tasks is.
    fn plan_from(&mut self, program: &Program, ground: usize) {
        self.plan.clear();
        let mut host = 1;
        for (index, step) in program.calls.iter().enumerate() {
            if (1..=TASKS).contains(&usize::from(step.task.0)) {
                host = step.task.0;
            }
            self.plan.push(Planned {
                task: host,
                forks: step.call == Call::Fork || index < ground,
                after_forks: host > program.config.tasks || ground > 0,
            });
        }
    }

    /// Lets all calls run until each has returned or nothing can move.
    fn simulate(
        &mut self,
        program: &Program,
        known: Capabilities,
        pairs: Option<&[Cell<u8>]>,
        policy: &mut dyn Policy,
        film: Option<&RefCell<Vec<Shot>>>,
    ) {
        let Self {
            manager,
            sim,
            plan,
            woven,
            values,
            ..
        } = self;
        let outcomes = Cell::from_mut(&mut woven.outcomes[..]).as_slice_of_cells();
        let panicked_in = Cell::new(None);
        let look = |back: usize| {
            if let (Some(film), Some(now)) = (film, sim::now()) {
                let mut state = Snapshot::default();
                manager.snapshot(&mut state);
                let step = (now.step - back) as u32;
                film.borrow_mut().push(Shot { step, state });
            }
        };
        let marked = || look(1);
        let body = |_: u8, call: u32| {
            let call = call as usize;
            let watch = Unwinding(&panicked_in, call);
            let step = &program.calls[call];
            let outcome = if known.makes(&step.call) {
                manager.call(step.task, &step.call, step.fail)
            } else {
                Outcome::Unsupported
            };
            outcomes[call].set(Some(outcome));
            look(0);
            drop(watch);
        };
        let softirq = || {
            manager.call(TaskId(0), &Call::Softirq, Fail::NONE);
        };
        let plan = Plan {
            softirq: Some(&softirq),
            pairs,
            marked: film.is_some().then_some(&marked),
            values: *values,
            ..Plan::new(plan, &body)
        };
        let ran = caught(|| {
            sim.run(&plan, policy);
        });
        woven.panicked = ran.err().map(|message| Panic {
            at: panicked_in.get(),
            message,
        });
    }

    /// Looks at the state, ends each task that is left, and lets what waits run to its end.
    fn end(&mut self, known: Capabilities) {
        // A manager that panics as it is looked at is told of the call that returned last.
        let looking = Cell::new(self.last_returned());
        let ended = caught(|| {
            self.manager.snapshot(&mut self.woven.state);
            looking.set(None);
            if known.knows(CallKind::Exit) {
                self.exits();
            }
            self.manager.quiesce();
            self.manager.snapshot(&mut self.woven.last);
        });
        Tagger::take_plain(&mut self.woven.deferred);
        if let Err(message) = ended {
            let at = looking.get();
            self.woven.panicked = Some(Panic { at, message });
        }
    }

    fn last_returned(&self) -> Option<usize> {
        let steps = self.woven.trace.steps().iter().rev();
        let mut ends = steps.filter_map(|step| match step.what {
            What::End(call) => Some(call as usize),
            _ => None,
        });
        ends.next()
    }

    fn exits(&mut self) {
        let mut left = self.woven.state.tasks.last().map(|task| task.task);
        while let Some(task) = left {
            let mut exited = self.spare.pop().unwrap_or_else(fresh_exit);
            exited.task = task;
            let step = exit(task);
            let Observed {
                outcome,
                events,
                state,
            } = &mut exited.seen;
            *outcome = self.manager.call(task, &step.call, step.fail);
            events.clear();
            Tagger::take_plain(events);
            self.manager.snapshot(state);
            // A manager that cannot end a task would keep us here for ever.
            let went = *outcome == Outcome::Value(0);
            left = state.tasks.last().map(|task| task.task).filter(|_| went);
            self.woven.exits.push(exited);
        }
    }
}

/// Notes the first call that a panic unwinds.
struct Unwinding<'a>(&'a Cell<Option<usize>>, usize);

impl Drop for Unwinding<'_> {
    fn drop(&mut self) {
        let Self(first, call) = self;
        if std::thread::panicking() && first.get().is_none() {
            first.set(Some(*call));
        }
    }
}

fn fresh_exit() -> Exited {
    Exited {
        task: TaskId(0),
        seen: Observed {
            outcome: Outcome::Value(0),
            events: Vec::new(),
            state: Snapshot::default(),
        },
    }
}
