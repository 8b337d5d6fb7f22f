//! Sequence counts and sequence locks.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use crate::point::{Kind, point};
use crate::{Site, SpinGuard, SpinLock};

/// A sequence count (`vm_sequence`): odd while a writer is at work. Writers exclude each other by
/// other means; brackets do not nest.
#[derive(Debug, Default)]
pub struct SeqCount {
    count: AtomicU32,
}

/// A bracket that its protocol forbids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeqError {
    /// Begun while odd.
    BegunOdd,
    /// Ended while even.
    EndedEven,
}

impl SeqCount {
    /// A count of zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens a bracket (`raw_write_seqcount_begin`). The increment is plain, not atomic, as the
    /// kernel's: two writers at once lose one.
    ///
    /// # Errors
    /// The count was odd; it is incremented all the same.
    #[inline]
    pub fn write_begin(&self, site: Site) -> Result<(), SeqError> {
        if self.increment(site) & 1 == 1 {
            return Err(SeqError::BegunOdd);
        }
        Ok(())
    }

    /// Closes a bracket (`raw_write_seqcount_end`).
    ///
    /// # Errors
    /// The count was even; it is incremented all the same.
    #[inline]
    pub fn write_end(&self, site: Site) -> Result<(), SeqError> {
        if self.increment(site) & 1 == 0 {
            return Err(SeqError::EndedEven);
        }
        Ok(())
    }

    fn increment(&self, site: Site) -> u32 {
        point(site, self, Kind::Read);
        let old = self.count.load(SeqCst);
        point(site, self, Kind::Write);
        self.count.store(old.wrapping_add(1), SeqCst);
        old
    }

    /// Reads the count as it is, odd or not (`raw_read_seqcount`).
    #[inline]
    pub fn read(&self, site: Site) -> u32 {
        point(site, self, Kind::Read);
        self.count.load(SeqCst)
    }

    /// Whether the count is no longer `seen` (`read_seqcount_retry`).
    #[inline]
    pub fn changed(&self, site: Site, seen: u32) -> bool {
        self.read(site) != seen
    }

    /// Reads it without a scheduling point.
    pub fn peek(&self) -> u32 {
        self.count.load(SeqCst)
    }

    /// Sets it without a scheduling point, on an object nobody else can see (`seqcount_init`).
    pub fn init(&self, count: u32) {
        self.count.store(count, SeqCst);
    }
}

/// A sequence lock (`mm_seq`): writers take a spin lock, readers retry.
#[derive(Debug, Default)]
pub struct SeqLock {
    count: SeqCount,
    lock: SpinLock,
}

/// Holds a [`SeqLock`] for writing.
pub struct SeqWriteGuard<'a> {
    lock: &'a SeqLock,
    site: Site,
    _spin: SpinGuard<'a>,
}

impl SeqLock {
    /// A free lock with a count of zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes it for writing (`write_seqlock`).
    pub fn write(&self, site: Site) -> SeqWriteGuard<'_> {
        let spin = self.lock.lock(site);
        let begun = self.count.write_begin(site);
        debug_assert!(begun.is_ok(), "the spin lock keeps other writers out");
        SeqWriteGuard {
            lock: self,
            site,
            _spin: spin,
        }
    }

    /// The count, once it is even (`read_seqbegin`). A reader that meets an odd one waits for it
    /// to change; in a simulation it does not run before that.
    pub fn read_begin(&self, site: Site) -> u32 {
        loop {
            let count = self.count.read(site);
            if count & 1 == 0 {
                return count;
            }
            self.lock.relax(site);
        }
    }

    /// Whether what was read since `seen` must be read again (`read_seqretry`).
    pub fn read_retry(&self, site: Site, seen: u32) -> bool {
        self.count.changed(site, seen)
    }

    /// Back to a count of zero, while nobody else can see it.
    pub fn init(&self) {
        self.count.init(0);
    }
}

impl Drop for SeqWriteGuard<'_> {
    fn drop(&mut self) {
        let ended = self.lock.count.write_end(self.site);
        debug_assert!(ended.is_ok(), "the spin lock keeps other writers out");
    }
}
