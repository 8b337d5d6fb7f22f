//! The lines of a file as strace wrote them: without what a terminal, a mail program, a journal or
//! a build server put before or into them.

use std::borrow::Cow;
use std::collections::HashMap;

use super::body::{Body, Rest, body, rest};
use super::leader::leader;

/// One line.
#[derive(Clone, Debug)]
pub(super) struct Raw<'a> {
    /// Its number in the file, from 1.
    pub number: usize,
    pub text: Cow<'a, str>,
    /// The file ends within it.
    pub is_cut: bool,
    /// It does not begin as strace's lines of this file do.
    pub foreign: Option<Foreign>,
}

/// What a line is that does not begin as the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Foreign {
    /// A call in another stream of the same journal.
    Call,
    /// Nothing of strace's.
    Other,
}

/// The lines of a file that are not empty.
pub(super) fn lines(file: &str) -> Vec<Raw<'_>> {
    let file = file.strip_prefix('\u{feff}').unwrap_or(file);
    let ends = file.is_empty() || file.ends_with('\n');
    let count = file.lines().count();
    let is_page = file.contains("&lt;") && !file.contains('<') && !file.contains('"');
    let mut lines: Vec<Raw<'_>> = file
        .lines()
        .enumerate()
        .map(|(i, line)| Raw {
            number: i + 1,
            text: if is_page {
                unescaped(&plain(line))
            } else {
                plain(line)
            },
            is_cut: !ends && i + 1 == count,
            foreign: None,
        })
        .filter(|line| !line.text.trim().is_empty())
        .collect();
    outdent(&mut lines);
    if let Some(prefix) = common_prefix(&lines) {
        for line in &mut lines {
            match prefix.end_in(&line.text) {
                Some(end) => cut_front(&mut line.text, end),
                None => {
                    let is_call = starts(&line.text).any(|at| is_call(&line.text[at..]));
                    line.foreign = Some(if is_call {
                        Foreign::Call
                    } else {
                        Foreign::Other
                    });
                }
            }
        }
    }
    lines
}

/// A line without colours, and without what a carriage return took back.
fn plain(line: &str) -> Cow<'_, str> {
    let line = line.trim_end_matches('\r');
    let line = line.rsplit('\r').next().unwrap_or(line);
    if !line.contains('\u{1b}') {
        return Cow::Borrowed(line);
    }
    let mut plain = String::with_capacity(line.len());
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        if c != '\u{1b}' {
            plain.push(c);
        } else if chars.clone().next() == Some('[') {
            chars.next();
            // Up to the letter that ends the sequence.
            chars.by_ref().find(|c| ('@'..='~').contains(c));
        }
    }
    Cow::Owned(plain)
}

/// A line without the escapes of a web page.
fn unescaped(line: &str) -> Cow<'static, str> {
    let escapes = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&#34;", "\""),
        ("&amp;", "&"),
    ];
    let plain = escapes
        .iter()
        .fold(line.to_owned(), |line, (escape, c)| line.replace(escape, c));
    Cow::Owned(plain)
}

