//! Memory that is kept for reuse. A copy has none of it: copying the machine takes the same steps whatever
//! programs ran before.

use std::ops::{Deref, DerefMut};

/// Values without meaning, for the memory that they own.
#[derive(Debug)]
pub(crate) struct Kept<T>(Vec<T>);

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Clone for Kept<T> {
    /// None.
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl<T> Deref for Kept<T> {
    type Target = Vec<T>;

    fn deref(&self) -> &Vec<T> {
        &self.0
    }
}

impl<T> DerefMut for Kept<T> {
    fn deref_mut(&mut self) -> &mut Vec<T> {
        &mut self.0
    }
}
