//! Sequence counts and sequence locks.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU32, fence};

use crate::point::{Kind, point, tell, wait_change, word_point};
use crate::{Site, SpinGuard, SpinLock};

/// A sequence count (`seqcount_t`): odd while a writer is at work. Writers exclude each other by
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
    #[inline]
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
        point(site, self, Kind::Read);
        let odd = self.bump(site) & 1 == 1;
        // What the bracket writes must not be seen before the odd count.
        fence(Release);
        if odd { Err(SeqError::BegunOdd) } else { Ok(()) }
    }

    /// Closes a bracket (`raw_write_seqcount_end`).
    ///
    /// # Errors
    /// The count was even; it is incremented all the same.
    #[inline]
    pub fn write_end(&self, site: Site) -> Result<(), SeqError> {
        point(site, self, Kind::Read);
        let even = self.bump(site) & 1 == 0;
        if even {
            Err(SeqError::EndedEven)
        } else {
            Ok(())
        }
    }

    /// The plain increment, from what was read before the scheduling point to the write after it.
    #[inline]
    fn bump(&self, site: Site) -> u32 {
        let old = self.count.load(Relaxed);
        let wanted = word_point(site, self, Kind::Write);
        self.count.store(old.wrapping_add(1), Release);
        if wanted {
            tell(old.wrapping_add(1).into(), None);
        }
        old
    }

    /// Reads the count as it is, odd or not (`raw_read_seqcount`).
    #[inline]
    pub fn read(&self, site: Site) -> u32 {
        let wanted = word_point(site, self, Kind::Read);
        let count = self.count.load(Acquire);
        if wanted {
            tell(count.into(), None);
        }
        count
    }

    /// Whether the count is no longer `seen` (`read_seqcount_retry`).
    #[inline]
    pub fn changed(&self, site: Site, seen: u32) -> bool {
        let wanted = word_point(site, self, Kind::Read);
        // What was read under the count must have been read before it is looked at again.
        fence(Acquire);
        let count = self.count.load(Relaxed);
        if wanted {
            tell(count.into(), None);
        }
        count != seen
    }

    /// Reads it without a scheduling point.
    #[inline]
    pub fn peek(&self) -> u32 {
        self.count.load(Acquire)
    }

    /// Sets it without a scheduling point, on an object nobody else can see (`seqcount_init`).
    #[inline]
    pub fn init(&self, count: u32) {
        self.count.store(count, Release);
    }
}

/// A sequence lock (`seqlock_t`): writers take a spin lock, readers retry.
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
    #[inline]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes it for writing (`write_seqlock`).
    #[inline]
    pub fn write(&self, site: Site) -> SeqWriteGuard<'_> {
        let spin = self.lock.lock(site);
        // The spin lock keeps other writers out, so reading the count is no access of interest.
        self.count.bump(site);
        fence(Release);
        SeqWriteGuard {
            lock: self,
            site,
            _spin: spin,
        }
    }

    /// The count, once it is even (`read_seqbegin`). A reader that meets an odd one waits for it
    /// to change; in a simulation it does not run before that.
    #[inline]
    pub fn read_begin(&self, site: Site) -> u32 {
        let mut spins = 0;
        loop {
            let count = self.count.read(site);
            if count & 1 == 0 {
                return count;
            }
            if !wait_change(site, &self.count) {
                return count;
            }
            spins += 1;
            crate::lock::breathe(spins);
        }
    }

    /// Whether what was read since `seen` must be read again (`read_seqretry`).
    #[inline]
    pub fn read_retry(&self, site: Site, seen: u32) -> bool {
        self.count.changed(site, seen)
    }

    /// Back to a count of zero, while nobody else can see it.
    #[inline]
    pub fn init(&self) {
        self.count.init(0);
    }
}

impl Drop for SeqWriteGuard<'_> {
    fn drop(&mut self) {
        self.lock.count.bump(self.site);
    }
}
