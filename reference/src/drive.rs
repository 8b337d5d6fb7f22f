//! The machine with its pending calls, and driving them step by step.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use vmadiff_contract::{
    About, Call, Choice, Config, EventSink, Fail, Offer, Outcome, Refusal, Snapshot, Stepped,
    Taken, TaskId,
};

use crate::Reference;
use crate::dispatch::AtOnce;
use crate::guard::Guard;
use crate::job::{Job, Sem};
use crate::world::World;

/// The machine and its pending calls, by task.
#[derive(Clone, Hash)]
pub(crate) struct Machine {
    pub world: World,
    pub jobs: Vec<Job>,
}

impl Machine {
    /// A machine that was not booted.
    pub fn new(events: Arc<dyn EventSink>) -> Self {
        let jobs = Vec::new();
        Self {
            world: World::new(events),
            jobs,
        }
    }

    pub fn boot(&mut self, config: &Config, driven: bool) {
        self.world.boot(config);
        self.jobs.truncate(self.world.tasks.len());
        self.jobs.iter_mut().for_each(Job::clear);
        self.jobs.resize_with(self.world.tasks.len(), Job::default);
        self.world.driven = driven;
        if driven {
            self.world
                .tlbs
                .resize_with(self.world.tasks.len(), Vec::new);
            self.world.flights.resize(self.world.tasks.len(), None);
        }
    }

    /// Makes a call: takes all its steps.
    pub fn call(&mut self, t: usize, call: &Call, fail: Fail) -> Outcome {
        self.world.begin(t, fail);
        if !self.world.driven {
            return self.world.list(t, call, AtOnce);
        }
        let job = &mut self.jobs[t];
        job.begin(&mut self.world, t, call, fail);
        let outcome = job.run(&mut self.world);
        self.welcome();
        outcome
    }

    /// A fork has made a task.
    fn welcome(&mut self) {
        if self.jobs.len() < self.world.tasks.len() {
            self.jobs.resize_with(self.world.tasks.len(), Job::default);
        }
    }

    pub fn begin(&mut self, task: TaskId, call: &Call, fail: Fail) -> Result<(), Outcome> {
        let t = self.world.living(task).ok_or(Outcome::NoTask)?;
        if self.jobs[t].is_pending() {
            return Err(Outcome::Livelock);
        }
        self.jobs[t].begin(&mut self.world, t, call, fail);
        Ok(())
    }

    /// Makes the world that of task `t`'s call.
    fn enter(&mut self, t: usize) {
        let job = &self.jobs[t];
        (self.world.now, self.world.fail, self.world.made) = (t, job.fail, job.made);
        self.world.returned = job.returned.unwrap_or(Outcome::Value(0));
        let mut others = self.jobs.iter().enumerate();
        self.world.beside = others.any(|(other, job)| other != t && job.is_pending());
    }

    /// What the next step of task `t` has to wait for.
    fn waits(&self, t: usize) -> Option<Guard> {
        let (job, m) = (&self.jobs[t], self.world.tasks[t].mm);
        let needs = job.needs(&self.world);
        let excluded = needs > job.held && !self.world.can_hold(m, t, needs);
        self.world
            .wait_if(Guard::Sem, excluded)
            .or_else(|| job.waits(&self.world))
    }

    /// The ways that the next step of task `t` can go.
    fn ways(&self, t: usize) -> Vec<Choice> {
        let mut ways = vec![Choice::Go];
        self.jobs[t].ways(&self.world, &mut ways);
        ways
    }

    pub fn legal(&mut self, into: &mut Vec<Offer>) {
        for t in 0..self.jobs.len() {
            if !self.jobs[t].is_pending() {
                continue;
            }
            self.enter(t);
            let offer = self.jobs[t].offer(TaskId(t as u8 + 1));
            if self.waits(t).is_none() {
                let ways = self.ways(t).into_iter();
                into.extend(ways.map(|choice| Offer { choice, ..offer }));
            }
        }
    }

    pub fn take(&mut self, task: TaskId, choice: Choice) -> Result<Taken, Refusal> {
        let t = usize::from(task.0).wrapping_sub(1);
        if !self.jobs.get(t).is_some_and(Job::is_pending) {
            return Err(Refusal::Idle);
        }
        self.world.touched.clear();
        if let Some(outcome) = self.jobs[t].outcome {
            if choice != Choice::Go {
                return Err(Refusal::Choice);
            }
            self.jobs[t].outcome = None;
            return Ok(Taken::Returned(outcome));
        }
        self.enter(t);
        if let Some(guard) = self.waits(t) {
            return Err(Refusal::Waits(guard.name()));
        }
        let ways = self.ways(t);
        if !ways.contains(&choice) {
            return Err(Refusal::Choice);
        }
        // Which allocation fails is counted as long as no other call can have made it more.
        self.world.chosen = self.world.beside && ways.contains(&Choice::Fail);
        self.step(t, choice);
        Ok(Taken::Step)
    }

    fn step(&mut self, t: usize, choice: Choice) {
        let (m, needs) = (self.world.tasks[t].mm, self.jobs[t].needs(&self.world));
        if needs > self.jobs[t].held {
            self.hold(m, t, needs);
        }
        self.world.choice = choice;
        self.world.whose = match choice {
            Choice::Of(task) => Some(task),
            _ => None,
        };
        let job = &mut self.jobs[t];
        let outcome = if choice == Choice::Again {
            job.again(&mut self.world);
            None
        } else {
            job.step(&mut self.world)
        };
        job.outcome = outcome;
        (job.made, job.returned) = (self.world.made, Some(self.world.returned));
        if choice == Choice::Fail {
            job.fail = Fail::NONE;
        }
        (self.world.choice, self.world.chosen) = (Choice::Go, false);
        let needs = self.jobs[t].needs(&self.world);
        if needs < self.jobs[t].held {
            self.hold(m, t, needs);
        }
        self.welcome();
    }

    fn hold(&mut self, m: usize, t: usize, sem: Sem) {
        self.world.hold(m, t, sem);
        self.jobs[t].held = sem;
    }
}

impl Stepped for Reference {
    fn drive(&mut self, config: &Config) {
        self.machine.get_mut().boot(config, true);
    }

    fn begin(&mut self, task: TaskId, call: &Call, fail: Fail) -> Result<(), Outcome> {
        self.machine.get_mut().begin(task, call, fail)
    }

    fn legal(&self, into: &mut Vec<Offer>) {
        self.machine.write().legal(into);
    }

    fn take(&mut self, task: TaskId, choice: Choice) -> Result<Taken, Refusal> {
        self.machine.get_mut().take(task, choice)
    }

    fn footprint(&self, into: &mut Vec<About>) {
        into.extend_from_slice(&self.machine.read().world.touched);
    }

    fn observe(&self, about: About, into: &mut Snapshot) {
        self.machine.read().world.observe(about, into);
    }

    fn see(&self, into: &mut Snapshot) {
        self.machine.read().world.snapshot(into);
    }

    fn fork(&self) -> Box<dyn Stepped> {
        let machine = self.machine.read().clone().into();
        Box::new(Self { machine })
    }

    fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.machine.read().hash(&mut hasher);
        hasher.finish()
    }
}
