//! What a line is, once its beginning is read: a call, a part of one, the end of a thread, or one
//! of the lines that strace writes about itself.

use super::reply::{Answer, Found, reply};
use super::split::arguments;

/// The lines of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Body<'a> {
    /// `name(`, and what follows.
    Call(&'a str, &'a str),
    /// `<... name resumed>`, and what follows.
    Resumed(&'a str, &'a str),
    /// `+++ … +++`: the thread has ended.
    Ended,
    /// `--- … ---`, a line of a stack, an end that is an execve's: nothing that is needed.
    Known,
    /// strace about itself.
    Notice(Notice),
    /// Nothing that strace writes.
    Other,
}

/// What strace says of itself, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    /// It traces this process from now on, with so many threads.
    Attached(u32, Option<usize>),
    /// It does not any more.
    Detached(u32),
    /// The process makes 32-bit calls, or no longer.
    Mode(u32, bool),
    /// Anything else.
    Other,
}

/// What follows the name of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rest<'a> {
    /// Arguments and result.
    Whole(Vec<String>, Answer),
    /// `… <unfinished ...>`: these are the arguments so far.
    Unfinished(&'a str),
    /// The same, and the thread has this number when the call goes on: an execve gave it its
    /// process's.
    Renamed(&'a str, u32),
    /// `… <detached ...>`: strace did not wait for its end.
    Detached,
    /// It ends in the middle.
    Open,
    /// What follows the arguments is no result.
    Wrong,
}

/// Reads a line without its beginning.
pub(super) fn body(text: &str) -> Body<'_> {
    if let Some(notice) = notice(text) {
        return Body::Notice(notice);
    }
    if text.starts_with("--- ") || text.starts_with("> ") || text == ">" {
        return Body::Known;
    }
    if let Some(end) = text.strip_prefix("+++ ") {
        let goes_on = end.starts_with("superseded by execve");
        return if goes_on { Body::Known } else { Body::Ended };
    }
    if let Some(rest) = text.strip_prefix("<... ") {
        let resumed = rest.split_once(" resumed>");
        return match resumed.filter(|(name, _)| is_name(name)) {
            Some((name, rest)) => Body::Resumed(name, rest),
            None => Body::Other,
        };
    }
    match text.split_once('(') {
        Some((name, rest)) if is_name(name) => Body::Call(name, rest),
        _ => Body::Other,
    }
}

fn is_name(name: &str) -> bool {
    name.len() < 64
        && name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_' || c == 'S')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Reads what follows the name and the parenthesis.
pub(super) fn rest(text: &str) -> Rest<'_> {
    let split = arguments(text).map(|(args, after)| (args, reply(after)));
    if let Some((args, Found::Whole(answer))) = split {
        return Rest::Whole(args, answer);
    }
    let text = text.trim_end();
    if text.ends_with("<detached ...>") {
        return Rest::Detached;
    }
    // Old versions say with which status a process ended meanwhile.
    if let Some((part, why)) = text.rsplit_once("<unfinished ...")
        && why.ends_with('>')
    {
        return Rest::Unfinished(part.trim_end());
    }
    if let Some((part, to)) = text.rsplit_once("<pid changed to ")
        && let Some(Ok(pid)) = to.strip_suffix(" ...>").map(str::parse)
    {
        return Rest::Renamed(part.trim_end(), pid);
    }
    match split {
        Some((_, Found::Wrong)) => Rest::Wrong,
        _ => Rest::Open,
    }
}

/// What strace says of itself in a line of its own, in the words of old and new versions.
fn notice(text: &str) -> Option<Notice> {
    let is_strace = |program: &str| {
        program == "strace" || program.ends_with("/strace") && !program.contains(['(', '<'])
    };
    let of_strace = text
        .split_once(": ")
        .filter(|(program, _)| is_strace(program));
    let said = of_strace.map_or(text, |(_, said)| said);
    let mut words = said.split_whitespace();
    let known = match (words.next(), words.next(), words.next()) {
        (Some("Process"), Some(pid), Some(does)) => match (pid.parse(), does) {
            (Ok(pid), "attached") => {
                // `with 3 threads`
                let threads = words.nth(1).and_then(|number| number.parse().ok());
                Some(Notice::Attached(pid, threads))
            }
            (Ok(pid), "detached") => Some(Notice::Detached(pid)),
            (Ok(_), "resumed" | "suspended" | "exited" | "killed") => Some(Notice::Other),
            _ => None,
        },
        (Some("["), Some("Process"), Some(pid)) => {
            let pid = pid.strip_prefix("PID=").and_then(|pid| pid.parse().ok());
            let is_mode = said.trim_end().ends_with(']') && said.contains(" mode");
            pid.filter(|_| is_mode)
                .map(|pid| Notice::Mode(pid, said.contains("32 bit")))
        }
        (Some("System"), Some("call"), Some("usage")) => Some(Notice::Other),
        (Some("umovestr:" | "umoven:" | "upeek:" | "ptrace:" | "PANIC:"), ..) => {
            Some(Notice::Other)
        }
        _ => None,
    };
    known.or_else(|| of_strace.map(|_| Notice::Other))
}

