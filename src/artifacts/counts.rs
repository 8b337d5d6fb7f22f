//! How often the programs of a folder were found: in a file beside them, so that a program that comes
//! again stays as it is.

use std::collections::BTreeMap;
use std::path::Path;

use vmadiff::program::Case;

use super::COUNTS;
use crate::files::{self, Lasting};

/// How often each program of a folder was found, by its file's name. A line of the file is
/// `3 state-mmap-vmas-flags.vma`; once is not told.
#[derive(Debug, Default)]
pub struct Counts(BTreeMap<String, u64>);

impl Counts {
    /// Reads a folder's; a line that is none tells nothing.
    pub fn of(folder: &Path) -> Self {
        let text = std::fs::read_to_string(folder.join(COUNTS)).unwrap_or_default();
        let line = |line: &str| {
            let (times, name) = line.split_once(' ')?;
            Some((name.to_owned(), times.parse().ok()?))
        };
        Self(text.lines().filter_map(line).collect())
    }

    /// How often the program in this file was found.
    pub fn get(&self, name: &str, case: &Case) -> u64 {
        let told = self.0.get(name).copied();
        told.unwrap_or_else(|| told_in(case))
    }

    /// The program in this file was found so often.
    pub fn set(&mut self, name: &str, times: u64) {
        match times {
            1 => self.0.remove(name),
            _ => self.0.insert(name.to_owned(), times),
        };
    }

    /// Writes a folder's. That it cannot, as on a full disk, loses a count and no program.
    pub fn write(&self, folder: &Path) {
        let lines = self
            .0
            .iter()
            .map(|(name, times)| format!("{times} {name}\n"));
        let text: String = lines.collect();
        let _ = files::replace(&folder.join(COUNTS), text.as_bytes(), Lasting::Disk);
    }
}

/// What the program's own comment says, as it was written once: `found 3 times`.
fn told_in(case: &Case) -> u64 {
    let mut comments = case.comments.iter();
    let times = comments.find_map(|(_, comment)| {
        let number = comment.trim().strip_prefix("found ")?;
        number.strip_suffix(" times")?.parse().ok()
    });
    times.unwrap_or(1)
}
