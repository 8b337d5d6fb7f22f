//! What is wrong with a text, where, what was expected instead, and what may have been meant.

use std::fmt;

/// Columns of a long line that are shown on each side of the place.
const AROUND: usize = 60;

/// A text that is no program, or a log that is no log.
///
/// Displayed, the first line is `file:line:column: expected …, found …`, as editors read it; below it
/// come the line itself, a caret at the place, and advice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextError {
    /// The file, as it was named.
    pub file: Box<str>,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What stands there.
    pub found: Box<str>,
    /// What should.
    pub expected: Box<str>,
    /// The line itself; none of a log's.
    pub source: Option<Box<str>>,
    /// How many characters from the place on are wrong.
    pub width: usize,
    /// What may have been meant, a sentence each.
    pub help: Vec<String>,
    /// What else is wrong with the text.
    pub others: Option<Box<Others>>,
}

/// Errors behind the first one of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Others {
    /// The first of them, at most [`ERRORS_SHOWN`] less one.
    pub shown: Vec<TextError>,
    /// How many more there are.
    pub more: usize,
}

/// Errors of one text that are shown.
pub const ERRORS_SHOWN: usize = 10;

impl std::error::Error for TextError {}

impl TextError {
    /// The first of these, with the others behind it; none of no errors.
    pub(super) fn of(mut errors: Vec<Self>) -> Option<Self> {
        if errors.is_empty() {
            return None;
        }
        let more = errors.len().saturating_sub(ERRORS_SHOWN);
        errors.truncate(ERRORS_SHOWN);
        let mut first = errors.remove(0);
        if !errors.is_empty() {
            let shown = errors;
            first.others = Some(Box::new(Others { shown, more }));
        }
        Some(first)
    }

    /// The first line alone: the place, what was expected and what was found.
    pub fn headline(&self) -> String {
        let Self {
            file,
            line,
            column,
            found,
            expected,
            ..
        } = self;
        format!("{file}:{line}:{column}: expected {expected}, found {found}")
    }
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.headline())?;
        if let Some(source) = &self.source {
            let (shown, at) = excerpt(source, self.column - 1);
            let carets = "^".repeat(self.width.clamp(1, AROUND));
            write!(f, "\n  {shown}\n  {:at$}{carets}", "")?;
        }
        for help in &self.help {
            write!(f, "\n  {help}")?;
        }
        let Some(others) = &self.others else {
            return Ok(());
        };
        for other in &others.shown {
            write!(f, "\n{other}")?;
        }
        match others.more {
            0 => Ok(()),
            1 => write!(f, "\none more error"),
            more => write!(f, "\n{more} more errors"),
        }
    }
}

/// The part of a line around a place, with a plain blank for whatever has no width of one, and where
/// the place is in it.
fn excerpt(line: &str, at: usize) -> (String, usize) {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let all: Vec<char> = line.chars().map(plain).collect();
    let from = at.saturating_sub(AROUND);
    let until = all.len().min(at + AROUND);
    let part: String = all[from.min(until)..until].iter().collect();
    let (before, behind) = (from > 0, until < all.len());
    let dots = |cut: bool| if cut { "…" } else { "" };
    let shown = format!("{}{part}{}", dots(before), dots(behind));
    (shown.trim_end().to_owned(), at - from + usize::from(before))
}

/// What in a text does nothing, or not what it seems to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What it is about, in one sentence without a full stop.
    pub what: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            column,
            what,
        } = self;
        write!(f, "{file}:{line}:{column}: {what}")
    }
}

/// A [`TextError`] within its line.
#[derive(Debug)]
pub(in crate::program) struct Fault {
    pub column: usize,
    pub found: String,
    pub expected: String,
    pub width: usize,
    pub help: Vec<String>,
}

impl Fault {
    /// With the file and the line, counted from 1.
    pub fn at(self, file: &str, line: usize) -> TextError {
        let Self {
            column,
            found,
            expected,
            width,
            help,
        } = self;
        TextError {
            file: file.into(),
            line,
            column,
            found: found.into(),
            expected: expected.into(),
            source: None,
            width,
            help,
            others: None,
        }
    }

    /// The same, and the line is shown.
    pub fn in_line(self, file: &str, line: usize, source: &str) -> TextError {
        TextError {
            source: Some(source.into()),
            ..self.at(file, line)
        }
    }

    /// With advice.
    #[must_use]
    pub fn help(mut self, advice: impl Into<String>) -> Self {
        self.help.push(advice.into());
        self
    }

    /// With the name that may have been meant, if one is near.
    #[must_use]
    pub fn near<'a>(self, word: &str, names: impl IntoIterator<Item = &'a str>) -> Self {
        match nearest(word, names) {
            Some(name) => self.help(format!("did you mean `{name}`?")),
            None => self,
        }
    }
}

/// Words this alike may be slips of the pen (Damerau-Levenshtein over the longer one's length).
const ALIKE: f64 = 0.6;

/// The name that is most like a word, if it is like it at all.
pub(in crate::program) fn nearest<'a>(
    word: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let word = word.to_lowercase();
    if word.len() < 2 || word.len() > 64 {
        return None;
    }
    let mut best = None;
    let mut most = ALIKE;
    for name in names {
        let alike = strsim::normalized_damerau_levenshtein(&word, &name.to_lowercase());
        if alike > most {
            (best, most) = (Some(name), alike);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let near = |word| nearest(word, ["PROT_READ", "PROT_WRITE", "PROT_EXEC"]);
        assert_eq!(near("PROT_RAED"), Some("PROT_READ"));
        assert_eq!(near("prot_write"), Some("PROT_WRITE"));
        assert_eq!(near("MAP_FIXED"), None);
        assert_eq!(near(""), None);
    }

    #[test]
    fn the_caret_is_below_the_place() {
        let fault = Fault {
            column: 3,
            found: "`b`".to_owned(),
            expected: "c".to_owned(),
            width: 2,
            help: vec!["so".to_owned()],
        };
        let shown = fault.in_line("f", 7, "a\tbb").to_string();
        assert_eq!(shown, "f:7:3: expected c, found `b`\n  a bb\n    ^^\n  so");
    }

    #[test]
    fn long_lines_are_cut() {
        let line = "x".repeat(500);
        let (shown, at) = excerpt(&line, 250);
        assert_eq!(shown.chars().count(), 2 * AROUND + 2);
        assert_eq!(at, AROUND + 1);
        assert_eq!(excerpt("short", 5), ("short".to_owned(), 5));
    }
}
