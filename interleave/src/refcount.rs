//! A reference count that refuses what a bare atomic would let pass.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use crate::Site;
use crate::point::{Kind, point};

/// Counts references to an object. Once it has reached zero it stays there.
#[derive(Debug, Default)]
pub struct RefCount {
    count: AtomicU32,
}

/// What the count refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefError {
    /// An increment from zero: the object is being freed.
    FromZero,
    /// A decrement below zero: a reference was put twice.
    BelowZero,
}

impl RefCount {
    /// A count of `count` references.
    #[inline]
    pub fn new(count: u32) -> Self {
        Self {
            count: AtomicU32::new(count),
        }
    }

    /// Takes a reference; answers the count afterwards.
    ///
    /// # Errors
    /// [`RefError::FromZero`]; the count stays zero.
    #[inline]
    pub fn get(&self, site: Site) -> Result<u32, RefError> {
        self.get_unless_zero(site).ok_or(RefError::FromZero)
    }

    /// Takes a reference unless there is none left; answers the count afterwards.
    #[inline]
    pub fn get_unless_zero(&self, site: Site) -> Option<u32> {
        point(site, self, Kind::Update);
        self.count
            .try_update(Acquire, Relaxed, |n| (n != 0).then(|| n + 1))
            .ok()
            .map(|before| before + 1)
    }

    /// Puts a reference; answers the count afterwards. At zero the caller frees the object.
    ///
    /// # Errors
    /// [`RefError::BelowZero`]; the count stays zero.
    #[inline]
    pub fn put(&self, site: Site) -> Result<u32, RefError> {
        point(site, self, Kind::Update);
        self.count
            .try_update(AcqRel, Relaxed, |n| n.checked_sub(1))
            .map(|before| before - 1)
            .map_err(|_| RefError::BelowZero)
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
