//! A place in a line, and what can be read from there.

use super::error::Fault;

/// Reads a line from left to right. Blanks before what is read are skipped.
#[derive(Clone, Debug)]
pub(in crate::program) struct Cursor<'a> {
    line: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(line: &'a str) -> Self {
        Self { line, at: 0 }
    }

    /// What is left, from the next character that is no blank.
    pub fn rest(&mut self) -> &'a str {
        let rest = self.line[self.at..].trim_start();
        self.at = self.line.len() - rest.len();
        rest
    }

    pub fn is_at_end(&mut self) -> bool {
        self.rest().is_empty()
    }

    /// Takes all that is left.
    pub fn take_rest(&mut self) -> &'a str {
        let rest = self.rest();
        self.at = self.line.len();
        rest
    }

    /// Takes this token if it comes next.
    pub fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    /// Takes this token, or says that it was expected.
    pub fn expect(&mut self, token: &str) -> Result<(), Fault> {
        if self.eat(token) {
            return Ok(());
        }
        Err(self.fault(format!("`{token}`")))
    }

    /// Takes the longest run of such characters; it may be empty.
    pub fn run(&mut self, accept: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !accept(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// Takes letters, digits and underscores; there may be none.
    pub fn word(&mut self) -> &'a str {
        self.run(|c| c.is_ascii_alphanumeric() || c == '_')
    }

    /// Takes what `read` makes something of; otherwise stays, and says what was expected.
    pub fn take<T>(
        &mut self,
        expected: &str,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Result<T, Fault> {
        self.rest();
        let before = self.at;
        read(self).ok_or_else(|| {
            self.at = before;
            self.fault(expected)
        })
    }

    /// Takes a number: decimal or `0x` hexadecimal, perhaps with `KiB`, `MiB` or `GiB`.
    pub fn number(&mut self, expected: &str) -> Result<u64, Fault> {
        self.take(expected, |cursor| number(cursor.word()))
    }

    /// Says that something else was expected here.
    pub fn fault(&mut self, expected: impl Into<String>) -> Fault {
        let rest = self.rest();
        let word = self.clone().word();
        let found = match rest.chars().next() {
            None => "the end of the line".to_owned(),
            Some(first) if word.is_empty() => format!("`{first}`"),
            Some(_) => format!("`{}`", word.chars().take(40).collect::<String>()),
        };
        Fault {
            column: self.line[..self.at].chars().count() + 1,
            found,
            expected: expected.into(),
        }
    }
}

fn number(text: &str) -> Option<u64> {
    if let Some(hex) = text.strip_prefix("0x") {
        return u64::from_str_radix(hex, 16).ok();
    }
    let (digits, shift) = [("KiB", 10), ("MiB", 20), ("GiB", 30)]
        .into_iter()
        .find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, shift)))
        .unwrap_or((text, 0));
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        let check = |text: &str, expected| assert_eq!(number(text), expected, "{text}");
        check("0", Some(0));
        check("0x10000", Some(0x1_0000));
        check("64KiB", Some(0x1_0000));
        check("18446744073709551615", Some(u64::MAX));
        check("18446744073709551616", None);
        check("16777216GiB", Some(1 << 54));
        check("99999999999GiB", None);
        check("", None);
        check("KiB", None);
        check("0x", None);
        check("+1", None);
        check("12a", None);
    }

    #[test]
    fn a_fault_names_the_place_and_the_word() {
        let mut cursor = Cursor::new("  größe = wort");
        assert_eq!(cursor.run(char::is_alphabetic), "größe");
        assert!(cursor.eat("="));
        let fault = cursor.number("a number").unwrap_err();
        assert_eq!((fault.column, fault.found.as_str()), (11, "`wort`"));
    }
}