/// The length of a line before a notice that strace wrote into it, if one ends the line.
pub(super) fn before_notice(text: &str) -> Option<usize> {
    let starts = ["strace: ", "Process ", "[ Process PID="];
    let found = starts
        .iter()
        .flat_map(|start| text.match_indices(start))
        .filter_map(|(at, _)| {
            let before = &text[..at];
            // The program's whole path may stand before its name.
            let is_path = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
            let path_at = before.trim_end_matches(is_path).len();
            let path = before[path_at..].find('/').map(|slash| path_at + slash);
            // The end of a comment is no path.
            let path = path.map(|at| at + usize::from(before[..at].ends_with('*')));
            let is_named = text[at..].starts_with("strace: ") && before.ends_with('/');
            let at = match path.filter(|&path| is_named && before[path..].starts_with('/')) {
                Some(path) => path,
                None => at,
            };
            notice(&text[at..]).map(|_| at)
        });
    found.min().filter(|at| *at > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_of_all_versions_are_known() {
        let check = |text, expected| assert_eq!(notice(text), expected, "{text}");
        check(
            "strace: Process 12 attached",
            Some(Notice::Attached(12, None)),
        );
        check(
            "/usr/bin/strace: Process 12 attached",
            Some(Notice::Attached(12, None)),
        );
        check(
            "strace: Process 12 attached with 3 threads",
            Some(Notice::Attached(12, Some(3))),
        );
        check(
            "Process 12 attached (waiting for parent)",
            Some(Notice::Attached(12, None)),
        );
        check(
            "Process 12 attached - interrupt to quit",
            Some(Notice::Attached(12, None)),
        );
        check("Process 12 detached", Some(Notice::Detached(12)));
        check("Process 12 resumed (parent 11 ready)", Some(Notice::Other));
        check("Process 12 suspended", Some(Notice::Other));
        check(
            "[ Process PID=12 runs in 32 bit mode. ]",
            Some(Notice::Mode(12, true)),
        );
        check(
            "strace: [ Process PID=12 runs in 64 bit mode. ]",
            Some(Notice::Mode(12, false)),
        );
        check("strace: anything at all", Some(Notice::Other));
        check("Process list: 12 attached", None);
        check("Processing", None);
        check("a strace: b", None);
        check("brk(0/bin/strace: Process 12 attached", None);
    }

    #[test]
    fn a_notice_within_a_line_is_found() {
        let check = |text: &str, before: Option<&str>| {
            assert_eq!(before_notice(text).map(|at| &text[..at]), before, "{text}");
        };
        check(
            "clone(flags=SIGCHLDstrace: Process 7 attached",
            Some("clone(flags=SIGCHLD"),
        );
        check("brk(0/usr/bin/strace: Process 7 attached", Some("brk(0"));
        check(
            "vfork(Process 7 attached (waiting for parent)",
            Some("vfork("),
        );
        check(
            "mmap(NULL, 1, -1, 0strace: [wait(0x57f) = 8] x",
            Some("mmap(NULL, 1, -1, 0"),
        );
        check(
            "f(0 /* 3 vars */strace: Process 7 attached",
            Some("f(0 /* 3 vars */"),
        );
        check(
            "f(0 /* 3 vars *//bin/strace: Process 7 attached",
            Some("f(0 /* 3 vars */"),
        );
        check("f(größe/bin/strace: Process 7 attached", Some("f(größe"));
        check("write(1, \"a\", 1a", None);
        check("strace: Process 7 attached", None);
    }

    #[test]
    fn calls_and_their_parts_are_told_apart() {
        assert_eq!(body("munmap(1) = 0"), Body::Call("munmap", "1) = 0"));
        assert_eq!(
            body("<... mmap resumed> ) = 1"),
            Body::Resumed("mmap", " ) = 1")
        );
        assert_eq!(body("+++ superseded by execve in pid 3 +++"), Body::Known);
        assert_eq!(body("+++ killed by SIGKILL +++"), Body::Ended);
        for text in [
            "note: f(1) = 2",
            "a.b(1) = 0",
            "(1)",
            "hello",
            "7z(1) = 0",
            "<... x",
        ] {
            assert_eq!(body(text), Body::Other, "{text}");
        }
        assert_eq!(rest("1, 2 <unfinished ...>"), Rest::Unfinished("1, 2"));
        assert_eq!(
            rest("0 <unfinished ... exit status 0>"),
            Rest::Unfinished("0")
        );
        assert_eq!(
            rest("\"a\" <pid changed to 9 ...>"),
            Rest::Renamed("\"a\"", 9)
        );
        assert_eq!(rest("1 <detached ...>"), Rest::Detached);
        assert_eq!(rest("1, 2"), Rest::Open);
        assert_eq!(rest("1, 2) = "), Rest::Open);
        assert_eq!(rest("1, 2) went"), Rest::Wrong);
    }
}
