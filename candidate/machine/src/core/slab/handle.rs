//! The name of an object.

use std::marker::PhantomData;

use vmadiff_interleave::Word;

/// Names an object: its slot and the ordinal of its allocation. The default names none.
pub struct Handle<T> {
    word: u64,
    of: PhantomData<fn() -> T>,
}

impl<T> Handle<T> {
    /// No object.
    pub const NULL: Self = Self {
        word: 0,
        of: PhantomData,
    };

    pub(super) fn new(index: u32, ordinal: u32) -> Self {
        Self {
            word: u64::from(index) << 32 | u64::from(ordinal),
            of: PhantomData,
        }
    }

    /// Whether it names no object.
    #[inline]
    pub fn is_null(self) -> bool {
        self.word == 0
    }

    /// None if it names no object.
    #[inline]
    pub fn some(self) -> Option<Self> {
        (self.word != 0).then_some(self)
    }

    /// The ordinal of the object's allocation, from 1.
    #[inline]
    pub fn ordinal(self) -> u32 {
        self.word as u32
    }

    /// The slot.
    #[inline]
    pub fn index(self) -> u32 {
        (self.word >> 32) as u32
    }
}

impl<T> Clone for Handle<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Handle<T> {}
impl<T> Default for Handle<T> {
    fn default() -> Self {
        Self::NULL
    }
}
impl<T> PartialEq for Handle<T> {
    fn eq(&self, other: &Self) -> bool {
        self.word == other.word
    }
}
impl<T> Eq for Handle<T> {}
impl<T> std::fmt::Debug for Handle<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}", self.ordinal(), self.index())
    }
}
impl<T> Word for Handle<T> {
    #[inline]
    fn to_word(self) -> u64 {
        self.word
    }
    #[inline]
    fn from_word(word: u64) -> Self {
        Self {
            word,
            of: PhantomData,
        }
    }
}
