//! The machine: all that its tasks share, and the contract's face of it.

use std::sync::Arc;

use vmadiff_contract::{
    Call, CallKind, Capabilities, Config, Event, EventSink, Fail, Manager, Misuse, Note, Outcome,
    Snapshot, TaskId,
};
use vmadiff_interleave::{Cell, Irqs, Rcu, Site};

use crate::anon::{AnonVma, AnonVmaChain};
use crate::current::Current;
use crate::defects::{Defect, Defects};
use crate::design::Design;
use crate::file::File;
use crate::frame::{Frame, SwapSlot};
use crate::mm::Mm;
use crate::policy::Policy;
use crate::sites as site;
use crate::slab::{Beside, Handle, Ref, Slab};
use crate::table::Table;
use crate::task::{TASKS, Task};
use crate::vma::Vma;

/// A manager of a design.
pub struct Machine<D: Design> {
    config: Config,
    defects: Defects,
    events: Arc<dyn EventSink>,
    tasks: [Task; TASKS],
    /// Tasks that there ever were, and a lock for the next fork.
    pub(crate) last_task: Cell<u64>,
    pub(crate) mms: Slab<Mm>,
    pub(crate) vmas: Slab<Vma>,
    pub(crate) anons: Slab<AnonVma>,
    pub(crate) avcs: Slab<AnonVmaChain>,
    pub(crate) frames: Slab<Frame>,
    pub(crate) swap: Slab<SwapSlot>,
    pub(crate) tables: Slab<Table>,
    pub(crate) files: Slab<File>,
    pub(crate) policies: Slab<Policy>,
    /// What the design keeps beside areas and address spaces, by their slots.
    areas: Beside<D::Area>,
    spaces: Beside<D::Space>,
    /// Committed pages (`vm_committed_as`).
    pub(crate) committed: Cell<u64>,
    pub(crate) rcu: Rcu<Deferred>,
    pub(crate) irqs: Irqs,
}

/// What waits for a grace period.
#[derive(Clone, Copy, Debug)]
pub enum Deferred {
    /// What the design has to do with an area.
    Vma(Handle<Vma>),
    /// The memory of a policy.
    FreePolicy(Handle<Policy>),
}

/// The calls that the candidate knows: all.
const SUPPORTED: Capabilities = Capabilities::of(CallKind::ALL);

impl<D: Design> Machine<D> {
    /// Boots as [`Manager::boot`] does, with these defects.
    pub fn with_defects(config: &Config, events: Arc<dyn EventSink>, defects: Defects) -> Self {
        let slab = || Arc::clone(&events);
        let mut machine = Self {
            config: config.clone(),
            defects,
            tasks: Default::default(),
            last_task: Cell::new(0),
            mms: Slab::new(4, slab()),
            vmas: Slab::new(64, slab()),
            anons: Slab::new(32, slab()),
            avcs: Slab::new(64, slab()),
            frames: Slab::new(64, slab()),
            swap: Slab::new(16, slab()),
            tables: Slab::new(32, slab()),
            files: Slab::new(16, slab()),
            policies: Slab::new(16, slab()),
            areas: Beside::new(64),
            spaces: Beside::new(4),
            committed: Cell::new(0),
            rcu: Rcu::new(),
            irqs: Irqs::new(),
            events,
        };
        machine.reset(config);
        machine
    }

    /// Has these defects from now on.
    pub fn set_defects(&mut self, defects: Defects) {
        self.defects = defects;
    }

    #[inline]
    pub(crate) fn has_defect(&self, defect: Defect) -> bool {
        self.defects.has(defect)
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn tasks(&self) -> &[Task; TASKS] {
        &self.tasks
    }

    #[inline]
    pub(crate) fn raise(&self, event: Event) {
        self.events.event(event);
    }

    #[cold]
    pub(crate) fn misuse(&self, misuse: Misuse) {
        self.raise(Event::Misuse(misuse));
    }

    #[inline]
    pub(crate) fn note(&self, note: Note) {
        self.raise(Event::Note(note));
    }

    /// A new, empty address space (`mm_alloc`).
    pub(crate) fn mm_alloc(&self) -> Handle<Mm> {
        let mm = self.mms.alloc();
        mm.object().init(mm.handle(), &self.config);
        D::space_init(self.space(mm.object()));
        mm.handle()
    }

    /// What the design keeps beside an area, dead or alive: its slot's.
    #[inline]
    pub fn area(&self, vma: Ref<'_, Vma>) -> &D::Area {
        self.areas.of(vma.handle())
    }

    /// What the design keeps beside an address space.
    #[inline]
    pub fn space(&self, mm: &Mm) -> &D::Space {
        self.spaces.of(mm.name())
    }

    /// Has [`Design::grace`] called for an area after a grace period.
    pub fn call_rcu(&self, site: Site, vma: Ref<'_, Vma>) {
        self.rcu.call(site, Deferred::Vma(vma.handle()));
    }

    /// Frees a policy after a grace period.
    pub fn call_rcu_policy(&self, site: Site, policy: Handle<Policy>) {
        self.rcu.call(site, Deferred::FreePolicy(policy));
    }

    /// Runs what grace periods have made ready (`rcu_do_batch`).
    fn run_softirq(&self) {
        while let Some(deferred) = self.rcu.pop_ready(site::SOFTIRQ__POP) {
            match deferred {
                Deferred::Vma(vma) => D::grace(self, self.vma(vma)),
                Deferred::FreePolicy(policy) => self.free_policy(policy),
            }
        }
    }
}

impl<D: Design> Manager for Machine<D> {
    fn boot(config: &Config, events: Arc<dyn EventSink>) -> Box<dyn Manager> {
        Box::new(Self::with_defects(config, events, Defects::NONE))
    }

    fn reset(&mut self, config: &Config) {
        self.config.clone_from(config);
        let reuse = config.reuse_slots;
        self.mms.reset(reuse);
        self.vmas.reset(reuse);
        self.anons.reset(reuse);
        self.avcs.reset(reuse);
        self.frames.reset(reuse);
        self.swap.reset(reuse);
        self.tables.reset(reuse);
        self.files.reset(reuse);
        self.policies.reset(reuse);
        self.committed.init(0);
        self.rcu.clear();
        for task in &self.tasks {
            task.live.init(false);
        }
        let mm = self.mm_alloc();
        let tasks = config.tasks.clamp(1, TASKS as u8 - 1);
        for task in &self.tasks[1..=usize::from(tasks)] {
            task.init(mm);
        }
        self.mm(mm).mm_users.init(tasks.into());
        self.last_task.init(tasks.into());
    }

    fn name(&self) -> &'static str {
        "speculative"
    }

    fn supports(&self) -> Capabilities {
        SUPPORTED
    }

    fn call(&self, task: TaskId, call: &Call, fail: Fail) -> Outcome {
        let kernel = task.0 == 0 && *call == Call::Softirq;
        match self.tasks.get(usize::from(task.0)) {
            Some(current) if kernel || current.live.peek() => {
                if *call == Call::Softirq {
                    self.run_softirq();
                    return Outcome::Value(0);
                }
                Current::new(self, current, fail.0).call(call)
            }
            _ => Outcome::NoTask,
        }
    }

    fn snapshot(&self, into: &mut Snapshot) {
        self.fill_snapshot(into);
    }

    fn quiesce(&self) {
        self.run_softirq();
    }
}
