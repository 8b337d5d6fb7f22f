//! RCU: readers that nobody waits for, and callbacks that wait for readers.

use std::collections::VecDeque;
use std::sync::atomic::Ordering::{Release, SeqCst};
use std::sync::atomic::{AtomicUsize, fence};

use parking_lot::Mutex;

use crate::Site;
use crate::point::{Kind, point};

/// A queue of callbacks `T`, each ready once every reader that was inside when it was queued has
/// left. What a callback does is its owner's business: pop what is ready and do it.
///
/// Outside a simulation a callback waits until a moment without any reader: later than need be,
/// never earlier. In a simulation it is ready at the first moment that the rule allows, sections
/// with interrupts off count as readers, and all queues are those of one machine.
#[derive(Debug)]
pub struct Rcu<T> {
    readers: AtomicUsize,
    /// With the moment at which each was queued, on the simulation's clock.
    queue: Mutex<VecDeque<(u64, T)>>,
}

/// Inside a read-side section.
#[must_use = "the section ends as soon as this is dropped"]
pub struct RcuReadGuard<'a, T> {
    rcu: &'a Rcu<T>,
    site: Site,
    simulated: bool,
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
        let simulated = point(site, self, Kind::ReadSection);
        if !simulated {
            self.readers.fetch_add(1, SeqCst);
            full_barrier_after_update();
        }
        RcuReadGuard {
            rcu: self,
            site,
            simulated,
        }
    }

    /// Queues a callback (`call_rcu`).
    pub fn call(&self, site: Site, callback: T) {
        point(site, self, Kind::CallRcu);
        let stamp = crate::point::callback_queued();
        self.queue.lock().push_back((stamp, callback));
    }

    /// Takes a callback that is ready: the softirq's step. In a simulation the schedule decides
    /// which one, of several; without a word from it, the one queued first.
    pub fn pop_ready(&self, site: Site) -> Option<T> {
        if point(site, self, Kind::PopCallback) {
            return self.pop_simulated(site);
        }
        // The queue is locked before readers are counted: a callback queued after the count might
        // have a reader that came after it, too.
        let mut queue = self.queue.lock();
        fence(SeqCst);
        if self.readers.load(SeqCst) != 0 {
            return None;
        }
        queue.pop_front().map(|(_, callback)| callback)
    }

    fn pop_simulated(&self, site: Site) -> Option<T> {
        let mut queue = self.queue.lock();
        // Stamps rise in a queue, so what is ready comes first.
        let ready = queue
            .iter()
            .take_while(|(stamp, _)| crate::point::callback_ready(*stamp))
            .count();
        if ready == 0 {
            return None;
        }
        let (stamp, callback) = queue.remove(crate::point::choose(site, ready))?;
        crate::point::callback_taken(stamp);
        Some(callback)
    }

    /// How many callbacks wait.
    pub fn pending(&self) -> usize {
        self.queue.lock().len()
    }

    /// Forgets every callback, while nobody else can see it.
    pub fn clear(&mut self) {
        *self.readers.get_mut() = 0;
        self.queue.get_mut().clear();
    }
}

impl<T> Drop for RcuReadGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if self.simulated {
            point(self.site, self.rcu, Kind::ReadSectionEnd);
        } else {
            self.rcu.readers.fetch_sub(1, Release);
        }
    }
}

/// What a reader reads must not be read before the reader is counted. On x86-64 the update that
/// counted it is a full barrier already; elsewhere only a fence orders it with plain reads. Miri goes by
/// the language's rules, whatever it runs on.
#[inline]
fn full_barrier_after_update() {
    if cfg!(any(miri, not(target_arch = "x86_64"))) {
        fence(SeqCst);
    } else {
        std::sync::atomic::compiler_fence(SeqCst);
    }
}
