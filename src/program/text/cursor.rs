//! A place in a line, and what can be read from there.

use vmadiff_contract::PAGE_SIZE;

use super::error::{Fault, nearest};

/// Names of numbers (`let`, `repeat … as`), the innermost last.
pub(in crate::program) type Names = [(String, u64)];

/// Reads a line from left to right. Blanks before what is read are skipped.
#[derive(Clone, Debug)]
pub(in crate::program) struct Cursor<'a> {
    line: &'a str,
    at: usize,
    names: &'a Names,
    /// Parentheses that are open around the number that is read.
    depth: u32,
}

/// The most parentheses in each other: they are read by recursion.
const DEPTH_MAX: u32 = 32;

/// Which numbers a place can hold. A negative one stands for its two's complement.
#[derive(Clone, Copy, Debug)]
pub(in crate::program) struct Range {
    least: i128,
    most: i128,
}

impl Range {
    /// What so many bits hold, with or without a sign.
    pub const fn bits(bits: u32) -> Self {
        Self {
            least: -(1 << (bits - 1)),
            most: (1 << bits) - 1,
        }
    }

    /// From 0 to this.
    pub const fn to(most: u64) -> Self {
        Self {
            least: 0,
            most: most as i128,
        }
    }

    /// What a C `int` holds.
    pub const INT: Self = Self {
        least: i32::MIN as i128,
        most: i32::MAX as i128,
    };
}

impl<'a> Cursor<'a> {
    pub fn new(line: &'a str) -> Self {
        Self::with_names(line, &[])
    }

    /// Numbers may have these names.
    pub fn with_names(line: &'a str, names: &'a Names) -> Self {
        Self {
            line,
            at: 0,
            names,
            depth: 0,
        }
    }

    /// Whether a number has this name.
    pub fn knows(&self, name: &str) -> bool {
        self.names.iter().any(|(known, _)| known == name)
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

    /// Reads a line from this column on, in characters from 1.
    pub fn from_column(line: &'a str, column: usize) -> Self {
        let mut cursor = Self::new(line);
        let place = line.char_indices().nth(column.saturating_sub(1));
        cursor.at = place.map_or(line.len(), |(at, _)| at);
        cursor
    }

    /// The column of what comes next, in characters from 1.
    pub fn column(&mut self) -> usize {
        self.rest();
        self.line[..self.at].chars().count() + 1
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

    /// Takes a word that is known to come next.
    pub fn skip_word(&mut self, word: &str) {
        self.rest();
        self.at += word.len();
    }

    /// Takes this word if it comes next, and not as the beginning of a longer one.
    pub fn eat_word(&mut self, word: &str) -> bool {
        let found = self.peek() == word;
        if found {
            self.skip_word(word);
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

    /// The next word, which stays.
    pub fn peek(&self) -> &'a str {
        self.clone().word()
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

    /// Takes a number: decimal or `0x` hexadecimal, perhaps with `KiB`, `MiB`, `GiB`, or `p` for pages.
    pub fn number(&mut self, expected: &str) -> Result<u64, Fault> {
        self.take(expected, |cursor| number(cursor.word()))
    }

    /// Takes a sum of products of numbers and names, `0x400000+2*(i+1)*0x1000`, that lies in a range.
    pub fn sum(&mut self, expected: &str, range: Range) -> Result<u64, Fault> {
        self.rest();
        let before = self.at;
        let sum = self.terms(expected)?;
        if (range.least..=range.most).contains(&sum) {
            return Ok(sum as u64);
        }
        let width = self.line[before..self.at].trim_end().chars().count();
        self.at = before;
        let mut fault = self.fault(expected);
        fault.width = width;
        let bits = 128 - sum.unsigned_abs().leading_zeros();
        Err(if bits > 64 {
            fault.help("a number has at most 64 bits")
        } else if width > fault.found.chars().count() - 2 {
            fault.help(format!("this comes to {sum}"))
        } else {
            fault
        })
    }

    /// Products with `+` and `-` between them, wherever they lie.
    fn terms(&mut self, expected: &str) -> Result<i128, Fault> {
        let mut sum = self.product(expected)?;
        loop {
            let is_arrow = self.rest().starts_with("->");
            let next = if self.eat("+") {
                self.product("a number behind `+`")?
            } else if !is_arrow && self.eat("-") {
                self.product("a number behind `-`")?.saturating_neg()
            } else {
                return Ok(sum);
            };
            sum = sum.saturating_add(next);
        }
    }

    fn product(&mut self, expected: &str) -> Result<i128, Fault> {
        let mut product = self.factor(expected)?;
        while self.eat("*") {
            product = product.saturating_mul(self.factor("a number behind `*`")?);
        }
        Ok(product)
    }

    /// A number, a name of one, or either behind `-` or `~`.
    pub fn factor(&mut self, expected: &str) -> Result<i128, Fault> {
        if self.eat("-") {
            return Ok(-self.unsigned("a number behind `-`")?);
        }
        if self.eat("~") {
            return Ok(!self.unsigned("a number behind `~`")?);
        }
        self.unsigned(expected)
    }

    fn unsigned(&mut self, expected: &str) -> Result<i128, Fault> {
        if self.rest().starts_with('(') {
            if self.depth == DEPTH_MAX {
                return Err(self.fault(format!("at most {DEPTH_MAX} parentheses in each other")));
            }
            self.eat("(");
            self.depth += 1;
            let inside = self.terms("a number behind `(`")?;
            self.depth -= 1;
            self.expect(")")?;
            return Ok(inside);
        }
        let word = self.peek();
        let names = self.names;
        let named = names.iter().rev().find(|(name, _)| name == word);
        let value = named.map(|(_, value)| *value).or_else(|| number(word));
        if let Some(value) = value {
            self.word();
            return Ok(value.into());
        }
        let fault = self.fault(expected);
        let is_name = word.starts_with(|c: char| c.is_ascii_alphabetic());
        Err(if !is_name {
            fault.help_of_number(word)
        } else if let Some(name) = nearest(word, names.iter().map(|(name, _)| name.as_str())) {
            fault.help(format!("did you mean `{name}`?"))
        } else {
            fault
        })
    }

    /// Says that something else was expected here.
    pub fn fault(&mut self, expected: impl Into<String>) -> Fault {
        let rest = self.rest();
        let word = self.peek();
        let first = rest.chars().next();
        let found = match first {
            None => "the end of the line".to_owned(),
            Some(first) if word.is_empty() => named(first),
            Some(_) => format!("`{}`", word.chars().take(40).collect::<String>()),
        };
        Fault {
            column: self.line[..self.at].chars().count() + 1,
            found,
            expected: expected.into(),
            width: word.chars().count().max(1),
            help: Vec::new(),
        }
    }
}

impl Fault {
    /// What is wrong with a word that begins like a number.
    fn help_of_number(self, word: &str) -> Self {
        let digits = word.strip_prefix("0x").unwrap_or(word);
        let all = |is: fn(&u8) -> bool| !digits.is_empty() && digits.as_bytes().iter().all(is);
        if all(u8::is_ascii_digit) || word.len() > digits.len() && all(u8::is_ascii_hexdigit) {
            self.help("a number has at most 64 bits")
        } else if word.len() == digits.len() && all(u8::is_ascii_hexdigit) {
            self.help(format!("hexadecimal numbers begin with 0x: 0x{word}"))
        } else if word.starts_with(|c: char| c.is_ascii_digit()) {
            self.help("numbers are as 4096, 0x1000, 4KiB, or 1p for a page")
        } else {
            self
        }
    }
}

/// A character as an error names it: what cannot be seen, by its number.
fn named(c: char) -> String {
    match c {
        '\u{feff}' => "a byte order mark (U+FEFF)".to_owned(),
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}' => {
            format!("U+{:04X}, which cannot be seen", c as u32)
        }
        c if c.is_control() => format!("the control character U+{:04X}", c as u32),
        c if c.is_ascii() => format!("`{c}`"),
        c => format!("`{c}` (U+{:04X})", c as u32),
    }
}

fn number(text: &str) -> Option<u64> {
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        if let Some(pages) = hex.strip_suffix('p') {
            return hexadecimal(pages)?.checked_mul(PAGE_SIZE);
        }
        return hexadecimal(hex);
    }
    let (digits, unit) = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("p", PAGE_SIZE),
    ]
    .into_iter()
    .find_map(|(name, unit)| Some((text.strip_suffix(name)?, unit)))
    .unwrap_or((text, 1));
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

fn hexadecimal(digits: &str) -> Option<u64> {
    if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    u64::from_str_radix(digits, 16).ok()
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
        check("4p", Some(0x4000));
        check("0x10p", Some(0x1_0000));
        check("", None);
        check("p", None);
        check("KiB", None);
        check("0x", None);
        check("0x+1", None);
        check("+1", None);
        check("12a", None);
    }

