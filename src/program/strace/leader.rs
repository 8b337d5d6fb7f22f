//! What strace writes before a call: the thread, times, the call's number, the instruction's
//! address. Which of them are there, and how, depends on its options and on its version.

use super::time::{Nanos, Stamp, stamp};

/// The beginning of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Leader {
    /// The thread, if the line names it.
    pub pid: Option<u32>,
    /// The time, if it is told to less than a second.
    pub time: Option<Nanos>,
}

/// Reads the beginning of a line, and returns what follows it.
pub(super) fn leader(line: &str) -> (Leader, &str) {
    let (pid, mut rest) = match thread(line) {
        Some((pid, rest)) => (Some(pid), rest),
        None => (None, line),
    };
    let mut time = None;
    loop {
        let text = rest.trim_start();
        let after = if text.starts_with('[') {
            attribute(text)
        } else if let Some(relative) = text.strip_prefix("(+") {
            relative.split_once(") ").map(|(_, after)| after)
        } else {
            let word = text.split([' ', '\t']).next().unwrap_or("");
            let after = text[word.len()..].strip_prefix([' ', '\t']);
            // What is set in from the left is the time since the line before, in seconds; a tab
            // is what `nl` and `cat -n` write behind the line's number.
            let is_set_in = text.len() < line.len() || text[word.len()..].starts_with('\t');
            let is_first = pid.is_none() && rest.len() == line.len();
            let is_skipped = is_first && is_set_in && is_digits(word);
            match stamp(word) {
                Some(Stamp::Absolute(at)) if after.is_some() => {
                    time = Some(at);
                    after
                }
                Some(_) => after,
                None if is_skipped => after,
                None => None,
            }
        };
        match after {
            Some(after) => rest = after,
            None => return (Leader { pid, time }, text),
        }
    }
}

/// `[pid   123] `, `[pid 123<name>] `, `123 `, `123<name> `, and the same with the number that the
/// process has for strace behind it.
fn thread(line: &str) -> Option<(u32, &str)> {
    if let Some(rest) = line.strip_prefix("[pid ") {
        let (pid, rest) = digits(rest.trim_start())?;
        let inside = name(rest, "]")?;
        return Some((pid, other_number(inside).strip_prefix(']')?));
    }
    let (pid, rest) = digits(line)?;
    let rest = other_number(name(rest, " ")?);
    rest.starts_with(' ').then_some((pid, rest))
}

fn digits(text: &str) -> Option<(u32, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let pid: u32 = text[..end]
        .parse()
        .ok()
        .filter(|pid| (1..=1 << 22).contains(pid))?;
    Some((pid, &text[end..]))
}

/// Skips `<name>`, which may hold anything; `end` stands behind it.
fn name<'a>(text: &'a str, end: &str) -> Option<&'a str> {
    if !text.starts_with('<') {
        return Some(text);
    }
    let closes = |(at, _): &(usize, &str)| {
        let after = &text[at + 1..];
        after.starts_with(end) || after.starts_with(" /*")
    };
    let (at, _) = text.match_indices('>').find(closes)?;
    Some(&text[at + 1..])
}

/// Skips ` /* 123 in strace's PID NS */`.
fn other_number(text: &str) -> &str {
    let comment = text
        .strip_prefix(" /*")
        .and_then(|text| text.split_once("*/"));
    comment.map_or(text, |(_, rest)| rest)
}

/// Skips `[ 231] `, `[00007f4a21c3e9b3] `, `[????????] ` or a security context.
fn attribute(text: &str) -> Option<&str> {
    let (inside, rest) = text.strip_prefix('[')?.split_once(']')?;
    // The kernel's log and others have times in brackets.
    let is_time = inside.contains('.') && !inside.contains(|c: char| c.is_ascii_alphabetic());
    let is_one = !is_time
        && !inside.starts_with(" Process ")
        && !inside.starts_with("pid ")
        && inside.len() < 200
        && inside
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || " ?_:.,-+".contains(c));
    rest.strip_prefix(' ').filter(|_| is_one)
}

fn is_digits(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, pid: Option<u32>, has_time: bool) {
        for call in [
            "munmap(0x1000, 1) = 0",
            "+++ exited with 0 +++",
            "<... brk resumed>) = 0",
        ] {
            let line = format!("{line}{call}");
            let (leader, rest) = leader(&line);
            assert_eq!(
                (leader.pid, leader.time.is_some()),
                (pid, has_time),
                "{line}"
            );
            assert_eq!(rest, call);
        }
    }

    #[test]
    fn all_that_strace_writes_is_skipped() {
        let threads = [
            ("", None),
            ("7     ", Some(7)),
            ("4194304 ", Some(4_194_304)),
            ("123<main loop> ", Some(123)),
            ("123<a>b]> ", Some(123)),
            ("123 /* 456 in strace's PID NS */ ", Some(123)),
            ("[pid   123] ", Some(123)),
            ("[pid 123<io: 1>] ", Some(123)),
            ("[pid 123<a> b>] ", Some(123)),
            ("[pid 123 /* 456 in strace's PID NS */] ", Some(123)),
        ];
        let times = [
            ("", false),
            ("20:42:12 ", false),
            ("20:42:12.000012 ", true),
            ("1699000001 ", false),
            ("1699000001.200114 ", true),
            ("1699000001.200114123 ", true),
            ("     0.000036 ", false),
            ("20:42:12 (+     0.000036) ", false),
            ("20:42:12.000012 (+     0.000036) ", true),
            ("20:42:12 (+     1) ", false),
        ];
        let others = [
            "",
            "[   9] ",
            "[00007f4a21c3e9b3] ",
            "[ 231] [????????????????] ",
        ];
        for (thread, pid) in threads {
            for (time, has_time) in times {
                for other in others {
                    check(&format!("{thread}{time}{other}"), pid, has_time);
                }
            }
        }
        check("     0 ", None, false);
        check("     3\t", None, false);
        check("17\t", None, false);
    }

    #[test]
    fn what_is_no_beginning_stays() {
        for line in [
            "[ Process PID=1 runs in 32 bit mode. ]",
            "warming up",
            "[pid x] brk(0) = 0",
        ] {
            assert_eq!(leader(line), (Leader::default(), line));
        }
    }
}
