//! Where one argument ends and the next begins.

use crate::program::text::cursor::Cursor;
use crate::program::text::error::Fault;

/// Splits arguments at commas that are in no string, bracket or comment.
pub(super) fn arguments(cursor: &mut Cursor<'_>) -> Result<Vec<String>, Fault> {
    let text = cursor.rest();
    let (mut depth, mut start) = (0_usize, 0);
    let mut args = Vec::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => skip_string(&mut chars),
            '(' | '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.saturating_sub(1),
            ')' if depth > 0 => depth -= 1,
            ')' | ',' if depth == 0 => {
                let arg = text[start..at].trim();
                if c == ',' || !arg.is_empty() || !args.is_empty() {
                    args.push(arg.to_owned());
                }
                if c == ')' {
                    cursor.skip(at);
                    return Ok(args);
                }
                start = at + 1;
            }
            '/' if text[at..].starts_with("/*") => {
                let end = text[at + 2..]
                    .find("*/")
                    .map_or(text.len(), |end| at + 2 + end + 2);
                while chars.clone().next().is_some_and(|(next, _)| next < end) {
                    chars.next();
                }
            }
            _ => {}
        }
    }
    cursor.skip(text.len());
    Err(cursor.fault("`)` and the result"))
}

fn skip_string(chars: &mut std::str::CharIndices<'_>) {
    while let Some((_, c)) = chars.next() {
        match c {
            '\\' => {
                chars.next();
            }
            '"' => return,
            _ => {}
        }
    }
}
