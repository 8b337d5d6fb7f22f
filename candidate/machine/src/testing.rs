//! What tests of the machine and of designs share: a log of events, a design of defaults and a small generator of
//! numbers.

use parking_lot::Mutex;
use vmadiff_contract::{DesignInfo, Event, EventSink};

use crate::core::machine::Machine;
use crate::design::Design;

/// Keeps every event.
#[derive(Default)]
pub struct Log(Mutex<Vec<Event>>);

impl Log {
    /// What came since it was last asked.
    pub fn take(&self) -> Vec<Event> {
        std::mem::take(&mut self.0.lock())
    }
}

impl EventSink for Log {
    fn event(&self, event: Event) {
        self.0.lock().push(event);
    }
}

/// With all defaults: every fault takes mmap_sem.
pub struct Plain;

static PLAIN: DesignInfo = DesignInfo::plain("plain", |config, events, defects| {
    Machine::<Plain>::boxed(config, events, defects)
});

impl Design for Plain {
    const INFO: &'static DesignInfo = &PLAIN;
    type Area = ();
    type Space = ();
    type Hold<'a> = ();
}

/// Numbers that look random and are the same on every machine (xorshift).
pub struct Random(u64);

impl Random {
    /// From a seed that is not zero.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// The next number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, among: &[T]) -> T {
        among[self.below(among.len() as u64) as usize]
    }
}
