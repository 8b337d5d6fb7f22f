//! Where one argument ends and the next begins.
//!
//! Commas and brackets count where strace itself writes them: not in strings, not in comments, and
//! not in what `-y`, `-yy` and `-Y` write behind a number, as `5</srv/a) b, c>`.

/// Splits the arguments of a call, which `text` begins with, and returns what follows the closing
/// parenthesis. None: there is no closing parenthesis.
pub(super) fn arguments(text: &str) -> Option<(Vec<String>, &str)> {
    let mut args = Vec::new();
    let mut arg = String::new();
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let len = match c {
            '"' => string(rest),
            '/' if rest.starts_with("/*") => {
                // What a comment says stands before it as a number.
                at += comment(rest);
                continue;
            }
            '<' if text[..at].ends_with(|c: char| c.is_ascii_alphanumeric()) => {
                annotation(rest).unwrap_or(1)
            }
            '(' | '[' | '{' => {
                depth += 1;
                1
            }
            ')' if depth == 0 => {
                if !arg.trim().is_empty() || !args.is_empty() {
                    args.push(arg.trim().to_owned());
                }
                return Some((args, &rest[1..]));
            }
            ')' | ']' | '}' => {
                depth = depth.saturating_sub(1);
                1
            }
            ',' if depth == 0 => {
                args.push(arg.trim().to_owned());
                arg.clear();
                at += 1;
                continue;
            }
            _ => c.len_utf8(),
        };
        arg.push_str(&rest[..len]);
        at += len;
    }
    None
}

/// The length of the string in quotes that a text begins with; all of it if nothing ends it.
pub(super) fn string(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => {
                chars.next();
            }
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of the comment that a text begins with; all of it if nothing ends it.
pub(super) fn comment(text: &str) -> usize {
    text.find("*/").map_or(text.len(), |end| end + 2)
}

/// The length of what a text begins with, if that is what strace knows of a descriptor or of a
/// process: `<` to the first `>` behind which an argument can end. Newer versions write `>` within
/// a name as `\76`, older ones as it is; `->` joins the ends of a connection.
pub(super) fn annotation(text: &str) -> Option<usize> {
    let closes = |(at, _): &(usize, &str)| {
        let next = text[at + 1..].chars().next();
        let marks_removed = || text[at + 1..].starts_with("(deleted)");
        !text[..*at].ends_with('-')
            && (next.is_none_or(|c| ", )]}|\t".contains(c)) || marks_removed())
    };
    let (at, _) = text.match_indices('>').find(closes)?;
    let end = at + 1;
    Some(match text[end..].strip_prefix("(deleted)") {
        Some(_) => end + "(deleted)".len(),
        None => end,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, args: &[&str], rest: &str) {
        let split = arguments(text).expect("a closing parenthesis");
        assert_eq!(split.0, args);
        assert_eq!(split.1, rest);
    }

    #[test]
    fn commas_count_where_strace_writes_them() {
        check(") = 0", &[], " = 0");
        check(
            "1, {a=2, b=[3, 4]}, f(5, 6)) =",
            &["1", "{a=2, b=[3, 4]}", "f(5, 6)"],
            " =",
        );
        check(r#""a\", )", 1)"#, &[r#""a\", )""#, "1"], "");
        check("0x3 /* A|B, ) */, 0 /* C */)", &["0x3", "0"], "");
        check("1<<3, 21<<SHIFT)", &["1<<3", "21<<SHIFT"], "");
    }

    #[test]
    fn what_stands_behind_a_number_is_one_piece() {
        let pieces = [
            "5</srv/a, b (c) [d] {e>",
            "6</srv/\"half>",
            "7</srv/gone>(deleted)",
            "8</srv/gone, too (deleted)>",
            "9<TCP:[192.0.2.1:1->192.0.2.2:2]>",
            "10</dev/pts/2<char 136:2>>",
            "11<UNIX-STREAM:[42->41,\"/run/x, y\"]>",
            "12</srv/a>b, c>",
            "AT_FDCWD</srv/(x>",
        ];
        for piece in pieces {
            check(&format!("{piece}, 1)"), &[piece, "1"], "");
            check(&format!("{piece})"), &[piece], "");
            check(
                &format!("[{piece}, {piece}])"),
                &[&format!("[{piece}, {piece}]")],
                "",
            );
        }
    }

    #[test]
    fn what_does_not_end_is_no_list() {
        for text in ["", "1, 2", "\"a)", "(1)", "/* )", "5</a, b"] {
            assert_eq!(arguments(text), None, "{text}");
        }
    }
}
