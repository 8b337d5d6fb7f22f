//! The machine: all that its tasks share, and the contract's face of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use vmadiff_contract::{
    Call, CallKind, Capabilities, Config, DesignInfo, Event, EventSink, Fail, Manager, Misuse,
    Moves, Note, Outcome, Parts, Snapshot, TaskId,
};
use vmadiff_interleave::{Cell, Irqs, Rcu, Site};

use crate::area::anon_vma::{AnonVma, AnonVmaChain};
use crate::area::vma::Vma;
use crate::core::current::Current;
use crate::core::file::File;
use crate::core::mm::Mm;
use crate::core::moves::moves;
use crate::core::policy::Policy;
use crate::core::slab::{Beside, Handle, Ref, Slab};
use crate::core::task::{TASKS, Task};
use crate::defects::{Defect, Defects};
use crate::design::Design;
use crate::page::dropped::DroppedPage;
use crate::page::frame::{Frame, SwapSlot};
use crate::page::table::Table;
use crate::sites as site;

/// A manager of a design.
pub struct Machine<D: Design> {
    config: Config,
    /// Its design's, or of the design's form.
    name: &'static str,
    defects: Defects,
    /// Those of them that were asked for: a form that is as posted has others, too.
    planted: Defects,
    /// A call has come to where one that was asked for stands.
    reached: AtomicBool,
    events: Arc<dyn EventSink>,
    /// Whether marks are listened to.
    listens: bool,
    tasks: [Task; TASKS],
    /// Tasks that there ever were, and a lock for the next fork.
    pub last_task: Cell<u64>,
    /// Address spaces.
    pub mms: Slab<Mm>,
    /// Areas.
    pub vmas: Slab<Vma>,
    /// anon_vmas.
    pub anons: Slab<AnonVma>,
    /// Links between areas and anon_vmas.
    pub avcs: Slab<AnonVmaChain>,
    /// Frames of private memory.
    pub frames: Slab<Frame>,
    /// Slots of the swap device.
    pub swap: Slab<SwapSlot>,
    /// Page tables.
    pub tables: Slab<Table>,
    /// Files.
    pub files: Slab<File>,
    /// Pages that files have dropped and TLBs still reach.
    pub dropped: Slab<DroppedPage>,
    /// Policies.
    pub policies: Slab<Policy>,
    /// What the design keeps beside areas and address spaces, by their slots.
    areas: Beside<D::Area>,
    spaces: Beside<D::Space>,
    /// Committed pages (`vm_committed_as`).
    pub committed: Cell<u64>,
    /// Read sections, and what waits for them.
    pub rcu: Rcu<Deferred>,
    /// Who has interrupts off.
    pub irqs: Irqs,
}

/// What waits for a grace period.
#[derive(Clone, Copy, Debug)]
pub enum Deferred {
    /// What the design has to do with an area.
    Vma(Handle<Vma>),
    /// The memory of a policy.
    FreePolicy(Handle<Policy>),
}

impl<D: Design> Machine<D> {
    /// Boots as [`Manager::boot`] does, with the defects of these names. Called in a design's own
    /// crate, so that the machine is compiled for it there.
    ///
    /// # Panics
    /// If the design declares no defect of such a name.
    pub fn boxed(
        config: &Config,
        events: Arc<dyn EventSink>,
        defects: &[&str],
    ) -> Box<dyn Manager> {
        Self::boxed_as(D::INFO, config, events, defects)
    }

    /// The same, of a form of the design: one that is as posted has the defects, too, that undo its
    /// deviations.
    ///
    /// # Panics
    /// As [`Machine::boxed`].
    pub fn boxed_as(
        info: &'static DesignInfo,
        config: &Config,
        events: Arc<dyn EventSink>,
        defects: &[&str],
    ) -> Box<dyn Manager> {
        Box::new(Self::of(info, config, events, defects))
    }

    /// The same, not boxed.
    ///
    /// # Panics
    /// As [`Machine::boxed`].
    pub fn new(config: &Config, events: Arc<dyn EventSink>, defects: &[&str]) -> Self {
        Self::of(D::INFO, config, events, defects)
    }

