//! The books of a run: who holds what, who waits for what, and what each access does to that.

use super::objects::{Counter, NOBODY, Objects};
use super::trace::{Left, Leftover, Step, Trace, What};
use super::{BEGIN, END, Plan, SOFTIRQ, TASKS};
use crate::policy::Pending;
use crate::{Kind, Site};

/// A logical thread.
#[derive(Clone, Debug)]
pub(super) struct Task {
    /// What it is about to do.
    pub(super) pending: Pending,
    /// The version of the pending access's object when it arrived there.
    seen: u32,
    /// Locks that it holds.
    held: u32,
    /// How deep it is in read-side sections, and when the outermost began.
    reading: u32,
    reading_since: u64,
    /// The same for sections with interrupts off.
    irqs_off: u32,
    irqs_off_since: u64,
    /// The tasks whose answer its interrupt still lacks, a bit each.
    unanswered: u32,
}

/// All books, kept between runs for their memory.
pub(super) struct Books {
    pub(super) tasks: [Task; TASKS + 1],
    /// Tasks that have calls left, a bit each.
    pub(super) unfinished: u32,
    /// The pseudo-thread runs callbacks.
    pub(super) softirq: bool,
    /// Who runs.
    pub(super) current: u8,
    /// Who runs once the current one has suspended itself; none: the run is over.
    pub(super) next: Option<u8>,
    /// What a policy is shown, of the tasks of `listed`.
    pub(super) choices: Vec<Pending>,
    pub(super) listed: u32,
    /// Tasks that have arrived somewhere else since they were listed, a bit each.
    pub(super) moved: u32,
    /// A call returned since the last scheduling point.
    pub(super) returned: bool,
    /// Threads are being unwound, or told to finish: accesses are no scheduling points any more.
    pub(super) stopped: bool,
    /// The last try at a lock took it.
    pub(super) took: bool,
    pub(super) objects: Objects,
    pub(super) trace: Trace,
    /// Calls that have returned.
    pub(super) ended: Vec<bool>,
    /// Tasks that are in a section that grace periods wait for, a bit each.
    sections: u32,
    /// The moments at which the callbacks that wait were queued; rising.
    callbacks: Vec<u64>,
    clock: u64,
}

impl Books {
    pub(super) fn new() -> Self {
        let pending = Pending {
            task: 0,
            site: BEGIN,
            object: 0,
            kind: Kind::Exit,
            call: 0,
            runnable: false,
        };
        let task = Task {
            pending,
            seen: 0,
            held: 0,
            reading: 0,
            reading_since: 0,
            irqs_off: 0,
            irqs_off_since: 0,
            unanswered: 0,
        };
        Self {
            tasks: std::array::from_fn(|_| task.clone()),
            unfinished: 0,
            softirq: false,
            current: 0,
            next: None,
            choices: Vec::new(),
            listed: 0,
            moved: 0,
            returned: false,
            stopped: false,
            took: false,
            objects: Objects::default(),
            trace: Trace::default(),
            ended: Vec::new(),
            sections: 0,
            callbacks: Vec::new(),
            clock: 0,
        }
    }

    /// Opens them for a run. `clock` is later than any moment of earlier runs.
    pub(super) fn open(&mut self, plan: &Plan<'_>, clock: u64) {
        self.unfinished = 0;
        self.softirq = plan.softirq.is_some();
        self.current = SOFTIRQ;
        self.next = None;
        self.listed = 0;
        self.returned = false;
        self.stopped = false;
        self.objects.clear();
        self.trace.clear();
        self.ended.clear();
        self.ended.resize(plan.calls.len(), false);
        self.sections = 0;
        self.callbacks.clear();
        self.callbacks.resize(plan.waiting, 0);
        self.clock = clock;
        for (task, books) in (0_u8..).zip(&mut self.tasks) {
            books.held = 0;
            books.reading = 0;
            books.irqs_off = 0;
            books.unanswered = 0;
            books.pending.task = task;
        }
        self.tasks[usize::from(SOFTIRQ)].pending.call = u32::MAX;
        self.arrive_at(SOFTIRQ, super::SOFTIRQ_WAIT, 0, Kind::AwaitCallback);
        for (number, call) in (0_u32..).zip(plan.calls) {
            let bit = 1 << call.task;
            if self.unfinished & bit == 0 {
                self.unfinished |= bit;
                self.expect_call(call.task, number);
            }
        }
    }

