//! What stands behind the arguments: the result of a call, and what strace adds to it.

use super::split::{annotation, comment, string};
use super::time::Nanos;

/// What a call answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// A value.
    Value(u64),
    /// The name of an error.
    Error(String),
    /// Nothing that the log knows: the call does not return, or the log ends first.
    Unknown,
}

/// A result that is all there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub reply: Reply,
    /// How long the call took, if `-T` was given.
    pub took: Option<Nanos>,
    /// strace made it up, or changed the arguments (`-e inject`): the kernel was not asked this.
    pub is_injected: bool,
    /// It cannot be the beginning of a longer one.
    pub is_certain: bool,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// All of it.
    Whole(Answer),
    /// The beginning of one: the rest may be in the next line.
    Open,
    /// Something else.
    Wrong,
}

/// Reads what follows the closing parenthesis.
pub(super) fn reply(text: &str) -> Found {
    let text = text.trim();
    let Some(text) = text.strip_prefix('=') else {
        return if text.is_empty() {
            Found::Open
        } else {
            Found::Wrong
        };
    };
    let text = text.trim_start();
    let (reply, rest) = if let Some(rest) = text.strip_prefix('?') {
        (Reply::Unknown, named(rest).map_or(rest, |(_, rest)| rest))
    } else if let Some(rest) = text.strip_prefix("-1").filter(|rest| !starts_word(rest)) {
        let rest = rest.trim_start();
        if rest.is_empty() {
            return Found::Open;
        }
        match named(rest) {
            Some((name, rest)) => (Reply::Error(name.to_owned()), rest),
            // A number that strace has no name for.
            None if rest.starts_with("(errno ") => (Reply::Error("errno".to_owned()), rest),
            None => return Found::Wrong,
        }
    } else if text.is_empty() {
        return Found::Open;
    } else {
        let end = text
            .find(|c: char| !c.is_ascii_alphanumeric())
            .unwrap_or(text.len());
        match number(&text[..end]) {
            Some(value) => (Reply::Value(value), &text[end..]),
            None => return Found::Wrong,
        }
    };
    let is_named = !matches!(reply, Reply::Value(_));
    tail(
        rest,
        Answer {
            reply,
            took: None,
            is_injected: false,
            is_certain: is_named,
        },
    )
}

/// What strace adds: `<path>`, `(text)`, `[signals]`, comments, a time.
fn tail(text: &str, mut answer: Answer) -> Found {
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let Some(first) = rest.chars().next() else {
            if let Reply::Error(_) = answer.reply {
                // strace explains each error; without that the line was cut.
                answer.is_certain = text.contains('(');
            }
            return Found::Whole(answer);
        };
        let len = match first {
            '/' if rest.starts_with("/*") => Some(comment(rest)),
            '<' => annotation(rest),
            '(' | '[' | '{' => bracket(rest),
            '=' if rest.starts_with("=> ") => return Found::Whole(answer),
            _ => return Found::Wrong,
        };
        let Some(len) = len else {
            return Found::Open;
        };
        let piece = &rest[..len];
        if let Some(took) = piece
            .strip_prefix('<')
            .and_then(|time| time.strip_suffix('>'))
        {
            answer.took = Nanos::seconds(took).or(answer.took);
        }
        answer.is_injected |= piece.starts_with("(INJECTED");
        answer.is_certain = true;
        rest = &rest[len..];
    }
}

/// The length of what is in brackets at the beginning; none if nothing closes them.
fn bracket(text: &str) -> Option<usize> {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(c) = text[at..].chars().next() {
        at += match c {
            '"' => string(&text[at..]),
            _ => c.len_utf8(),
        };
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// An error's name and what follows it.
fn named(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    let is_part = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
    let name = &text[..end];
    (name.starts_with('E') && end > 1).then_some((name, &text[end..]))
}

fn starts_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
}

/// A number as strace writes it: `NULL`, decimal, octal or hexadecimal.
pub(super) fn number(text: &str) -> Option<u64> {
    if text == "NULL" {
        return Some(0);
    }
    if let Some(hex) = text.strip_prefix("0x") {
        return u64::from_str_radix(hex, 16).ok();
    }
    let all_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    match text.strip_prefix('0') {
        Some(octal) if !octal.is_empty() && all_digits(octal) => u64::from_str_radix(octal, 8).ok(),
        _ if !text.is_empty() && all_digits(text) => text.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn whole(text: &str) -> Answer {
        match reply(text) {
            Found::Whole(answer) => answer,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn results_are_read_with_what_follows_them() {
        let value = |text| (whole(text).reply, whole(text).is_certain);
        assert_eq!(value(" = 0"), (Reply::Value(0), false));
        assert_eq!(value("   = 0x7f00"), (Reply::Value(0x7f00), false));
        assert_eq!(value(" = 5</srv/a, b>(deleted)"), (Reply::Value(5), true));
        assert_eq!(
            value(" = 7 /* 9 in strace's PID NS */"),
            (Reply::Value(7), true)
        );
        assert_eq!(value(" = 0x2 (flags O_RDWR (x))"), (Reply::Value(2), true));
        assert_eq!(value(" = 0 (Timeout) <0.000012>"), (Reply::Value(0), true));
        let error = |name: &str| Reply::Error(name.to_owned());
        assert_eq!(
            value(" = -1 EINVAL (Invalid argument)"),
            (error("EINVAL"), true)
        );
        assert_eq!(value(" = -1 EINV"), (error("EINV"), false));
        assert_eq!(value(" = -1 (errno 500)"), (error("errno"), true));
        assert_eq!(value(" = ?"), (Reply::Unknown, true));
        assert_eq!(value(" = ? <unavailable>"), (Reply::Unknown, true));
        assert_eq!(
            value(" = ? ERESTARTSYS (To be restarted)"),
            (Reply::Unknown, true)
        );
        assert_eq!(whole(" = 0 <1.000012>").took, Nanos::seconds("1.000012"));
        assert!(whole(" = 0 (INJECTED)").is_injected);
        assert!(!whole(" = 0 (DELAYED)").is_injected);
    }

    #[test]
    fn what_may_go_on_is_told_from_what_is_no_result() {
        for text in [
            "",
            "  ",
            " =",
            " = ",
            " = -1",
            " = -1 EINVAL (Invalid",
            " = 3</srv/a",
        ] {
            assert_eq!(reply(text), Found::Open, "{text}");
        }
        for text in [
            " 0",
            " = x",
            " = 0x",
            " = 0hello",
            " = 0 hello",
            " = -12",
            " = 09",
            "x =",
        ] {
            assert_eq!(reply(text), Found::Wrong, "{text}");
        }
    }
}
