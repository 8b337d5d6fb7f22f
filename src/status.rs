//! How the command ends.

use std::fmt;
use std::process::ExitCode;

/// What a command came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// The managers agreed, or there was nothing to compare.
    Agreed,
    /// They did not, or not with what a program expects.
    Diverged,
    /// Wrong usage or input.
    BadInput,
    /// The harness itself failed: a panic, a hang, out of memory, nothing executed.
    HarnessFailed,
    /// `bisect` cannot tell: what `git bisect run` takes for "skip this one".
    CannotTell = 125,
}

impl Status {
    /// The number that the process exits with.
    pub fn number(self) -> u8 {
        self as u8
    }
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status.number())
    }
}

/// An error that is the harness's own and not the user's.
#[derive(Debug)]
pub struct HarnessFailed(pub String);

impl fmt::Display for HarnessFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for HarnessFailed {}