    /// The task's next step is to begin this call.
    pub(super) fn expect_call(&mut self, task: u8, call: u32) {
        self.tasks[usize::from(task)].pending.call = call;
        self.arrive_at(task, BEGIN, 0, Kind::Begin);
    }

    /// The task is about to make an access.
    pub(super) fn arrive(&mut self, task: u8, site: Site, address: usize, kind: Kind) {
        let object = self.objects.ordinal(address);
        self.arrive_at(task, site, object, kind);
        self.tasks[usize::from(task)].seen = self.objects.get(object).version;
    }

    #[inline]
    pub(super) fn arrive_at(
        &mut self,
        task: u8,
        site: Site,
        object: u32,
        kind: Kind,
    ) -> &mut Pending {
        self.moved |= 1 << task;
        let pending = &mut self.tasks[usize::from(task)].pending;
        pending.site = site;
        pending.object = object;
        pending.kind = kind;
        pending
    }

    /// There is nothing to schedule: the run is over, or drop code runs while a panic unwinds the
    /// stack, which must not be suspended.
    #[inline]
    pub(super) fn is_over(&self) -> bool {
        self.stopped || std::thread::panicking()
    }

    /// Lists anew what each task is about to do.
    pub(super) fn enlist(&mut self) {
        let Self { choices, tasks, .. } = self;
        let listed = self.unfinished | u32::from(self.softirq);
        choices.clear();
        choices.extend(bits(listed).map(|task| tasks[usize::from(task)].pending));
        (self.listed, self.moved) = (listed, listed);
    }

    /// Brings the list that a policy is shown up to date.
    pub(super) fn list(&mut self, plan: &Plan<'_>) {
        if self.listed != self.unfinished | u32::from(self.softirq) {
            self.enlist();
        }
        let mut choices = std::mem::take(&mut self.choices);
        for at in &mut choices {
            let moved = self.moved & 1 << at.task != 0;
            // A plain access is never held up.
            if moved || !is_plain(at.kind) {
                let runnable = self.is_runnable(plan, at.task);
                let pending = &mut self.tasks[usize::from(at.task)].pending;
                pending.runnable = runnable;
                *at = *pending;
            }
        }
        self.moved = 0;
        self.choices = choices;
    }

    /// Whether the task's pending access can be made now.
    #[inline]
    pub(super) fn is_runnable(&self, plan: &Plan<'_>, task: u8) -> bool {
        is_plain(self.tasks[usize::from(task)].pending.kind) || self.is_let_through(plan, task)
    }

    /// The same for an access that can be held up.
    fn is_let_through(&self, plan: &Plan<'_>, task: u8) -> bool {
        let books = &self.tasks[usize::from(task)];
        let object = || self.objects.get(books.pending.object);
        match books.pending.kind {
            Kind::Lock | Kind::Relax => object().is_free(),
            Kind::LockShared => object().owner == NOBODY,
            Kind::AwaitChange => object().version != books.seen,
            Kind::AwaitIpi => books.unanswered == 0,
            Kind::AwaitCallback => self.callbacks.first().is_some_and(|&at| self.is_ready(at)),
            Kind::Begin => !plan.awaits_fork(books.pending.call, &self.ended),
            Kind::Exit => false,
            _ => true,
        }
    }

