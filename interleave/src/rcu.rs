//! RCU: readers that nobody waits for, and callbacks that wait for readers.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use parking_lot::Mutex;

use crate::Site;
use crate::point::{Kind, point};

/// A queue of callbacks `T`, each ready once every reader that was inside when it was queued has
/// left. What a callback does is its owner's business: pop what is ready and do it.
///
/// Outside a simulation a callback waits until a moment without any reader: later than need be,
/// never earlier.
#[derive(Debug)]
pub struct Rcu<T> {
    readers: AtomicUsize,
    queue: Mutex<VecDeque<T>>,
}

/// Inside a read-side section.
pub struct RcuReadGuard<'a, T> {
    rcu: &'a Rcu<T>,
    site: Site,
}

impl<T> Default for Rcu<T> {
    fn default() -> Self {
        Self {
            readers: AtomicUsize::new(0),
            queue: Mutex::default(),
        }
    }
}

impl<T> Rcu<T> {
    /// No readers and nothing queued.
    pub fn new() -> Self {
        Self::default()
    }

    /// Enters a read-side section (`rcu_read_lock`).
    #[inline]
    pub fn read_lock(&self, site: Site) -> RcuReadGuard<'_, T> {
        point(site, self, Kind::Section);
        self.readers.fetch_add(1, SeqCst);
        RcuReadGuard { rcu: self, site }
    }

    /// Queues a callback (`call_rcu`).
    pub fn call(&self, site: Site, callback: T) {
        point(site, self, Kind::Update);
        self.queue.lock().push_back(callback);
    }

    /// Takes a callback that is ready: the softirq's step. In a simulation the schedule decides
    /// which one, of several.
    pub fn pop_ready(&self, site: Site) -> Option<T> {
        point(site, self, Kind::Update);
        if self.readers.load(SeqCst) != 0 {
            return None;
        }
        self.queue.lock().pop_front()
    }

    /// How many callbacks wait.
    pub fn pending(&self) -> usize {
        self.queue.lock().len()
    }

    /// Forgets every callback, while nobody else can see it.
    pub fn clear(&mut self) {
        self.readers.store(0, SeqCst);
        self.queue.get_mut().clear();
    }
}

impl<T> Drop for RcuReadGuard<'_, T> {
    fn drop(&mut self) {
        point(self.site, self.rcu, Kind::Section);
        self.rcu.readers.fetch_sub(1, SeqCst);
    }
}