    #[test]
    fn sums() {
        let names = [("i".to_owned(), 3), ("base".to_owned(), 0x40_0000)];
        let read = |text: &str, range| {
            let mut cursor = Cursor::with_names(text, &names);
            let sum = cursor.sum("a number", range);
            sum.ok().map(|sum| (sum, cursor.take_rest().to_owned()))
        };
        let check = |text: &str, range, sum: Option<u64>, rest: &str| {
            let expected = sum.map(|sum| (sum, rest.to_owned()));
            assert_eq!(read(text, range), expected, "{text}");
        };
        let word = Range::bits(64);
        check("6*0x1000", word, Some(0x6000), "");
        check("base + i*1p - 1, 7", word, Some(0x40_2fff), ", 7");
        check("-4096", word, Some(0xffff_ffff_ffff_f000), "");
        check("~0", word, Some(u64::MAX), "");
        check("0xffffffffffffffff", word, Some(u64::MAX), "");
        check("0xffffffffffffffff+1", word, None, "");
        check("-9223372036854775809", word, None, "");
        check("12 -> 2", word, Some(12), "-> 2");
        check("1<<2", word, Some(1), "<<2");
        check("2*", word, None, "");
        check("256", Range::to(255), None, "");
        check("-1", Range::to(255), None, "");
        check("-1", Range::INT, Some(u64::MAX), "");
        check("0x80000000", Range::INT, None, "");
        let huge = "0xffffffffffffffff*".repeat(50) + "1";
        check(&huge, word, None, "");
    }

    #[test]
    fn a_fault_names_the_place_and_the_word() {
        let mut cursor = Cursor::new("  größe = wort");
        assert_eq!(cursor.run(char::is_alphabetic), "größe");
        assert!(cursor.eat("="));
        let fault = cursor.number("a number").unwrap_err();
        assert_eq!((fault.column, fault.found.as_str()), (11, "`wort`"));
    }

    #[test]
    fn what_cannot_be_seen_has_a_name() {
        let found = |text| Cursor::new(text).fault("").found;
        assert_eq!(found("\u{feff}a"), "a byte order mark (U+FEFF)");
        assert_eq!(found("\u{1b}[0m"), "the control character U+001B");
        assert_eq!(found("\u{200b}x"), "U+200B, which cannot be seen");
        assert_eq!(found("\u{2013}1"), "`\u{2013}` (U+2013)");
    }
}
