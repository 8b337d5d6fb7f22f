//! A program that diverged, as text: with what happened and what made it.

use std::fmt::Display;

use vmadiff::program::{Case, Program};

use super::provenance::Provenance;

/// A program that diverged, as text, with what happened and what made it as comments.
pub fn text(signature: &impl Display, what: &str, program: &Program, defects: &[String]) -> String {
    let comments = [
        format!("{signature}: {what}."),
        Provenance::here(defects).to_string(),
    ];
    let case = Case {
        program: program.clone(),
        comments: comments.into_iter().map(|comment| (0, comment)).collect(),
        ..Case::default()
    };
    case.to_string()
}
