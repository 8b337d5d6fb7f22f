//! Decides whether two observations of a program agree. Pure; nothing else decides.

use std::fmt;

/// What the judge says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All that is compared is equal, and no law is broken.
    Agree,
    /// Not comparable, and why.
    Skip(String),
    /// A bug.
    Diverge(Divergence),
}

/// A difference, or a law broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// What kind of difference: stable, whatever the addresses and numbers are.
    pub signature: Signature,
    /// The index of the call at which it shows; none: at quiescence.
    pub at: Option<usize>,
    /// What happened, in one sentence.
    pub what: String,
}

/// Names a kind of divergence: dedup, shrinking and file names go by it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Signature {
    /// The rule that was broken, for example `outcome`, `state`, `vma-freed-once`.
    pub rule: &'static str,
    /// The call at which it showed, or `quiescence`.
    pub call: &'static str,
    /// The field or object, for example `vmas.flags`.
    pub field: &'static str,
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.rule, self.call, self.field)
    }
}