    /// Whether the task goes on by default: it can, and it is not between two calls.
    #[inline]
    pub(super) fn stays(&self, plan: &Plan<'_>, task: u8) -> bool {
        match self.tasks[usize::from(task)].pending.kind {
            Kind::Begin | Kind::Exit | Kind::AwaitCallback => false,
            _ => self.is_runnable(plan, task),
        }
    }

    /// Whether no callback is being run.
    pub(super) fn softirq_is_idle(&self) -> bool {
        let pending = &self.tasks[usize::from(SOFTIRQ)].pending;
        !self.softirq || pending.kind == Kind::AwaitCallback
    }

    /// Whether every section that was open at that moment has been left.
    pub(super) fn is_ready(&self, queued_at: u64) -> bool {
        bits(self.sections).all(|task| {
            let books = &self.tasks[usize::from(task)];
            (books.reading == 0 || books.reading_since > queued_at)
                && (books.irqs_off == 0 || books.irqs_off_since > queued_at)
        })
    }

    pub(super) fn callback_queued(&mut self) -> u64 {
        let now = self.tick();
        self.callbacks.push(now);
        now
    }

    pub(super) fn callback_taken(&mut self, queued_at: u64) {
        // What was queued before the run is known by number only, as moment 0.
        let found = self.callbacks.binary_search(&queued_at).or_else(|_| {
            let before = self.callbacks.first() == Some(&0);
            before.then_some(0).ok_or(())
        });
        if let Ok(index) = found {
            self.callbacks.remove(index);
        }
    }

    pub(super) fn any_irqs_off(&self) -> bool {
        self.tasks.iter().any(|books| books.irqs_off != 0)
    }

    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// Makes the task's pending access: enters it in the books and in the trace.
    pub(super) fn perform(&mut self, pairs: Option<&[Counter]>, task: u8) {
        let Pending {
            site,
            object,
            kind,
            call,
            ..
        } = self.tasks[usize::from(task)].pending;
        if kind == Kind::Begin {
            let what = What::Begin(call);
            return self.trace.push(Step { task, site, what });
        }
        self.access_word(pairs, task, site, object, kind);
        match kind {
            Kind::Lock | Kind::LockShared | Kind::TryLock | Kind::TryLockShared => {
                self.take(task, site, object, kind);
            }
            Kind::Unlock | Kind::UnlockShared | Kind::Downgrade => {
                self.give_back(task, object, kind);
            }
            Kind::ReadSection | Kind::ReadSectionEnd | Kind::IrqOff | Kind::IrqOn => {
                self.section(task, kind);
            }
            Kind::Ipi => self.interrupt(task),
            _ => {}
        }
    }

    /// Enters an access in the trace, and what it means for the object's contents.
    #[inline]
    pub(super) fn access_word(
        &mut self,
        pairs: Option<&[Counter]>,
        task: u8,
        site: Site,
        object: u32,
        kind: Kind,
    ) {
        let what = What::Access { kind, object };
        self.trace.push(Step { task, site, what });
        if kind.reads()
            && let Some(pairs) = pairs
        {
            self.objects.get(object).count_pair(pairs, task, site);
        }
        if kind.writes() {
            self.objects.get_mut(object).write(task, site);
        }
    }

    fn take(&mut self, task: u8, site: Site, object: u32, kind: Kind) {
        let lock = self.objects.get_mut(object);
        self.took = match kind {
            Kind::TryLock => lock.is_free(),
            Kind::TryLockShared => lock.owner == NOBODY,
            _ => true,
        };
        if !self.took {
            return;
        }
        if matches!(kind, Kind::LockShared | Kind::TryLockShared) {
            lock.sharers |= 1 << task;
            lock.shares += 1;
        } else {
            lock.owner = task;
        }
        lock.taken_at = Some(site);
        self.tasks[usize::from(task)].held += 1;
    }

