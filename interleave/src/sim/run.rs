//! One run: what happens at a scheduling point, in the thread that arrives there.

use std::cell::RefCell;

use super::books::{Books, bits};
use super::thread::Yielders;
use super::trace::{Blocked, End, Step, What};
use super::{Plan, SOFTIRQ, SOFTIRQ_WAIT, START};
use crate::policy::{Choice, Pending, Policy};
use crate::{Kind, Site};

/// What the threads of a run share. Nothing of it stays borrowed while a thread is suspended.
pub(crate) struct Run<'a> {
    pub(super) books: RefCell<&'a mut Books>,
    policy: RefCell<&'a mut dyn Policy>,
    plan: &'a Plan<'a>,
    pub(super) yielders: Yielders,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        books: &'a mut Books,
        plan: &'a Plan<'a>,
        policy: &'a mut dyn Policy,
    ) -> Self {
        Self {
            books: RefCell::new(books),
            policy: RefCell::new(policy),
            plan,
            yielders: Yielders::new(),
        }
    }

    /// A thread is about to access the object at `address`; returns when it may, with the access
    /// in the books.
    pub(crate) fn access(&self, site: Site, address: usize, kind: Kind) {
        let Some(task) = self.arrive(|books, task| books.arrive(task, site, address, kind)) else {
            return;
        };
        if kind == Kind::Ipi && self.books.borrow().lacks_answer(task) {
            self.arrive(|books, task| books.arrive(task, site, address, Kind::AwaitIpi));
        }
    }

    /// The same for a try at a lock; whether it was taken.
    pub(crate) fn try_access(&self, site: Site, address: usize) -> bool {
        let arrived = self.arrive(|books, task| books.arrive(task, site, address, Kind::TryLock));
        arrived.is_none() || self.books.borrow().took
    }

    /// Waits until the object is written. False: the run is being given up.
    pub(crate) fn await_change(&self, site: Site, address: usize) -> bool {
        self.arrive(|books, task| books.arrive(task, site, address, Kind::AwaitChange))
            .is_some()
    }

    /// The current task arrives at the scheduling point that `at` enters in its books, and passes
    /// it when it is chosen to; who that is. None: there is nothing to schedule any more.
    #[inline]
    fn arrive(&self, at: impl FnOnce(&mut Books, u8)) -> Option<u8> {
        let task = {
            let books = &mut **self.books.borrow_mut();
            // Drop code that runs while a panic unwinds the stack must not be suspended.
            if books.stopped || std::thread::panicking() {
                return None;
            }
            let task = books.current;
            at(books, task);
            let next = self.decide(books, task);
            if next == Some(task) {
                books.perform(self.plan, task);
                return Some(task);
            }
            books.next = next;
            task
        };
        self.yielders.suspend(task);
        let books = &mut **self.books.borrow_mut();
        if books.stopped {
            return None;
        }
        books.perform(self.plan, task);
        Some(task)
    }

    /// Who runs first.
    pub(super) fn first(&self) -> Option<u8> {
        let books = &mut **self.books.borrow_mut();
        let start = Pending {
            site: START,
            kind: Kind::Begin,
            runnable: false,
            ..books.tasks[usize::from(SOFTIRQ)].pending
        };
        books.trace.points += 1;
        let default = self.earliest(books, self.policy.borrow().drains())?;
        Some(self.ask(books, &start, default))
    }

    /// Who goes on, now that this task has arrived somewhere. None: nobody.
    #[inline]
    fn decide(&self, books: &mut Books, task: u8) -> Option<u8> {
        books.trace.points += 1;
        if books.trace.points > self.plan.limit {
            books.trace.end = End::StepLimit;
            return None;
        }
        let stays = books.stays(self.plan, task);
        let arrived = &mut books.tasks[usize::from(task)].pending;
        arrived.runnable = stays;
        if stays {
            if !self.policy.borrow_mut().asks(arrived) {
                return Some(task);
            }
            let arrived = *arrived;
            return Some(self.choose_task(books, &arrived, task));
        }
        let arrived = *arrived;
        let default = self.earliest(books, self.policy.borrow().drains())?;
        Some(self.ask(books, &arrived, default))
    }

    /// Asks the policy who goes on, if it has an opinion.
    fn ask(&self, books: &mut Books, arrived: &Pending, default: u8) -> u8 {
        if self.policy.borrow_mut().asks(arrived) {
            self.choose_task(books, arrived, default)
        } else {
            default
        }
    }

    /// The policy's choice among the tasks that can move.
    fn choose_task(&self, books: &mut Books, arrived: &Pending, default: u8) -> u8 {
        let mut pending = std::mem::take(&mut books.choices);
        pending.clear();
        let mut default_index = 0;
        for task in bits(books.unfinished | u32::from(books.softirq)) {
            if task == default {
                default_index = pending.len();
            }
            pending.push(Pending {
                runnable: books.is_runnable(self.plan, task),
                ..books.tasks[usize::from(task)].pending
            });
        }
        let picked = self.policy.borrow_mut().pick(&Choice {
            pending: &pending,
            arrived,
            default: default_index,
            returned: std::mem::take(&mut books.returned),
        });
        let to = match pending.get(picked) {
            Some(chosen) if chosen.runnable => chosen.task,
            _ => default,
        };
        books.choices = pending;
        if to != default {
            books.trace.decided(arrived.task, arrived.site, to);
        }
        to
    }

    /// The task whose unfinished call is the earliest, of those that can move; the softirq comes
    /// last. None: the run is over, and how is in the trace.
    fn earliest(&self, books: &mut Books, drains: bool) -> Option<u8> {
        let call = |task: u8| books.tasks[usize::from(task)].pending.call;
        let first = bits(books.unfinished)
            .filter(|&task| books.is_runnable(self.plan, task))
            .min_by_key(|&task| call(task));
        if first.is_some() {
            return first;
        }
        let idle = books.softirq_is_idle();
        if books.unfinished == 0 && idle && !drains {
            return None;
        }
        if books.softirq && books.is_runnable(self.plan, SOFTIRQ) {
            return Some(SOFTIRQ);
        }
        if books.unfinished != 0 || !idle {
            books.trace.end = End::Deadlock(self.blocked(books));
        }
        None
    }

    /// Everybody who is not finished, and what holds them up.
    fn blocked(&self, books: &Books) -> Vec<Blocked> {
        bits(books.unfinished | u32::from(books.softirq))
            .filter(|task| *task != SOFTIRQ || !books.softirq_is_idle())
            .map(|task| {
                let at = books.tasks[usize::from(task)].pending;
                Blocked {
                    task,
                    call: (task != SOFTIRQ).then_some(at.call),
                    kind: at.kind,
                    site: at.site,
                    object: at.object,
                    holders: bits(books.holders(task)).collect(),
                    taken_at: books.objects.get(at.object).taken_at,
                }
            })
            .collect()
    }

    /// The body of a thread: its calls, one after another.
    pub(super) fn thread(&self, task: u8) {
        if task == SOFTIRQ {
            return self.softirq();
        }
        loop {
            let call = {
                let books = &mut **self.books.borrow_mut();
                books.perform(self.plan, task);
                books.tasks[usize::from(task)].pending.call
            };
            (self.plan.body)(task, call);
            if !self.next_call(task, call) {
                return;
            }
        }
    }

    /// Ends the task's call and waits for the turn of its next; false: that was the last.
    fn next_call(&self, task: u8, call: u32) -> bool {
        let last = {
            let books = &mut **self.books.borrow_mut();
            if books.stopped {
                return false;
            }
            books.end_call(task);
            let next = self.plan.next_call(task, call);
            match next {
                Some(next) => books.expect_call(task, next),
                None => {
                    books.unfinished &= !(1 << task);
                    books.arrive_at(task, super::EXIT, 0, Kind::Exit);
                }
            }
            let chosen = self.decide(books, task);
            if chosen == Some(task) {
                return true;
            }
            books.next = chosen;
            next.is_none()
        };
        if last {
            return false;
        }
        self.yielders.suspend(task);
        !self.books.borrow().stopped
    }

    /// The body of the pseudo-thread: runs what is ready, as long as there is a run.
    fn softirq(&self) {
        let Some(softirq) = self.plan.softirq else {
            return;
        };
        self.books.borrow_mut().perform(self.plan, SOFTIRQ);
        loop {
            softirq();
            let arrived = self.arrive(|books, task| {
                books.arrive_at(task, SOFTIRQ_WAIT, 0, Kind::AwaitCallback);
            });
            if arrived.is_none() {
                return;
            }
        }
    }

    /// Notes in the trace that the current call takes effect here.
    pub(crate) fn mark(&self, site: Site, word: u64) {
        let books = &mut **self.books.borrow_mut();
        if !books.stopped {
            let task = books.current;
            let what = What::Mark(word);
            books.trace.push(Step { task, site, what });
        }
    }

    /// Chooses one of `count` ready callbacks.
    pub(crate) fn choose(&self, site: Site, count: usize) -> usize {
        let books = &mut **self.books.borrow_mut();
        if books.stopped || count < 2 {
            return 0;
        }
        // A switch has a byte for it.
        let count = count.min(256);
        let index = self.policy.borrow_mut().pick_callback(count).min(count - 1);
        books.trace.chose(books.current, site, index as u8);
        index
    }

    pub(crate) fn callback_queued(&self) -> u64 {
        self.books.borrow_mut().callback_queued()
    }

    pub(crate) fn callback_ready(&self, queued_at: u64) -> bool {
        self.books.borrow().is_ready(queued_at)
    }

    pub(crate) fn callback_taken(&self, queued_at: u64) {
        self.books.borrow_mut().callback_taken(queued_at);
    }

    pub(crate) fn any_irqs_off(&self) -> bool {
        self.books.borrow().any_irqs_off()
    }

    /// Who runs, in which call, after how many steps.
    pub(super) fn now(&self) -> super::Now {
        let books = self.books.borrow();
        let task = books.current;
        super::Now {
            task,
            call: (task != SOFTIRQ).then(|| books.tasks[usize::from(task)].pending.call),
            step: books.trace.steps().len(),
        }
    }

    /// The run is over: accesses are no scheduling points any more.
    pub(super) fn stop(&self) {
        self.books.borrow_mut().stopped = true;
    }

    /// Tells the policy how the run ended.
    pub(super) fn report(&self) {
        let books = &mut **self.books.borrow_mut();
        let mut pending = [books.tasks[usize::from(SOFTIRQ)].pending; super::TASKS + 1];
        let mut count = 0;
        for task in bits(books.unfinished | u32::from(books.softirq)) {
            pending[count] = books.tasks[usize::from(task)].pending;
            count += 1;
        }
        let returned = std::mem::take(&mut books.returned);
        self.policy.borrow_mut().end(&pending[..count], returned);
    }
}
