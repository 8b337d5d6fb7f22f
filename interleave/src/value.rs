//! What words held when they were read and written: kept of a run only where somebody asks for it, to
//! tell people what a call went by.

/// Whose word it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The kind of object, by its type's name.
    pub object: &'static str,
    /// The ordinal of its allocation.
    pub ordinal: u32,
    /// The word's name.
    pub word: &'static str,
    /// What the word is, by its type's name.
    pub of: &'static str,
}

/// A word that was read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value {
    /// The index of the access in the trace.
    pub step: u32,
    /// What was read, or what was written.
    pub word: u64,
    /// Whose; none: a word that is no object's.
    pub owner: Option<Owner>,
}
