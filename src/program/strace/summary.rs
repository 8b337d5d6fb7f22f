//! What was taken from a log, and what was not and why.

use std::collections::BTreeMap;
use std::fmt;

/// Counts of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Calls of the log's program.
    pub seen: usize,
    /// Programs of the log that are not this one: execve started them.
    pub others: usize,
    /// Calls of the program.
    pub imported: usize,
    /// Places chosen by Linux that the rules would not have chosen: the call now asks for them.
    pub placed: usize,
    /// Calls that were skipped, by name and reason.
    pub skipped: BTreeMap<(String, String), usize>,
}

impl Summary {
    pub(super) fn skip(&mut self, name: &str, why: &str) {
        *self
            .skipped
            .entry((name.to_owned(), why.to_owned()))
            .or_default() += 1;
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seen,
            others,
            imported,
            placed,
            skipped,
        } = self;
        writeln!(f, "{imported} calls from a log of {seen}")?;
        if *others > 0 {
            writeln!(f, "{others} programs that execve started are left out")?;
        }
        if *placed > 0 {
            writeln!(f, "{placed} placements of Linux's own, now asked for")?;
        }
        for ((name, why), count) in skipped {
            writeln!(f, "skipped {count:5} {name}: {why}")?;
        }
        Ok(())
    }
}
