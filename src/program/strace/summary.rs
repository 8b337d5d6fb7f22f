//! What was taken from a log, and what was not and why.

use crate::counted::counted;
use std::collections::BTreeMap;
use std::fmt;

/// Counts of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Calls of the log, and ends of threads that no call tells of.
    pub seen: usize,
    /// Those that are in the program.
    pub taken: usize,
    /// Programs of the log that are not this one: execve started them.
    pub others: usize,
    /// Calls of the program that make the areas that were there before the log began.
    pub start: usize,
    /// Places chosen by Linux that the rules would not have chosen: the call now asks for them.
    pub placed: usize,
    /// Areas that Linux used the place of again, though no call of the log unmaps them: the program
    /// does, right before.
    pub unmapped: usize,
    /// What else a user has to know of the log.
    pub notes: Vec<String>,
    /// What was left out, by name and reason; `line` is the name of what is no call.
    pub skipped: BTreeMap<(String, String), Skipped>,
}

/// Calls or lines that were left out for one reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// How many.
    pub count: usize,
    /// Where the first of them is, as `file:line`.
    pub first: String,
    /// What stands there, if it is no call.
    pub text: Option<String>,
}

impl Summary {
    /// Counts one that is left out.
    pub(in crate::program) fn skip(&mut self, name: &str, why: &str, at: &str, text: Option<&str>) {
        let key = (name.to_owned(), why.to_owned());
        let skipped = self.skipped.entry(key).or_insert_with(|| Skipped {
            count: 0,
            first: at.to_owned(),
            text: text.map(str::to_owned),
        });
        skipped.count += 1;
    }

    /// Why most of what was left out was left out.
    pub fn main_reason(&self) -> Option<String> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for ((_, why), skipped) in &self.skipped {
            *counts.entry(why).or_default() += skipped.count;
        }
        let most = counts.into_iter().max_by_key(|(_, count)| *count);
        most.map(|(why, count)| format!("{count} of what is left out: {why}"))
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} from a log of {}",
            counted(self.taken, "call"),
            self.seen
        )?;
        if self.start > 0 {
            writeln!(
                f,
                "{} before them {} the areas that were there",
                counted(self.start, "call"),
                if self.start == 1 { "makes" } else { "make" }
            )?;
        }
        if self.others > 0 {
            writeln!(
                f,
                "{} that execve started {} left out",
                counted(self.others, "program"),
                if self.others == 1 { "is" } else { "are" }
            )?;
        }
        if self.placed > 0 {
            writeln!(
                f,
                "{} of Linux's own, now asked for",
                counted(self.placed, "placement")
            )?;
        }
        if self.unmapped > 0 {
            let said = "unmapped though the log unmaps none there: Linux used the place again";
            writeln!(f, "{} {said}", counted(self.unmapped, "area"))?;
        }
        for note in &self.notes {
            writeln!(f, "{note}")?;
        }
        for ((name, why), Skipped { count, first, text }) in &self.skipped {
            write!(f, "skipped {count:5} {name}: {why} (")?;
            if *count > 1 {
                f.write_str("first ")?;
            }
            f.write_str(first)?;
            if let Some(text) = text {
                write!(f, ": {text:?}")?;
            }
            writeln!(f, ")")?;
        }
        Ok(())
    }
}
