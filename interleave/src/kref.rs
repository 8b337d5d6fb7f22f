//! A reference count in the manner of `kref`: whoever takes a reference holds one or asks whether there
//! is any, and a count that would wrap stays where it is.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use crate::Site;
use crate::point::{Kind, point};

/// Counts references to an object. From zero it is never raised, and from `LIMIT` it never moves
/// again: the object leaks, which is better than one that is freed while it is held.
#[derive(Debug, Default)]
pub struct Kref<const LIMIT: u32 = { u32::MAX }> {
    count: AtomicU32,
}

/// What the count warned of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KrefError {
    /// A reference was taken by one who holds none: there was none left.
    FromZero,
    /// A reference was put where there was none.
    Underflow,
    /// The count has reached its limit.
    Saturated,
}

impl<const LIMIT: u32> Kref<LIMIT> {
    /// Takes another reference (`kref_get`), as one who holds a reference may; answers the count
    /// afterwards.
    ///
    /// # Errors
    /// [`KrefError::FromZero`], and the count stays zero; [`KrefError::Saturated`], and it stays at its
    /// limit.
    #[inline]
    pub fn get(&self, site: Site) -> Result<u32, KrefError> {
        match self.get_unless_zero(site) {
            None => Err(KrefError::FromZero),
            Some(count) if count == LIMIT => Err(KrefError::Saturated),
            Some(count) => Ok(count),
        }
    }

    /// Takes a reference if there is any (`kref_get_unless_zero`), as one may who knows that the memory
    /// is there; answers the count afterwards.
    #[inline]
    pub fn get_unless_zero(&self, site: Site) -> Option<u32> {
        point(site, self, Kind::Update);
        let more = |count: u32| (count != 0).then(|| count.saturating_add(1).min(LIMIT));
        let before = self.count.try_update(Acquire, Relaxed, more).ok()?;
        more(before)
    }

    /// Puts a reference (`kref_put`) and releases the object with the last; answers the count
    /// afterwards.
    ///
    /// # Errors
    /// [`KrefError::Underflow`], and the count stays zero; [`KrefError::Saturated`], and it stays at
    /// its limit. Nothing is released.
    #[inline]
    pub fn put(&self, site: Site, release: impl FnOnce()) -> Result<u32, KrefError> {
        point(site, self, Kind::Update);
        let less = |count: u32| match count {
            0 => None,
            count if count == LIMIT => Some(LIMIT),
            count => Some(count - 1),
        };
        match self.count.try_update(AcqRel, Relaxed, less) {
            Err(_) => Err(KrefError::Underflow),
            Ok(before) if before == LIMIT => Err(KrefError::Saturated),
            Ok(1) => {
                release();
                Ok(0)
            }
            Ok(before) => Ok(before - 1),
        }
    }

    /// Reads it without a scheduling point.
    #[inline]
    pub fn peek(&self) -> u32 {
        self.count.load(Acquire)
    }

    /// Sets it without a scheduling point, on an object nobody else can see.
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

    #[test]
    fn the_last_put_releases_and_nothing_is_taken_afterwards() {
        let kref: Kref = Kref::default();
        kref.init(1);
        assert_eq!(kref.get(HERE), Ok(2));
        assert_eq!(kref.put(HERE, || panic!("too early")), Ok(1));
        let mut released = false;
        assert_eq!(kref.put(HERE, || released = true), Ok(0));
        assert!(released);
        assert_eq!(kref.get(HERE), Err(KrefError::FromZero));
        assert_eq!(kref.get_unless_zero(HERE), None);
        let released_twice = kref.put(HERE, || panic!("released again"));
        assert_eq!(released_twice, Err(KrefError::Underflow));
        assert_eq!(kref.peek(), 0);
    }

    #[test]
    fn at_its_limit_it_stays() {
        let kref: Kref<3> = Kref::default();
        kref.init(2);
        assert_eq!(kref.get(HERE), Err(KrefError::Saturated));
        assert_eq!(kref.get_unless_zero(HERE), Some(3));
        for _ in 0..5 {
            let put = kref.put(HERE, || panic!("released though it had saturated"));
            assert_eq!(put, Err(KrefError::Saturated));
        }
        assert_eq!(kref.peek(), 3);
    }
}
