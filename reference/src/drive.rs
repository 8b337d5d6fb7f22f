//! The machine with its pending calls, and driving them step by step.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use vmadiff_contract::{
    About, Call, Choice, Config, EventSink, Fail, MmId, Offer, Outcome, PageState, Refusal,
    Snapshot, StepKind, Stepped, Taken, TaskId,
};

use crate::Reference;
use crate::dispatch::AtOnce;
use crate::guard::Guard;
use crate::job::{Job, Sem};
use crate::kept::Kept;
use crate::world::World;

/// The machine and its pending calls, by task.
#[derive(Clone)]
pub(crate) struct Machine {
    pub world: World,
    pub jobs: Vec<Job>,
    /// Room for the ways that a step can go.
    choices: Kept<Choice>,
}

impl Hash for Machine {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.world, &self.jobs).hash(state);
    }
}

impl Machine {
    /// A machine that was not booted.
    pub fn new(events: Arc<dyn EventSink>) -> Self {
        Self {
            world: World::new(events),
            jobs: Vec::new(),
            choices: Kept::default(),
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
            self.world.flushed.resize(self.world.tasks.len(), 0);
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
        // From now on which allocation of theirs fails is chosen, not counted.
        let pending = self.jobs.iter_mut().filter(|job| job.is_pending());
        if pending.count() > 1 {
            self.jobs.iter_mut().for_each(|job| job.uncounted = true);
        }
        Ok(())
    }

    /// Makes the world that of task `t`'s call.
    fn enter(&mut self, t: usize) {
        let job = &self.jobs[t];
        (self.world.now, self.world.fail, self.world.made) = (t, job.fail, job.made);
        self.world.returned = job.returned.unwrap_or(Outcome::Value(0));
        self.world.beside = job.uncounted;
    }

    /// What the next step of task `t`, which `needs` mmap_sem so, has to wait for.
    fn waits(&self, t: usize, needs: Sem) -> Option<Guard> {
        let (job, m) = (&self.jobs[t], self.world.tasks[t].mm);
        let excluded = needs > job.held && !self.world.can_hold(m, t, needs);
        self.world
            .wait_if(Guard::Sem, excluded)
            .or_else(|| job.waits(&self.world))
    }

    /// Adds the ways that the next step of task `t` can go.
    fn ways(&self, t: usize, into: &mut Vec<Choice>) {
        into.push(Choice::Go);
        self.jobs[t].ways(&self.world, into);
    }

    /// The place of a task that has a call pending.
    fn pending(&self, task: TaskId) -> Option<usize> {
        let t = usize::from(task.0).wrapping_sub(1);
        let job = self.jobs.get(t);
        job.is_some_and(Job::is_pending).then_some(t)
    }

    fn next(&self, task: TaskId) -> Option<Offer> {
        self.pending(task).map(|t| self.jobs[t].offer(task))
    }

    fn ways_of(&mut self, task: TaskId, into: &mut Vec<Choice>) {
        if let Some(t) = self.pending(task) {
            self.enter(t);
            self.ways(t, into);
        }
    }

    pub fn legal(&mut self, into: &mut Vec<Offer>) {
        for t in 0..self.jobs.len() {
            if !self.jobs[t].is_pending() {
                continue;
            }
            self.enter(t);
            let offer = self.jobs[t].offer(TaskId(t as u8 + 1));
            if self.waits(t, self.jobs[t].needs(&self.world)).is_none() {
                let mut ways = Vec::new();
                self.ways(t, &mut ways);
                into.extend(ways.into_iter().map(|choice| Offer { choice, ..offer }));
            }
        }
    }

    pub fn take(&mut self, task: TaskId, choice: Choice) -> Result<Taken, Refusal> {
        self.take_upto(task, choice, u64::MAX)
    }

    fn take_upto(&mut self, task: TaskId, choice: Choice, upto: u64) -> Result<Taken, Refusal> {
        let t = self.pending(task).ok_or(Refusal::Idle)?;
        self.world.touched.clear();
        (self.world.refused, self.world.left_alone, self.world.upto) = (false, false, upto);
        let taken = self.take_next(t, choice);
        self.world.upto = u64::MAX;
        taken
    }

    fn take_next(&mut self, t: usize, choice: Choice) -> Result<Taken, Refusal> {
        let taken = self.try_take(t, choice);
        if let Ok(Taken::Returned(_)) = taken {
            self.world.letting_go.retain(|&(of, _)| of != t);
        }
        taken
    }

    fn try_take(&mut self, t: usize, choice: Choice) -> Result<Taken, Refusal> {
        if self.jobs[t].overcharged > 0 {
            if choice != Choice::Go {
                return Err(Refusal::Choice);
            }
            self.jobs[t].give_back(&mut self.world);
            let needs = self.jobs[t].needs(&self.world);
            if needs < self.jobs[t].held {
                self.hold(self.world.tasks[t].mm, t, needs);
            }
            return Ok(Taken::Step);
        }
        if let Some(outcome) = self.jobs[t].outcome {
            if choice != Choice::Go {
                return Err(Refusal::Choice);
            }
            self.jobs[t].outcome = None;
            return Ok(Taken::Returned(outcome));
        }
        self.enter(t);
        let needs = self.jobs[t].needs(&self.world);
        // To begin again nobody is waited for.
        if let Some(guard) = self.waits(t, needs).filter(|_| choice != Choice::Again) {
            return Err(Refusal::Waits(guard.name()));
        }
        // Every step can go on; only a call that was begun with an allocation that fails can choose that.
        let chosen = self.jobs[t].uncounted && self.jobs[t].fail != Fail::NONE;
        if choice != Choice::Go || chosen {
            let mut ways = std::mem::take(&mut self.choices);
            ways.clear();
            self.ways(t, &mut ways);
            let (known, may_fail) = (ways.contains(&choice), ways.contains(&Choice::Fail));
            self.choices = ways;
            if !known {
                return Err(Refusal::Choice);
            }
            self.world.chosen = chosen && may_fail;
        }
        self.step(t, choice, needs);
        Ok(Taken::Step)
    }

    fn step(&mut self, t: usize, choice: Choice, needs: Sem) {
        let m = self.world.tasks[t].mm;
        if needs > self.jobs[t].held {
            self.hold(m, t, needs);
        }
        let before = self.world.letting_go.len();
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
        self.world.has_seen(t);
        self.world.has_let_go(t, before);
        job.outcome = outcome;
        job.uncounted |= std::mem::take(&mut self.world.restarted);
        job.overcharged = std::mem::take(&mut self.world.overcharged);
        (job.made, job.returned) = (self.world.made, Some(self.world.returned));
        if choice == Choice::Fail && self.world.refused {
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

    fn next(&mut self, task: TaskId) -> Option<Offer> {
        self.machine.get_mut().next(task)
    }

    fn takes_hold(&mut self, task: TaskId) -> bool {
        let machine = self.machine.get_mut();
        machine.pending(task).is_some_and(|t| {
            let job = &machine.jobs[t];
            job.needs(&machine.world) > job.held
        })
    }

    fn ways(&mut self, task: TaskId, into: &mut Vec<Choice>) {
        self.machine.get_mut().ways_of(task, into);
    }

    fn take_upto(&mut self, task: TaskId, choice: Choice, upto: u64) -> Result<Taken, Refusal> {
        self.machine.get_mut().take_upto(task, choice, upto)
    }

    fn refused(&mut self) -> bool {
        self.machine.get_mut().world.refused
    }

    fn left_alone(&mut self) -> bool {
        self.machine.get_mut().world.left_alone
    }

    fn footprint(&mut self, into: &mut Vec<About>) {
        into.extend_from_slice(&self.machine.get_mut().world.touched);
    }

    fn entry(&mut self, mm: MmId, addr: u64) -> Option<PageState> {
        self.machine.get_mut().world.entry(mm, addr)
    }

    fn held(&mut self, task: TaskId, addr: u64) -> Option<PageState> {
        self.machine.get_mut().world.held(task, addr)
    }

    fn holds_any(&mut self, task: TaskId) -> bool {
        self.machine.get_mut().world.holds_any(task)
    }

    fn stale(&mut self, task: TaskId, start: u64, end: u64) -> usize {
        self.machine.get_mut().world.stale_in(task, start, end)
    }

    fn forget(&mut self, by: TaskId, task: TaskId, start: u64, end: u64) {
        let is_flushing = self
            .next(by)
            .is_some_and(|next| next.kind == StepKind::Flush);
        let world = &mut self.machine.get_mut().world;
        world.forget(task, start, end);
        if is_flushing {
            world.has_reached(by, task);
        }
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
