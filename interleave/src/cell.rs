//! Shared words: what the kernel reads with READ_ONCE and writes with WRITE_ONCE.

use std::marker::PhantomData;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use crate::point::{Kind, point, tell, word_point};
use crate::{Owner, Site};

/// A value that fits a machine word.
pub trait Word: Copy {
    /// As a word.
    fn to_word(self) -> u64;
    /// Back from a word that `to_word` made.
    fn from_word(word: u64) -> Self;
}

macro_rules! words {
    ($($type:ty),*) => {$(
        impl Word for $type {
            #[inline]
            fn to_word(self) -> u64 { self as u64 }
            #[inline]
            fn from_word(word: u64) -> Self { word as Self }
        }
    )*};
}

words!(u8, u16, u32, u64, usize, i32, i64);

impl Word for bool {
    #[inline]
    fn to_word(self) -> u64 {
        u64::from(self)
    }
    #[inline]
    fn from_word(word: u64) -> Self {
        word != 0
    }
}

/// A word that threads share. Each access but `peek` and `init` is a scheduling point.
///
/// On real threads a read acquires and a write releases: what the candidate orders with a sequence
/// count stays ordered, and neither costs more than a plain access on x86-64.
#[derive(Debug, Default)]
pub struct Cell<T> {
    word: AtomicU64,
    holds: PhantomData<fn(T) -> T>,
}

impl<T: Word> Cell<T> {
    /// A cell that holds this value.
    #[inline]
    pub fn new(value: T) -> Self {
        Self {
            word: AtomicU64::new(value.to_word()),
            holds: PhantomData,
        }
    }

    /// Reads it (READ_ONCE).
    #[inline]
    pub fn get(&self, site: Site) -> T {
        self.get_of(site, || None)
    }

    /// The same for an object's word; whose it is may be asked for.
    #[inline]
    pub fn get_of(&self, site: Site, owner: impl FnOnce() -> Option<Owner>) -> T {
        let wanted = word_point(site, self, Kind::Read);
        let value = self.peek();
        if wanted {
            tell(value.to_word(), owner());
        }
        value
    }

    /// Writes it (WRITE_ONCE).
    #[inline]
    pub fn set(&self, site: Site, value: T) {
        self.set_of(site, value, || None);
    }

    /// The same for an object's word; whose it is may be asked for.
    #[inline]
    pub fn set_of(&self, site: Site, value: T, owner: impl FnOnce() -> Option<Owner>) {
        let wanted = word_point(site, self, Kind::Write);
        self.init(value);
        if wanted {
            tell(value.to_word(), owner());
        }
    }

    /// Writes it and answers what was there (xchg).
    #[inline]
    pub fn swap(&self, site: Site, value: T) -> T {
        point(site, self, Kind::Update);
        T::from_word(self.word.swap(value.to_word(), AcqRel))
    }

    /// Writes `new` if it holds `old`; otherwise answers what it holds (cmpxchg).
    ///
    /// # Errors
    /// What it holds, where that is not `old`.
    #[inline]
    pub fn compare_exchange(&self, site: Site, old: T, new: T) -> Result<(), T> {
        point(site, self, Kind::Update);
        self.word
            .compare_exchange(old.to_word(), new.to_word(), AcqRel, Acquire)
            .map(drop)
            .map_err(T::from_word)
    }

    /// Reads it without a scheduling point: between calls, or where a lock held by the caller
    /// keeps everybody else away and the access cannot matter to them.
    #[inline]
    pub fn peek(&self) -> T {
        T::from_word(self.word.load(Acquire))
    }

    /// Writes it without a scheduling point: while nobody else can see the object.
    #[inline]
    pub fn init(&self, value: T) {
        self.word.store(value.to_word(), Release);
    }
}

impl Cell<u64> {
    /// Adds to it in one step, wrapping, and answers what was there (atomic_fetch_add).
    #[inline]
    pub fn add(&self, site: Site, more: u64) -> u64 {
        point(site, self, Kind::Update);
        self.word.fetch_add(more, AcqRel)
    }

    /// Adds to it without a scheduling point: for a statistic that nothing is decided by.
    #[inline]
    pub fn count(&self, more: u64) {
        self.word.fetch_add(more, Relaxed);
    }
}
