//! Where decisions are made: who goes on when a task arrives at a scheduling point.

use super::books::{Books, bits};
use super::trace::{Blocked, End};
use super::{Plan, SOFTIRQ, START};
use crate::policy::{Choice, Pending, Policy};
use crate::{Kind, Site};

/// The books of a run, and who decides by them.
pub(super) struct Desk<'a> {
    pub(super) books: &'a mut Books,
    pub(super) policy: &'a mut dyn Policy,
    pub(super) plan: &'a Plan<'a>,
}

/// What came of an arrival.
pub(super) enum Passed {
    /// The task passed, and the access is in the books.
    At(u8),
    /// It has to wait until it is chosen: suspend it.
    Not(u8),
    /// The run is over; there is nothing to schedule any more.
    Over,
}

impl Desk<'_> {
    /// The current task arrives at a plain access: one that is never held up, as nearly all are.
    #[inline]
    pub(super) fn word(&mut self, site: Site, address: usize, kind: Kind) -> Passed {
        let books = &mut *self.books;
        if books.is_over() {
            return Passed::Over;
        }
        let task = books.current;
        let object = books.objects.ordinal(address);
        let arrived = books.arrive_at(task, site, object, kind);
        arrived.runnable = true;
        if books.trace.is_stuck(self.plan.limit) {
            books.trace.end = End::StepLimit;
            return self.leave(task, None);
        }
        books.trace.points += 1;
        if self.policy.asks(&books.tasks[usize::from(task)].pending) {
            let next = self.choose(None, task);
            if next != task {
                return self.leave(task, Some(next));
            }
        }
        self.books
            .access_word(self.plan.pairs, task, site, object, kind);
        Passed::At(task)
    }

    /// The current task arrives where `at` says in its books.
    #[inline]
    pub(super) fn arrive(&mut self, at: impl FnOnce(&mut Books, u8)) -> Passed {
        if self.books.is_over() {
            return Passed::Over;
        }
        let task = self.books.current;
        at(self.books, task);
        match self.decide(task) {
            Some(next) if next == task => {
                self.books.perform(self.plan.pairs, task);
                Passed::At(task)
            }
            next => self.leave(task, next),
        }
    }

    /// The task makes way for `next`.
    #[cold]
    fn leave(&mut self, task: u8, next: Option<u8>) -> Passed {
        self.books.next = next;
        Passed::Not(task)
    }

    /// Who runs first.
    pub(super) fn first(&mut self) -> Option<u8> {
        let start = Pending {
            site: START,
            kind: Kind::Begin,
            runnable: false,
            ..self.books.tasks[usize::from(SOFTIRQ)].pending
        };
        self.books.trace.points += 1;
        let default = self.earliest()?;
        Some(self.ask(start, default))
    }

    /// Who goes on, now that this task has arrived somewhere. None: nobody.
    pub(super) fn decide(&mut self, task: u8) -> Option<u8> {
        if self.books.trace.is_stuck(self.plan.limit) {
            self.books.trace.end = End::StepLimit;
            return None;
        }
        self.books.trace.points += 1;
        let stays = self.books.stays(self.plan, task);
        let arrived = &mut self.books.tasks[usize::from(task)].pending;
        arrived.runnable = stays;
        if !stays {
            let arrived = *arrived;
            let default = self.earliest()?;
            return Some(self.ask(arrived, default));
        }
        if self.policy.asks(arrived) {
            return Some(self.choose(None, task));
        }
        Some(task)
    }

    /// Asks the policy who goes on, if it has an opinion.
    fn ask(&mut self, arrived: Pending, default: u8) -> u8 {
        if self.policy.asks(&arrived) {
            self.choose(Some(arrived), default)
        } else {
            default
        }
    }

    /// The policy's choice among the tasks that can move. Without a word of who has arrived, it is
    /// the default task.
    fn choose(&mut self, arrived: Option<Pending>, default: u8) -> u8 {
        let books = &mut *self.books;
        let arrived = arrived.unwrap_or(books.tasks[usize::from(default)].pending);
        books.list(self.plan);
        let before = books.listed & ((1 << default) - 1);
        let picked = self.policy.pick(&Choice {
            pending: &books.choices,
            arrived: &arrived,
            default: before.count_ones() as usize,
            returned: std::mem::take(&mut books.returned),
        });
        let to = match books.choices.get(picked) {
            Some(chosen) if chosen.runnable => chosen.task,
            _ => default,
        };
        if to != default {
            books.trace.decided(arrived.task, arrived.site, to);
        }
        to
    }

    /// The task whose unfinished call is the earliest, of those that can move; the softirq comes
    /// last. None: the run is over, and how is in the trace.
    fn earliest(&mut self) -> Option<u8> {
        let books = &*self.books;
        let first = bits(books.unfinished)
            .filter(|&task| books.is_runnable(self.plan, task))
            .min_by_key(|&task| books.tasks[usize::from(task)].pending.call);
        if first.is_some() {
            return first;
        }
        let idle = books.softirq_is_idle();
        if books.unfinished == 0 && idle && !self.policy.drains() {
            return None;
        }
        if books.softirq && books.is_runnable(self.plan, SOFTIRQ) {
            return Some(SOFTIRQ);
        }
        if books.unfinished != 0 || !idle {
            self.books.trace.end = End::Deadlock(self.blocked());
        }
        None
    }

    /// Everybody who is not finished, and what holds them up.
    fn blocked(&self) -> Vec<Blocked> {
        let books = &*self.books;
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

    /// Chooses one of `count` ready callbacks.
    pub(super) fn choose_callback(&mut self, site: Site, count: usize) -> usize {
        if self.books.stopped || count < 2 {
            return 0;
        }
        // A switch has a byte for it.
        let count = count.min(256);
        let index = self.policy.pick_callback(count).min(count - 1);
        self.books
            .trace
            .chose(self.books.current, site, index as u8);
        index
    }

    /// Tells the policy how the run ended.
    pub(super) fn report(&mut self) {
        let books = &mut *self.books;
        books.enlist();
        let returned = std::mem::take(&mut books.returned);
        self.policy.end(&books.choices, returned);
    }
}
