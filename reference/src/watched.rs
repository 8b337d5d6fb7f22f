//! What notes that it may have been changed: whoever borrows it to change it is counted.

use std::hash::{Hash, Hasher};
use std::ops::{Deref, DerefMut};

/// A value, and how often it was borrowed to be changed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watched<T> {
    value: T,
    moves: u64,
}

impl<T> Watched<T> {
    /// How often it may have changed.
    pub fn moves(&self) -> u64 {
        self.moves
    }
}

impl<T> From<T> for Watched<T> {
    fn from(value: T) -> Self {
        Self { value, moves: 0 }
    }
}

impl<T> Deref for Watched<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Watched<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.moves += 1;
        &mut self.value
    }
}

impl<'a, T> IntoIterator for &'a Watched<Vec<T>> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T: Hash> Hash for Watched<T> {
    /// The value alone.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.value.hash(state);
    }
}
