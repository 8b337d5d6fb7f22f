//! Programs that diverged, as files: with what happened and what made them, and never one over
//! another.

mod provenance;
mod write;

use std::fmt::Display;

use vmadiff::designs::Planted;
use vmadiff::program::{Case, Program};

pub use provenance::{COMMIT, Provenance, TOOLCHAIN, VERSION};
pub use write::{write_beside, write_signed};

/// A program that diverged, as text, with what happened and what made it as comments. None: not by
/// a candidate.
pub fn text(
    signature: &impl Display,
    what: &str,
    program: &Program,
    planted: Option<&Planted>,
) -> String {
    let comments = [
        format!("{signature}: {what}."),
        Provenance::here(planted).to_string(),
    ];
    let case = Case {
        program: program.clone(),
        comments: comments.into_iter().map(|comment| (0, comment)).collect(),
        ..Case::default()
    };
    case.to_string()
}
