//! The lines of a syzkaller program: `r0 = name$variant(arg, &(0x7f0000000000/0x1000)=nil) (async)`.

use super::moved;

/// One call.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// What its result is called in later lines.
    pub variable: Option<&'a str>,
    /// The call's name, with its variant.
    pub name: &'a str,
    pub args: Vec<&'a str>,
    /// How it is to be made, as `fail_nth: 3`.
    pub props: Option<&'a str>,
}

/// What an argument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Number(u64),
    /// An address, and the number that lies there if the text says it.
    Pointer(u64, Option<u64>),
    /// The result of an earlier call.
    Variable(&'a str),
}

/// Reads a line; none if it is none of a program's.
pub(super) fn parse(text: &str) -> Option<Line<'_>> {
    let (before, rest) = text.split_once('(')?;
    let (variable, name) = match before.split_once(" = ") {
        Some((variable, name)) => (Some(variable.trim()), name.trim()),
        None => (None, before.trim()),
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$';
    if name.is_empty() || !name.chars().all(is_name) || !variable.is_none_or(is_variable) {
        return None;
    }
    let (args, rest) = arguments(rest)?;
    let rest = rest.trim();
    let props = rest
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'));
    (rest.is_empty() || props.is_some()).then_some(Line {
        variable,
        name,
        args,
        props,
    })
}

/// Splits at commas outside of brackets and strings; returns what follows the closing parenthesis.
fn arguments(text: &str) -> Option<(Vec<&str>, &str)> {
    let (mut args, mut start, mut depth) = (Vec::new(), 0, 0_usize);
    let mut quote = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (Some(_), '\\') => {
                chars.next();
            }
            (Some(end), c) if c == end => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ',') if depth == 0 => {
                let arg = text[start..at].trim();
                if c == ',' || !arg.is_empty() {
                    args.push(arg);
                }
                if c == ')' {
                    return Some((args, &text[at + 1..]));
                }
                start = at + 1;
            }
            (None, ')' | ']' | '}') => depth = depth.checked_sub(1)?,
            _ => {}
        }
    }
    None
}

impl<'a> Value<'a> {
    /// Reads an argument; none for what is no single number.
    pub fn of(arg: &'a str) -> Option<Self> {
        if arg == "nil" {
            return Some(Self::Number(0));
        }
        if is_variable(arg) {
            return Some(Self::Variable(arg));
        }
        let Some(pointer) = arg.strip_prefix("&(") else {
            return number(arg).map(Self::Number);
        };
        let (place, pointed) = pointer.split_once(')')?;
        let addr = number(place.split('/').next()?)?;
        let pointed = pointed.strip_prefix('=').and_then(number);
        Some(Self::Pointer(moved(addr), pointed))
    }
}

fn is_variable(text: &str) -> bool {
    let digits = text.strip_prefix('r').unwrap_or("");
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok(),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_split() {
        let text = "r1 = openat$dir(0xffffffffffffff9c, &(0x7f0000000040)='./a,)\\'\\x00', {0x1, \
                    [0x2]}, <r3=>0x0) (fail_nth: 2)";
        let line = parse(text).expect("a line");
        assert_eq!((line.variable, line.name), (Some("r1"), "openat$dir"));
        let args = [
            "0xffffffffffffff9c",
            "&(0x7f0000000040)='./a,)\\'\\x00'",
            "{0x1, [0x2]}",
            "<r3=>0x0",
        ];
        assert_eq!(line.args, args);
        assert_eq!(line.props, Some("fail_nth: 2"));
        assert_eq!(parse("munlockall()").map(|line| line.args.len()), Some(0));
        for text in [
            "",
            "hello",
            "a b(1)",
            "x = f(1)",
            "f(1",
            "f(1) then",
            "f(])",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn arguments_are_numbers_pointers_or_results() {
        let check = |arg, value| assert_eq!(Value::of(arg), value, "{arg}");
        check("0x32", Some(Value::Number(0x32)));
        check("nil", Some(Value::Number(0)));
        check("r12", Some(Value::Variable("r12")));
        check(
            "&(0x7f0000001000/0x2000)=nil",
            Some(Value::Pointer(0x2000_0000_1000, None)),
        );
        check(
            "&(0x7f0000000040)=0x7",
            Some(Value::Pointer(0x2000_0000_0040, Some(7))),
        );
        for arg in ["&AUTO", "{0x1}", "'a'", "r1+0x10", "@x=0x1", "", "&(r1)"] {
            check(arg, None);
        }
    }
}
