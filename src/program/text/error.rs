//! What is wrong with a text, where, and what was expected instead.

use thiserror::Error;

/// A text that is no program, or a log that is no log.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{file}:{line}:{column}: expected {expected}, found {found}")]
pub struct TextError {
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What stands there.
    pub found: String,
    /// What should.
    pub expected: String,
}

/// A [`TextError`] within its line.
#[derive(Debug)]
pub(in crate::program) struct Fault {
    pub column: usize,
    pub found: String,
    pub expected: String,
}

impl Fault {
    /// With the file and the line, counted from 1.
    pub fn at(self, file: &str, line: usize) -> TextError {
        let Self {
            column,
            found,
            expected,
        } = self;
        TextError {
            file: file.to_owned(),
            line,
            column,
            found,
            expected,
        }
    }
}
