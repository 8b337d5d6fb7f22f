//! One run, as its threads see it: scheduling points on the way, and calls to make.

use std::cell::RefCell;

use super::books::Books;
use super::desk::{Desk, Passed};
use super::thread::Yielders;
use super::trace::{End, Step, What};
use super::{EXIT, Now, Plan, SOFTIRQ, SOFTIRQ_WAIT};
use crate::policy::Policy;
use crate::{Kind, Owner, Site};

/// What the threads of a run share.
pub(crate) struct Run<'a> {
    /// Never borrowed while a thread is suspended, nor while a call's own code runs.
    desk: RefCell<Desk<'a>>,
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
            desk: RefCell::new(Desk {
                books,
                policy,
                plan,
            }),
            plan,
            yielders: Yielders::new(),
        }
    }

    /// A thread is about to read or write the word at `address`; returns when it may, with the
    /// access in the books: whether what the word holds is kept, too.
    pub(crate) fn word(&self, site: Site, address: usize, kind: Kind) -> bool {
        let passed = self.desk.borrow_mut().word(site, address, kind);
        self.pass(passed);
        self.plan.values
    }

    /// Keeps what the word holds that was accessed last.
    pub(crate) fn tell(&self, word: u64, owner: Option<Owner>) {
        let books = &mut *self.desk.borrow_mut().books;
        if !books.stopped {
            books.trace.hold(word, owner);
        }
    }

    /// The same for locks, sections and all else that may be held up.
    pub(crate) fn access(&self, site: Site, address: usize, kind: Kind) {
        let Some(task) = self.arrive(|books, task| books.arrive(task, site, address, kind)) else {
            return;
        };
        if kind == Kind::Ipi && self.desk.borrow().books.lacks_answer(task) {
            self.arrive(|books, task| books.arrive(task, site, address, Kind::AwaitIpi));
        }
    }

    /// The same for a try at a lock; whether it was taken.
    pub(crate) fn try_access(&self, site: Site, address: usize, kind: Kind) -> bool {
        let arrived = self.arrive(|books, task| books.arrive(task, site, address, kind));
        arrived.is_none() || self.desk.borrow().books.took
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
        let passed = self.desk.borrow_mut().arrive(at);
        self.pass(passed)
    }

    /// Waits, if need be, until the task is chosen.
    #[inline]
    fn pass(&self, passed: Passed) -> Option<u8> {
        match passed {
            Passed::At(task) => Some(task),
            Passed::Over => None,
            Passed::Not(task) => self.wait(task),
        }
    }

    fn wait(&self, task: u8) -> Option<u8> {
        self.yielders.suspend(task);
        let desk = &mut *self.desk.borrow_mut();
        if desk.books.stopped {
            return None;
        }
        desk.books.perform(self.plan.pairs, task);
        Some(task)
    }

    /// Who runs first.
    pub(super) fn first(&self) -> Option<u8> {
        self.desk.borrow_mut().first()
    }

    /// From here on `task` runs.
    pub(super) fn switch_to(&self, task: u8) {
        self.desk.borrow_mut().books.current = task;
    }

    /// Who runs now that the current task has suspended itself or finished.
    pub(super) fn next(&self) -> Option<u8> {
        self.desk.borrow_mut().books.next.take()
    }

    /// The body of a thread: its calls, one after another.
    pub(super) fn thread(&self, task: u8) {
        if task == SOFTIRQ {
            return self.softirq();
        }
        loop {
            let call = {
                let books = &mut *self.desk.borrow_mut().books;
                books.perform(self.plan.pairs, task);
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
            let desk = &mut *self.desk.borrow_mut();
            if desk.books.stopped {
                return false;
            }
            desk.books.end_call(task);
            let next = self.plan.next_call(task, call);
            match next {
                Some(next) => desk.books.expect_call(task, next),
                None => {
                    desk.books.unfinished &= !(1 << task);
                    desk.books.arrive_at(task, EXIT, 0, Kind::Exit);
                }
            }
            let chosen = desk.decide(task);
            if chosen == Some(task) {
                return true;
            }
            desk.books.next = chosen;
            next.is_none()
        };
        if last {
            return false;
        }
        self.yielders.suspend(task);
        !self.desk.borrow().books.stopped
    }

    /// The body of the pseudo-thread: runs what is ready, as long as there is a run.
    fn softirq(&self) {
        let Some(softirq) = self.plan.softirq else {
            return;
        };
        self.desk
            .borrow_mut()
            .books
            .perform(self.plan.pairs, SOFTIRQ);
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
        {
            let books = &mut *self.desk.borrow_mut().books;
            if books.stopped {
                return;
            }
            let task = books.current;
            let what = What::Mark(word);
            books.trace.push(Step { task, site, what });
            books.trace.marked = books.trace.points;
        }
        if let Some(marked) = self.plan.marked {
            marked();
        }
    }

    /// Chooses one of `count` ready callbacks.
    pub(crate) fn choose(&self, site: Site, count: usize) -> usize {
        self.desk.borrow_mut().choose_callback(site, count)
    }

    pub(crate) fn callback_queued(&self) -> u64 {
        self.desk.borrow_mut().books.callback_queued()
    }

    pub(crate) fn callback_ready(&self, queued_at: u64) -> bool {
        self.desk.borrow().books.is_ready(queued_at)
    }

    pub(crate) fn callback_taken(&self, queued_at: u64) {
        self.desk.borrow_mut().books.callback_taken(queued_at);
    }

    pub(crate) fn any_irqs_off(&self) -> bool {
        self.desk.borrow().books.any_irqs_off()
    }

    /// Who runs, in which call, after how many steps; none once the run is over.
    pub(super) fn now(&self) -> Option<Now> {
        let books = &*self.desk.borrow().books;
        let task = books.current;
        (!books.stopped).then(|| Now {
            task,
            call: (task != SOFTIRQ).then(|| books.tasks[usize::from(task)].pending.call),
            step: books.trace.steps().len(),
        })
    }

    /// The run is over: accesses are no scheduling points any more. Whether it came to its end.
    pub(super) fn stop(&self) -> bool {
        let books = &mut *self.desk.borrow_mut().books;
        books.stopped = true;
        books.trace.end == End::Finished
    }

    /// Tells the policy how the run ended.
    pub(super) fn report(&self) {
        self.desk.borrow_mut().report();
    }
}
