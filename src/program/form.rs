//! Whether a file holds a program's text or its bytes. Any bytes are a program, so only what they look
//! like tells: one place decides, and every command that reads a program asks it.
//!
//! A name that ends in `.vma` says text, one that ends in `.bytes` says bytes. Otherwise a file with a
//! byte order mark is text; one with a NUL byte is bytes, as every encoded program has one in its
//! header; of the rest, what consists of text for nine parts of ten is text, perhaps a damaged one.

use std::path::Path;

use super::text::TextError;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A program as people write it.
    Text,
    /// A program as engines mutate it.
    Bytes,
}

impl Form {
    /// What this file was taken for.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Bytes => "bytes",
        }
    }

    /// What a file of this name and content holds, and why it is taken for that.
    pub fn of(path: &Path, content: &[u8]) -> (Self, &'static str) {
        let extension = path.extension().and_then(|end| end.to_str());
        match extension {
            Some("vma") => return (Self::Text, "its name ends in .vma"),
            Some("bytes") => return (Self::Bytes, "its name ends in .bytes"),
            _ => {}
        }
        if mark(content).is_some() {
            (Self::Text, "it begins with a byte order mark")
        } else if is_utf16(content) {
            (Self::Text, "it looks like UTF-16")
        } else if content.contains(&0) {
            (Self::Bytes, "it has NUL bytes")
        } else if is_mostly_text(content) {
            (Self::Text, "nearly all of it is printable")
        } else {
            (Self::Bytes, "much of it is not printable")
        }
    }
}

/// Byte order marks, and the encodings that begin so.
const MARKS: [(&[u8], &str); 5] = [
    (b"\xef\xbb\xbf", "UTF-8"),
    (b"\xff\xfe\0\0", "UTF-32"),
    (b"\0\0\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
];

fn mark(content: &[u8]) -> Option<(&'static [u8], &'static str)> {
    MARKS
        .into_iter()
        .find(|(mark, _)| content.starts_with(mark))
}

/// Whether a file without a byte order mark has a NUL beside each plain character. No encoded program
/// looks so: most of its header is zero.
fn is_utf16(content: &[u8]) -> bool {
    let (pairs, rest) = content.as_chunks::<2>();
    let plain = |byte: u8| byte.is_ascii_graphic() || b" \t\r\n".contains(&byte);
    let all = |is: fn(&[u8; 2]) -> (u8, u8)| {
        let mut pairs = pairs.iter().map(is);
        pairs.all(|(byte, nul)| nul == 0 && plain(byte))
    };
    let whole = rest.is_empty() && pairs.len() >= 4;
    whole && (all(|pair| (pair[0], pair[1])) || all(|pair| (pair[1], pair[0])))
}

fn is_mostly_text(content: &[u8]) -> bool {
    let text = |byte: &u8| byte.is_ascii_graphic() || b" \t\r\n".contains(byte);
    let high = |byte: &u8| *byte >= 0x80;
    let odd = match std::str::from_utf8(content) {
        // Letters of any language are text.
        Ok(_) => content
            .iter()
            .filter(|byte| !text(byte) && !high(byte))
            .count(),
        Err(_) => content.iter().filter(|byte| !text(byte)).count(),
    };
    odd * 10 <= content.len()
}

/// The text of a file that holds one.
///
/// # Errors
/// Names the first place that is no UTF-8, or the encoding that the file has instead.
pub fn text_of<'a>(file: &str, content: &'a [u8]) -> Result<&'a str, TextError> {
    let error = |line, column, found: String, help: &str| TextError {
        file: file.into(),
        line,
        column,
        found: found.into(),
        others: None,
        expected: "UTF-8 in a text program".into(),
        source: None,
        width: 1,
        help: vec![help.to_owned()],
    };
    match mark(content) {
        Some((_, encoding)) if encoding != "UTF-8" => {
            let found = format!("the byte order mark of {encoding}");
            return Err(error(1, 1, found, "save it as UTF-8"));
        }
        _ if is_utf16(content) => {
            let found = "what looks like UTF-16".to_owned();
            return Err(error(1, 1, found, "save it as UTF-8"));
        }
        _ => {}
    }
    utf8(content).map_err(|wrong| {
        let NotUtf8 { line, column, byte } = wrong;
        let help = "bytes of an engine are read from a file whose name ends in .bytes";
        error(line, column, format!("the byte {byte:#04x}"), help)
    })
}

/// The first byte of a text that is no UTF-8, and where it stands: line and column from 1.
pub(crate) struct NotUtf8 {
    pub line: usize,
    pub column: usize,
    pub byte: u8,
}

/// The text in these bytes.
pub(crate) fn utf8(content: &[u8]) -> Result<&str, NotUtf8> {
    std::str::from_utf8(content).map_err(|wrong| {
        let before = String::from_utf8_lossy(&content[..wrong.valid_up_to()]);
        NotUtf8 {
            line: before.matches('\n').count() + 1,
            column: before.rsplit('\n').next().unwrap_or("").chars().count() + 1,
            byte: content[wrong.valid_up_to()],
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::Program;

    #[track_caller]
    fn check(name: &str, content: &[u8], form: Form) {
        assert_eq!(Form::of(Path::new(name), content).0, form, "{name}");
    }

    #[test]
    fn names_decide_first() {
        check("a.vma", b"\0\0\0", Form::Text);
        check("a.bytes", b"load(1)\n", Form::Bytes);
    }

    #[test]
    fn what_is_encoded_is_never_text() {
        check("a", &Program::default().encode(), Form::Bytes);
    }

    #[test]
    fn text_is_never_bytes_for_one_odd_character() {
        check("a", b"load(1)\n", Form::Text);
        check("a", b"", Form::Text);
        check("a", b"load(1) # gr\xf6\xdfer than a page\n", Form::Text);
        check("a", b"\x1b[1mload(0x1000)\x1b[0m = 0\n", Form::Text);
        check("a", "# größer ☃ 漢字\n".as_bytes(), Form::Text);
        check("a", b"\xef\xbb\xbfload(1)\n", Form::Text);
        check("a", b"\xff\xfel\0o\0a\0d\0", Form::Text);
        check("a", b"l\0o\0a\0d\0(\0", Form::Text);
        check("a", b"\0l\0o\0a\0d\0(", Form::Text);
        check("a", b"\x02\0\0\0\0\0\0\0", Form::Bytes);
    }

    #[test]
    fn junk_is_bytes() {
        let junk: Vec<u8> = (1..=255).collect();
        check("a", &junk, Form::Bytes);
        check("a", b"\x7fELF\x02\x01\x01\0\0\0", Form::Bytes);
    }

    #[test]
    fn what_is_no_utf8_is_named_with_its_place() {
        let error = |content| text_of("a", content).unwrap_err().headline();
        assert_eq!(
            error(b"load(1)\n# gr\xf6\xdfer\n"),
            "a:2:5: expected UTF-8 in a text program, found the byte 0xf6"
        );
        assert_eq!(
            error(b"\xff\xfel\0"),
            "a:1:1: expected UTF-8 in a text program, found the byte order mark of UTF-16"
        );
        assert_eq!(
            error(b"l\0o\0a\0d\0"),
            "a:1:1: expected UTF-8 in a text program, found what looks like UTF-16"
        );
    }
}
