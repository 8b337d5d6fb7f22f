//! Programs with the answers that the rules give, and random ones with what must always hold.

mod invariant;
mod random;

use std::sync::{Arc, Mutex};

use vmadiff_contract::{Event, EventSink};

/// Keeps every event.
#[derive(Default)]
pub(crate) struct Log(pub Mutex<Vec<Event>>);

impl EventSink for Log {
    fn event(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

/// A fresh log.
pub(crate) fn log() -> Arc<Log> {
    Arc::default()
}