    fn give_back(&mut self, task: u8, object: u32, kind: Kind) {
        let lock = self.objects.get_mut(object);
        match kind {
            Kind::Downgrade => {
                lock.owner = NOBODY;
                lock.sharers |= 1 << task;
                lock.shares += 1;
                return;
            }
            Kind::Unlock => lock.owner = NOBODY,
            _ => {
                lock.shares = lock.shares.saturating_sub(1);
                lock.sharers &= !(1 << task);
            }
        }
        let books = &mut self.tasks[usize::from(task)];
        books.held = books.held.saturating_sub(1);
    }

    fn section(&mut self, task: u8, kind: Kind) {
        let now = self.tick();
        let books = &mut self.tasks[usize::from(task)];
        match kind {
            Kind::ReadSection => {
                if books.reading == 0 {
                    books.reading_since = now;
                }
                books.reading += 1;
            }
            Kind::ReadSectionEnd => books.reading = books.reading.saturating_sub(1),
            Kind::IrqOff => {
                if books.irqs_off == 0 {
                    books.irqs_off_since = now;
                }
                books.irqs_off += 1;
            }
            _ => books.irqs_off = books.irqs_off.saturating_sub(1),
        }
        let (inside, answers) = (books.reading + books.irqs_off > 0, books.irqs_off == 0);
        if inside {
            self.sections |= 1 << task;
        } else {
            self.sections &= !(1 << task);
        }
        if kind == Kind::IrqOn && answers {
            for other in &mut self.tasks {
                other.unanswered &= !(1 << task);
            }
        }
    }

    /// The task interrupts all others; those that have interrupts off answer later.
    fn interrupt(&mut self, task: u8) {
        let deaf = (0_u8..)
            .zip(&self.tasks)
            .filter(|(other, books)| *other != task && books.irqs_off > 0)
            .fold(0, |mask, (other, _)| mask | 1 << other);
        self.tasks[usize::from(task)].unanswered = deaf;
    }

    /// Whether the interrupt that the task has just sent still lacks an answer.
    pub(super) fn lacks_answer(&self, task: u8) -> bool {
        self.tasks[usize::from(task)].unanswered != 0
    }

    /// Whom the task waits for, given that it cannot move.
    pub(super) fn holders(&self, task: u8) -> u32 {
        let books = &self.tasks[usize::from(task)];
        let object = self.objects.get(books.pending.object);
        match books.pending.kind {
            Kind::AwaitIpi => books.unanswered,
            Kind::AwaitCallback => self.sections,
            _ if object.owner != NOBODY => 1 << object.owner,
            _ => object.sharers,
        }
    }

    /// The task's call has returned; what it left behind is noted.
    pub(super) fn end_call(&mut self, task: u8) {
        let books = &self.tasks[usize::from(task)];
        let call = books.pending.call;
        let (held, reading, irqs_off) = (books.held, books.reading, books.irqs_off);
        self.trace.push(Step {
            task,
            site: END,
            what: What::End(call),
        });
        self.ended[call as usize] = true;
        self.returned = true;
        let leftover = |what| Leftover {
            step: self.trace.steps().len() - 1,
            task,
            call,
            what,
        };
        let mut found = Vec::new();
        if held > 0 {
            found.extend(self.objects.held_by(task).map(|(object, lock)| {
                leftover(Left::Lock {
                    object,
                    taken_at: lock.taken_at,
                })
            }));
        }
        if reading > 0 {
            found.push(leftover(Left::ReadSection));
        }
        if irqs_off > 0 {
            found.push(leftover(Left::InterruptsOff));
        }
        self.trace.leftovers.append(&mut found);
    }
}

/// Whether nothing can hold such an access up.
fn is_plain(kind: Kind) -> bool {
    matches!(kind, Kind::Read | Kind::Write | Kind::Update)
}

/// The tasks of a mask, from the lowest.
pub(super) fn bits(mut mask: u32) -> impl Iterator<Item = u8> {
    std::iter::from_fn(move || {
        let task = (mask != 0).then(|| mask.trailing_zeros() as u8)?;
        mask &= mask - 1;
        Some(task)
    })
}
