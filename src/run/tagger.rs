//! Takes a woven manager's events down, each with where it was raised.

use std::cell::RefCell;

use vmadiff_contract::{Event, EventSink, Mark, TaskId};
use vmadiff_interleave::sim::now;

use super::{Marked, Raised};

thread_local! {
    static RAISED: RefCell<Vec<Raised>> = const { RefCell::new(Vec::new()) };
    static MARKED: RefCell<Vec<Marked>> = const { RefCell::new(Vec::new()) };
}

/// The sink of every manager that a [`Weaver`](super::Weaver) makes: a list of the thread that
/// raises the event, as [`Recorder`](super::Recorder)'s is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tagger {
    /// Marks are taken down, too: somebody follows steps.
    pub listens: bool,
}

/// Where events are raised while no simulation runs.
const OUTSIDE: Raised = Raised {
    step: u32::MAX,
    task: TaskId(0),
    call: None,
    event: Event::Note(vmadiff_contract::Note::Classic),
};

impl EventSink for Tagger {
    #[inline]
    fn event(&self, event: Event) {
        let raised = match now() {
            Some(now) => Raised {
                step: now.step as u32,
                task: TaskId(now.task),
                call: now.call,
                event,
            },
            None => Raised { event, ..OUTSIDE },
        };
        RAISED.with_borrow_mut(|list| list.push(raised));
    }

    #[inline]
    fn mark(&self, mark: Mark) {
        self.mark_since(self.moment(), mark);
    }

    fn moment(&self) -> u64 {
        now().map_or(0, |now| now.step as u64)
    }

    fn mark_since(&self, moment: u64, mark: Mark) {
        // Outside of a simulation nobody follows steps.
        if let Some(now) = now().filter(|_| self.listens) {
            let marked = Marked {
                step: moment as u32,
                call: now.call,
                mark,
            };
            MARKED.with_borrow_mut(|list| list.push(marked));
        }
    }

    fn listens(&self) -> bool {
        self.listens
    }
}

impl Tagger {
    /// Forgets what this thread has taken down.
    pub fn clear() {
        RAISED.with_borrow_mut(Vec::clear);
        MARKED.with_borrow_mut(Vec::clear);
    }

    /// Moves what a simulation told of steps into `list`.
    pub fn take_marks(list: &mut Vec<Marked>) {
        MARKED.with_borrow_mut(|marked| list.append(marked));
        // Some are told later than they were so. Sorting would take memory, and most stand right.
        for mut at in 1..list.len() {
            while at > 0 && list[at - 1].step > list[at].step {
                list.swap(at - 1, at);
                at -= 1;
            }
        }
    }

    /// Moves what a simulation raised into `list`. What was raised when it was over, by threads
    /// that were cleaned up, is nobody's doing and goes.
    pub fn take(list: &mut Vec<Raised>) {
        RAISED.with_borrow_mut(|raised| {
            list.extend(raised.iter().filter(|raised| raised.step != OUTSIDE.step));
            raised.clear();
        });
    }

    /// Moves what was raised outside of a simulation into `list`.
    pub fn take_plain(list: &mut Vec<Event>) {
        RAISED.with_borrow_mut(|raised| {
            list.extend(raised.iter().map(|raised| raised.event));
            raised.clear();
        });
    }
}
