//! Takes a manager's events down.

use std::cell::RefCell;

use vmadiff_contract::{Event, EventSink};

thread_local! {
    static EVENTS: RefCell<Vec<Event>> = const { RefCell::new(Vec::new()) };
}

/// The sink of every manager that an [`Instance`](super::Instance) makes.
///
/// It writes to a list of the thread that raises the event, since a lock for each of a few hundred
/// events would cost more than judging them. A runner drives one manager at a time, on its own
/// thread and on coroutines of it, and empties the list after each call; managers on several real
/// threads need a sink of their own.
#[derive(Clone, Copy, Debug, Default)]
pub struct Recorder;

impl EventSink for Recorder {
    #[inline]
    fn event(&self, event: Event) {
        EVENTS.with_borrow_mut(|events| events.push(event));
    }
}

impl Recorder {
    /// Forgets what this thread has recorded.
    pub fn clear() {
        EVENTS.with_borrow_mut(Vec::clear);
    }

    /// Shows what this thread has recorded since the last time, and forgets it.
    #[inline]
    pub fn drain<T>(read: impl FnOnce(&[Event]) -> T) -> T {
        EVENTS.with_borrow_mut(|events| {
            let answer = read(events);
            events.clear();
            answer
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vmadiff_contract::VmaId;

    #[test]
    fn events_come_back_once_and_in_order() {
        let events = [1, 2].map(|n| Event::VmaFree { vma: VmaId(n) });
        Recorder::clear();
        events.iter().for_each(|&event| Recorder.event(event));
        assert_eq!(Recorder::drain(<[_]>::to_vec), events);
        assert_eq!(Recorder::drain(<[_]>::len), 0);
    }
}
