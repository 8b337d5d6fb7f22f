//! Lines that are read several times, and names of numbers: `repeat 5 as i:` … `end`, `let base = 4p`.

use super::cursor::{Cursor, Range};
use super::error::{Fault, TextError};
use super::parse::{Block, Parser};

/// The most lines that all repeats of a text may come to: a slip of the pen must not take all memory.
const REPEATED_MAX: usize = 1_000_000;

impl Parser<'_> {
    /// Reads `let name = number`.
    pub(super) fn let_(cursor: &mut Cursor<'_>) -> Result<(String, u64), Fault> {
        cursor.word();
        let name = Self::new_name(cursor)?;
        cursor.expect("=")?;
        Ok((name, cursor.sum("a number", Range::bits(64))?))
    }

    /// Reads a name that no number has yet.
    fn new_name(cursor: &mut Cursor<'_>) -> Result<String, Fault> {
        cursor.take("a name that is not taken, in small letters", |cursor| {
            let name = cursor.word();
            let small = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            let begins = name.starts_with(|c: char| c.is_ascii_lowercase());
            let is_new = begins && name.chars().all(small);
            (is_new && !cursor.knows(name)).then(|| name.to_owned())
        })
    }

    /// Reads `repeat 5 as i:` and the lines up to its `end`; answers the line behind that.
    pub(super) fn repeat(&mut self, at: usize, until: usize) -> Result<usize, TextError> {
        let (times, name) = self.head(at).map_err(|fault| self.error(fault, at))?;
        let mut depth = 0;
        let mut end = None;
        for line in at..until {
            let mut cursor = Cursor::new(self.lines[line]);
            depth += usize::from(cursor.eat_word("repeat"));
            if cursor.eat_word("end") {
                depth -= 1;
            }
            if depth == 0 {
                end = Some(line);
                break;
            }
        }
        let Some(end) = end else {
            let mut cursor = Cursor::new(self.lines[at]);
            return Err(self.error(cursor.fault("a line `end` below this `repeat`"), at));
        };
        let (outer, was_again) = (self.names.len(), self.again);
        for time in 0..times {
            self.repeated += end - at;
            if self.repeated > REPEATED_MAX {
                let mut cursor = Cursor::new(self.lines[at]);
                let expected = format!("repeats that come to at most {REPEATED_MAX} lines");
                return Err(self.error(cursor.fault(expected), at));
            }
            self.names.extend(name.clone().map(|name| (name, time)));
            self.again = was_again || time > 0;
            self.read_lines(at + 1, end)?;
            if !self.errors.is_empty() {
                break;
            }
            self.block = Block::None;
            self.names.truncate(outer);
        }
        self.again = was_again;
        self.end_of_repeat(end)
            .map_err(|fault| self.error(fault, end))?;
        Ok(end + 1)
    }

    fn head(&self, at: usize) -> Result<(u64, Option<String>), Fault> {
        let mut cursor = Cursor::with_names(self.lines[at], &self.names);
        cursor.word();
        let expected = "how often, a number from 1";
        let before = cursor.clone();
        let times = cursor.sum(expected, Range::to(u64::MAX))?;
        if times == 0 {
            return Err(before.clone().fault(expected));
        }
        let name = if cursor.eat_word("as") {
            Some(Self::new_name(&mut cursor)?)
        } else {
            None
        };
        cursor.expect(":")?;
        if !cursor.is_at_end() && !cursor.eat("#") {
            return Err(cursor.fault("the end of the line, or a comment"));
        }
        Ok((times, name))
    }

    fn end_of_repeat(&self, at: usize) -> Result<(), Fault> {
        let mut cursor = Cursor::new(self.lines[at]);
        cursor.word();
        if cursor.is_at_end() || cursor.eat("#") {
            return Ok(());
        }
        Err(cursor.fault("the end of the line, or a comment"))
    }
}