    fn of(
        info: &'static DesignInfo,
        config: &Config,
        events: Arc<dyn EventSink>,
        defects: &[&str],
    ) -> Self {
        let slab = || Arc::clone(&events);
        let mut all: Vec<&str> = info.posted().collect();
        all.extend(defects);
        let mut machine = Self {
            config: config.clone(),
            name: info.name,
            defects: Defects::of(info, &all),
            planted: Defects::of(info, defects),
            reached: AtomicBool::new(false),
            tasks: Default::default(),
            last_task: Cell::new(0),
            mms: Slab::new(8, slab()),
            vmas: Slab::new(64, slab()),
            anons: Slab::new(32, slab()),
            avcs: Slab::new(64, slab()),
            frames: Slab::new(64, slab()),
            swap: Slab::new(16, slab()),
            tables: Slab::new(32, slab()),
            files: Slab::new(16, slab()),
            dropped: Slab::new(4, slab()),
            policies: Slab::new(16, slab()),
            areas: Beside::new(64),
            spaces: Beside::new(4),
            committed: Cell::new(0),
            rcu: Rcu::new(),
            irqs: Irqs::new(),
            listens: false,
            events,
        };
        machine.reset(config);
        machine
    }

    /// Whether the machine has this defect; asked where it stands.
    #[inline]
    pub fn has_defect(&self, defect: Defect) -> bool {
        let has = self.defects.has(defect);
        if has {
            self.comes_to(self.planted.has(defect));
        }
        has
    }

    /// Whether the design has its defect of this number; asked where it stands.
    #[inline]
    pub fn has_own(&self, defect: u8) -> bool {
        let has = self.defects.has_own(defect);
        if has {
            self.comes_to(self.planted.has_own(defect));
        }
        has
    }

    /// Takes note that a call has come to a defect, if that was planted.
    fn comes_to(&self, planted: bool) {
        if planted {
            self.reached.store(true, Ordering::Relaxed);
        }
    }

    /// What it was booted with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// All tasks that there can be, live or not; the kernel's own is the first.
    pub fn tasks(&self) -> &[Task; TASKS] {
        &self.tasks
    }

    /// Whether marks are listened to.
    #[inline]
    pub fn listens(&self) -> bool {
        self.listens
    }

    /// Where events and marks go.
    pub fn sink(&self) -> &dyn EventSink {
        &*self.events
    }

    /// Sends an event.
    #[inline]
    pub fn raise(&self, event: Event) {
        self.events.event(event);
    }

    /// Tells of a protocol that was broken.
    #[cold]
    pub fn misuse(&self, misuse: Misuse) {
        self.raise(Event::Misuse(misuse));
    }

    /// Tells of something worth counting.
    #[inline]
    pub fn note(&self, note: Note) {
        self.raise(Event::Note(note));
    }

    /// A new, empty address space (`mm_alloc`).
    pub fn mm_alloc(&self) -> Handle<Mm> {
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

    /// Empties the page tables that the last program used. A table is emptied when it is used again, too, and
    /// in as many steps as there are entries: engines that guide by coverage would take those that an
    /// earlier program left for a doing of this one.
    fn empty_tables(&self) {
        for table in self.tables.used() {
            table.object().entries.clear();
        }
        for mm in self.mms.used() {
            mm.object().pgd.clear();
        }
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
        Self::boxed(config, events, &[])
    }

    fn reset(&mut self, config: &Config) {
        self.config.clone_from(config);
        self.listens = self.events.listens();
        *self.reached.get_mut() = false;
        self.empty_tables();
        let reuse = config.reuse_slots;
        self.mms.reset(reuse);
        self.vmas.reset(reuse);
        self.anons.reset(reuse);
        self.avcs.reset(reuse);
        self.frames.reset(reuse);
        self.swap.reset(reuse);
        self.tables.reset(reuse);
        self.files.reset(reuse);
        self.dropped.reset(reuse);
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
        self.name
    }

    fn supports(&self) -> Capabilities {
        Capabilities::of(CallKind::ALL)
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

    fn moves(&self) -> Option<Moves> {
        Some(moves())
    }

    fn look_again(&self, parts: Parts, into: &mut Snapshot) {
        self.fill_parts(parts, into);
    }

    fn quiesce(&self) {
        self.run_softirq();
    }

    fn has_reached_defect(&self) -> bool {
        self.reached.load(Ordering::Relaxed)
    }
}
