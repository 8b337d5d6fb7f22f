//! A log of `strace -f -e trace=memory,process,desc`, or of a part of these, becomes a program.
//!
//! The program has the calls that the model knows, with their arguments, in the order in which
//! they finished: mapping and protection, locking, the heap, forks and ends, and opens and closes
//! of files that are mapped. Nothing is guessed: a call that the model does not have, or that is
//! made on what the log does not show, is left out and counted in the [`Summary`] by name and
//! reason. A log holds no accesses to memory, and neither does the program.
//!
//! **Addresses** stay. The heap begins where the first `brk(NULL)` says, and places are looked for
//! below the first one that Linux chose. Where Linux chose one that the rules would not (it aligns
//! large areas since 6.7, and avoids what execve mapped), the call asks for it, so that later calls
//! find it.
//!
//! **Memory that execve mapped** is not in a log: calls that succeeded on it are left out.
//!
//! **Files** are told by their descriptors: each open is a file of its own, as large as a stat of
//! it said, or as its mappings need. Descriptors have the program's numbers.
//!
//! **A later execve** ends an address space, as an exit does; what comes after it is a program of
//! its own, with a new address space ([`import_all`]).

mod family;
mod files;
mod log;
mod split;
mod summary;
mod tasks;
mod translate;

use vmadiff_contract::Outcome;

use super::Case;
use super::text::{TextError, outcome_text};

pub use summary::Summary;

/// What was made of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// The program. Each call expects what Linux answered.
    pub case: Case,
    /// What Linux answered, call by call.
    pub linux: Vec<Linux>,
    /// What was taken and what was not.
    pub summary: Summary,
}

/// What Linux answered to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linux {
    /// The line of the log, from 1.
    pub line: usize,
    /// In the program's terms: its descriptors and tasks. None for a call that does not return,
    /// and for an error that the model does not have.
    pub outcome: Option<Outcome>,
    /// As the log has it.
    pub text: String,
}

/// A call that Linux and another answered differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The call's index in the program.
    pub call: usize,
    /// The line of the log.
    pub line: usize,
    /// Linux's answer, as program text has it.
    pub linux: String,
    /// The other's.
    pub other: String,
}

/// Reads a log and makes a program of its first thread's, up to the next execve. The file's name
/// is for errors only.
///
/// # Errors
///
/// Names the first line that is none of strace's, and what was expected there.
pub fn import(file: &str, log: &str) -> Result<Import, TextError> {
    let mut images = import_all(file, log)?;
    let mut first = images.swap_remove(0);
    first.summary.others = images.len();
    Ok(first)
}

/// As [`import`], with a program for each execve of the log, in the order in which they began.
///
/// # Errors
///
/// As [`import`].
pub fn import_all(file: &str, log: &str) -> Result<Vec<Import>, TextError> {
    let events = family::in_order(log::read(file, log)?);
    let images = family::images(events);
    Ok(images
        .iter()
        .map(|events| translate::translate(events))
        .collect())
}

impl Import {
    /// Compares what Linux answered with what another did, call by call. Where they differ the
    /// case no longer expects Linux's answer; it stays as a note behind the call.
    pub fn compare(&mut self, others: &[Outcome]) -> Vec<Difference> {
        let mut differences = Vec::new();
        let calls = self.case.program.calls.iter().zip(&self.linux).zip(others);
        for (i, ((step, linux), &other)) in calls.enumerate() {
            let kind = step.call.kind();
            if linux.text == "?" || linux.outcome == Some(other) {
                continue;
            }
            let answer = match linux.outcome {
                Some(outcome) => outcome_text(kind, outcome),
                None => linux.text.clone(),
            };
            self.case.notes.push((i, format!("Linux: {answer}")));
            if let Some(expect) = self.case.expect.get_mut(i) {
                expect.outcome = None;
            }
            differences.push(Difference {
                call: i,
                line: linux.line,
                linux: answer,
                other: outcome_text(kind, other),
            });
        }
        differences
    }
}
