//! A reference count that is a lock, too, as `vm_refcnt` of Linux 6.15 is: readers count themselves in
//! while no writer has closed it; a writer adds an offset that keeps new ones out, and waits.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use crate::Site;
use crate::point::{Kind, point, wait_change};

/// Looks at a count that does not come to what is waited for, most of them with a yield between.
const SPINS_MAX: u32 = 1 << 24;

/// A count of references that is closed by adding to it. At zero there is no object: nobody gets in.
#[derive(Debug, Default)]
pub struct LockCount {
    count: AtomicU32,
}

/// Why no reference was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// The count is zero.
    Zero,
    /// One more would be more than the limit.
    Limit,
}

/// More was to be taken away than the count holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BelowZero;

impl LockCount {
    /// Adds one unless the count is zero or has reached `limit`
    /// (`__refcount_inc_not_zero_limited_acquire`); answers the count afterwards.
    ///
    /// # Errors
    /// Why not; nothing was added.
    #[inline]
    pub fn inc_not_zero_limited(&self, site: Site, limit: u32) -> Result<u32, NotTaken> {
        point(site, self, Kind::Update);
        let more = |count: u32| (count != 0 && count < limit).then(|| count + 1);
        let taken = self.count.try_update(Acquire, Relaxed, more);
        taken.map(|before| before + 1).map_err(|count| match count {
            0 => NotTaken::Zero,
            _ => NotTaken::Limit,
        })
    }

    /// Adds to it unless it is zero (`refcount_add_not_zero`); whether it did.
    #[inline]
    pub fn add_not_zero(&self, site: Site, more: u32) -> bool {
        point(site, self, Kind::Update);
        let add = |count: u32| (count != 0).then(|| count.wrapping_add(more));
        self.count.try_update(AcqRel, Relaxed, add).is_ok()
    }

    /// Takes away from it (`refcount_sub`); answers the count afterwards.
    ///
    /// # Errors
    /// It does not hold so much; nothing was taken away.
    #[inline]
    pub fn sub(&self, site: Site, less: u32) -> Result<u32, BelowZero> {
        point(site, self, Kind::Update);
        let sub = |count: u32| count.checked_sub(less);
        let before = self.count.try_update(AcqRel, Relaxed, sub);
        before.map(|before| before - less).map_err(|_| BelowZero)
    }

    /// Sets it (`refcount_set_release`): what was written to the object before is seen by who gets in.
    #[inline]
    pub fn set(&self, site: Site, count: u32) {
        point(site, self, Kind::Write);
        self.count.store(count, Release);
    }

    /// Waits until the count is `count`. In a simulation the caller does not run before the count has
    /// moved; a run that is given up meanwhile ends the wait.
    ///
    /// # Panics
    /// On a real thread, if nobody moves the count for very long: a simulation would tell a deadlock.
    pub fn await_value(&self, site: Site, count: u32) {
        let mut spins = 0;
        loop {
            point(site, self, Kind::Read);
            let now = self.peek();
            if now == count || !wait_change(site, self) {
                return;
            }
            spins += 1;
            assert!(
                spins < SPINS_MAX,
                "waits for {count:#x} at {now:#x} for ever"
            );
            crate::lock::breathe(spins);
        }
    }

    /// Reads it without a scheduling point.
    #[inline]
    pub fn peek(&self) -> u32 {
        self.count.load(Acquire)
    }

    /// Sets it without a scheduling point, on an object that nobody else can see.
    #[inline]
    pub fn init(&self, count: u32) {
        self.count.store(count, Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SiteInfo;

    static HERE: Site = &SiteInfo::new("test.here");
    const CLOSED: u32 = 1 << 30;

    #[test]
    fn nobody_gets_in_at_zero_or_when_it_is_closed() {
        let count = LockCount::default();
        let get = || count.inc_not_zero_limited(HERE, CLOSED - 1);
        assert_eq!(get(), Err(NotTaken::Zero));
        assert!(!count.add_not_zero(HERE, CLOSED));
        count.set(HERE, 1);
        assert_eq!(get(), Ok(2));
        assert!(count.add_not_zero(HERE, CLOSED));
        assert_eq!(get(), Err(NotTaken::Limit));
        assert_eq!(count.sub(HERE, 1), Ok(CLOSED + 1));
        count.await_value(HERE, CLOSED + 1);
        assert_eq!(count.sub(HERE, CLOSED), Ok(1));
        assert_eq!(get(), Ok(2));
    }

    #[test]
    fn below_zero_it_does_not_go() {
        let count = LockCount::default();
        assert_eq!(count.sub(HERE, 1), Err(BelowZero));
        count.init(1);
        assert_eq!(count.sub(HERE, 2), Err(BelowZero));
        assert_eq!(count.peek(), 1);
    }

    #[test]
    fn the_limit_is_the_last_that_gets_in() {
        let count = LockCount::default();
        count.init(1);
        assert_eq!(count.inc_not_zero_limited(HERE, 2), Ok(2));
        assert_eq!(count.inc_not_zero_limited(HERE, 2), Err(NotTaken::Limit));
    }
}