/// Takes away what all lines are set in by.
fn outdent(lines: &mut [Raw<'_>]) {
    let indent = |line: &Raw<'_>| line.text.len() - line.text.trim_start_matches([' ', '\t']).len();
    let common = lines.iter().map(indent).min().unwrap_or(0);
    for line in lines {
        cut_front(&mut line.text, common);
    }
}

fn cut_front(text: &mut Cow<'_, str>, end: usize) {
    match text {
        Cow::Borrowed(text) => *text = &text[end..],
        Cow::Owned(text) => drop(text.drain(..end)),
    }
}

/// Whether a line is surely strace's, from its first letter on.
pub(super) fn is_call(text: &str) -> bool {
    match body(leader(text).1) {
        Body::Call(_, text) => !matches!(rest(text), Rest::Open | Rest::Wrong),
        Body::Resumed(..) | Body::Ended => true,
        Body::Known | Body::Notice(_) | Body::Other => false,
    }
}

/// What stands before strace's own lines, word by word.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Prefix(Vec<String>);

/// The words that another program writes before a line are at most so many, and so long.
const MOST_WORDS: usize = 16;
const MOST_BYTES: usize = 256;

/// If more calls stand behind something than at the beginning of a line: the most frequent of what
/// they stand behind.
fn common_prefix(lines: &[Raw<'_>]) -> Option<Prefix> {
    let mut own = 0_usize;
    let mut prefixes: Vec<(Prefix, usize)> = Vec::new();
    let mut known: HashMap<Prefix, usize> = HashMap::new();
    for line in lines {
        if is_call(&line.text) {
            own += 1;
        } else if let Some(end) = foreign_end(&line.text) {
            let prefix = Prefix::of(&line.text[..end]);
            let at = *known.entry(prefix.clone()).or_insert_with(|| {
                prefixes.push((prefix, 0));
                prefixes.len() - 1
            });
            prefixes[at].1 += 1;
        }
    }
    let foreign: usize = prefixes.iter().map(|(_, count)| count).sum();
    // The first of several that are equally frequent.
    let most = prefixes.into_iter().rev().max_by_key(|(_, count)| *count);
    most.filter(|_| foreign > own).map(|(prefix, _)| prefix)
}

/// Where a call begins in a line, behind what another program wrote. A thread's number is
/// strace's own: it must not be taken for a part of that.
fn foreign_end(text: &str) -> Option<usize> {
    starts(text).find(|&at| is_call(&text[at..]) && !text[..at].contains("[pid "))
}

/// The places behind the first words of a line.
fn starts(text: &str) -> impl Iterator<Item = usize> {
    let ends = text
        .match_indices([' ', '\t', '|', ':'])
        .map(|(at, _)| at + 1);
    ends.take_while(|&at| at <= MOST_BYTES)
        .filter(|&at| !text[at..].starts_with([' ', '\t']))
        .take(MOST_WORDS)
}

impl Prefix {
    /// Words, without those that differ from line to line: times, dates, numbers of lines.
    fn of(text: &str) -> Self {
        let all_glue = |word: &str| word.bytes().all(|b| b"0123456789:.,-+[]()TZ/".contains(&b));
        let words = text.split_whitespace().map(|word| match word {
            "Mon" | "Tue" | "Wed" | "Thu" | "Fri" | "Sat" | "Sun" => "#".to_owned(),
            "Jan" | "Feb" | "Mar" | "Apr" | "May" | "Jun" | "Jul" | "Aug" | "Sep" | "Oct"
            | "Nov" | "Dec" => "#".to_owned(),
            word if all_glue(word) => "#".to_owned(),
            word => match word
                .strip_suffix(':')
                .and_then(|word| word.rsplit_once(':'))
            {
                // `file:12:`
                Some((file, line)) if all_glue(line) => format!("{file}:#"),
                _ => word.to_owned(),
            },
        });
        Self(words.collect())
    }

    /// Where the rest of a line begins that has this prefix.
    fn end_in(&self, text: &str) -> Option<usize> {
        // The last place of several: a time may have colons in it.
        let places = starts(text).chain([text.len()]);
        places
            .filter(|&at| at <= MOST_BYTES && Self::of(&text[..at]) == *self)
            .last()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(file: &str, expected: &[&str]) {
        let lines = lines(file);
        let own: Vec<_> = lines
            .iter()
            .filter(|line| line.foreign.is_none())
            .map(|line| &*line.text)
            .collect();
        assert_eq!(own, expected);
    }

    const CALL: &str = "munmap(0x1000, 1) = 0";

    #[test]
    fn what_others_put_before_a_line_is_taken_away() {
        let prefixes = [
            "> ",
            "> > ",
            "    ",
            "trace.log:12:",
            "Nov 03 10:15:01 host tracer[812]: ",
            "2031-02-03T04:05:06.0140712Z ",
            "web-1  | ",
            "web-1  | 2031-02-03T04:05:06Z stdout F ",
            "[ 1234.567890] ",
        ];
        for prefix in prefixes {
            let mut file = String::new();
            let own = [
                CALL,
                "7 <... brk resumed>) = 0",
                "[pid 7] +++ exited with 0 +++",
            ];
            for line in own {
                file += &format!("{prefix}{line}\n");
            }
            check(&file, &own);
        }
    }

    #[test]
    fn numbers_of_lines_and_times_differ_from_line_to_line() {
        let file = format!("a:9:{CALL}\na:10:{CALL}\nb:10:{CALL}\n");
        check(&file, &[CALL, CALL]);
        let file = format!("Nov  9 23:59:59 a b: {CALL}\nNov 10 00:00:00 a b: {CALL}\n");
        check(&file, &[CALL, CALL]);
    }

    #[test]
    fn the_most_frequent_stream_is_taken() {
        let file = format!("a | {CALL}\nb | {CALL}\nb | up\nb | {CALL}\nc\n");
        check(&file, &[CALL, "up", CALL]);
        let file = format!("{CALL}\nsaid {CALL}\n");
        check(&file, &[CALL, &format!("said {CALL}")]);
    }

    #[test]
    fn terminals_leave_their_marks() {
        check(&format!("\u{feff}{CALL}\r\n"), &[CALL]);
        check(&format!("50%\r100%\r{CALL}\n"), &[CALL]);
        check("\u{1b}[1;33mmunmap\u{1b}[0m(0x1000, 1) = 0\n", &[CALL]);
    }

    #[test]
    fn the_end_may_be_cut() {
        assert!(lines("brk(0) = 0x1").last().is_some_and(|line| line.is_cut));
        assert!(
            lines("brk(0) = 0x1\n")
                .last()
                .is_some_and(|line| !line.is_cut)
        );
        assert!(lines("").is_empty());
    }
}
