//! Programs that diverged, as files: with what happened, what made them and how often they were
//! found, and never one over another.

#[cfg(feature = "engine")]
mod counts;
#[cfg(feature = "engine")]
mod identity;
mod provenance;
#[cfg(feature = "engine")]
mod write;

use std::fmt::Display;

use vmadiff::designs::Planted;
use vmadiff::program::{Case, Program};

#[cfg(feature = "engine")]
pub use identity::kept_before;
pub use provenance::Provenance;
#[cfg(feature = "engine")]
pub use provenance::{COMMIT, TOOLCHAIN, VERSION};
#[cfg(feature = "engine")]
pub use write::Kept;

/// Beside programs, the file that says how often each was found.
pub const COUNTS: &str = "counts.txt";

/// A program that diverged, with what happened and what made it as comments. None: not by a
/// candidate.
pub fn case(
    signature: &impl Display,
    what: &str,
    program: &Program,
    planted: Option<&Planted>,
) -> Case {
    let comments = [
        format!("{signature}: {what}."),
        Provenance::here(planted).to_string(),
    ];
    Case {
        program: program.clone(),
        comments: comments.into_iter().map(|comment| (0, comment)).collect(),
        ..Case::default()
    }
}
