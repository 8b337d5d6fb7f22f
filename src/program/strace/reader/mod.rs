//! Lines become events.
//!
//! A call that others interrupt is in two lines, `name(… <unfinished ...>` and
//! `<... name resumed>…`; here it is one event again. So is one that a notice of strace or the end
//! of a mail's line has cut. Lines that cannot be understood for certain become
//! [`Unread`](super::log::Unread).

mod events;

use std::collections::HashMap;
use std::mem;

use super::body::{Body, Rest, before_notice, body, rest};
use super::leader::{Leader, leader};
use super::log::{ENDED, Log};
use super::raw::{Foreign, Raw, is_call, lines};
use super::table::without_tables;
use super::time::Nanos;

const NO_CALL: &str = "no system call in strace's notation";
const OTHER_STREAM: &str = "of another stream of the same journal";
const NO_BEGINNING: &str = "where it begins is not in the log";
const NO_END: &str = "where it ends is not in the log";
const CUT: &str = "cut off: the log ends within the line";
const MIXED: &str = "something else was written in the middle of it";
const INJECTED: &str = "strace made its result or its arguments up (-e inject)";

/// A call's text that ends in the middle of a line.
struct Pending {
    line: usize,
    pid: u32,
    name: String,
    /// The event that it is the second part of.
    of: Option<usize>,
    time: Option<Nanos>,
    /// What follows the parenthesis, so far.
    text: String,
    gap: Gap,
    /// Lines that it goes over.
    lines: usize,
}

/// Why a line ends in the middle of a call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gap {
    /// strace wrote a notice: what follows is the rest, letter by letter.
    Notice,
    /// It ends where strace writes a blank: another program broke the line there.
    Break,
    /// Someone else's output is in it.
    Output,
}

/// A line is broken into at most so many.
const MOST_PIECES: usize = 40;

/// Reads a whole log, which is this one of several.
pub(super) fn read(log: &str, file: usize) -> Log {
    let mut reader = Reader {
        log: Log::default(),
        file,
        open: HashMap::new(),
        live: Vec::new(),
        pending: None,
        ending: None,
    };
    for line in without_tables(lines(log)) {
        reader.line(&line);
    }
    reader.drop_pending(NO_END);
    reader.drop_doubtful();
    reader.log
}

struct Reader {
    log: Log,
    file: usize,
    /// By thread, its event that is not finished, and the arguments so far.
    open: HashMap<u32, (usize, String)>,
    /// Threads that have been named and have not ended.
    live: Vec<u32>,
    pending: Option<Pending>,
    /// What ends the line before, if a mail program has broken it.
    ending: Option<&'static str>,
}

impl Reader {
    fn line(&mut self, line: &Raw<'_>) {
        if let Some(foreign) = line.foreign {
            let why = match foreign {
                Foreign::Call => OTHER_STREAM,
                Foreign::Other => NO_CALL,
            };
            return self.unread(line.number, "line", why, &line.text);
        }
        let (leader, text) = leader(&line.text);
        match body(text) {
            Body::Notice(notice) => self.notice(notice),
            Body::Known => self.ending = ending(text),
            Body::Ended => {
                self.ending = ending(text);
                self.drop_pending(NO_END);
                let pid = self.thread(leader.pid);
                self.live.retain(|live| *live != pid);
                let event = self.event(line.number, pid, ENDED, leader.time);
                self.log.events.push(event);
            }
            Body::Resumed(name, text) => {
                self.drop_pending(NO_END);
                self.resumed(line, leader, name, text);
            }
            Body::Call(name, text) => {
                self.ending = None;
                if self.pending.is_some() && matches!(rest(text), Rest::Open | Rest::Wrong) {
                    return self.go_on(line);
                }
                self.drop_pending(NO_END);
                let pid = self.thread(leader.pid);
                let call = Pending {
                    line: line.number,
                    pid,
                    name: name.to_owned(),
                    of: None,
                    time: leader.time,
                    text: text.to_owned(),
                    gap: Gap::Output,
                    lines: 0,
                };
                self.call(call, line.is_cut);
            }
            Body::Other if self.is_glued(line) => {}
            Body::Other if self.pending.is_some() => self.go_on(line),
            Body::Other if self.is_ending(text) => {}
            Body::Other => self.unread(line.number, "line", NO_CALL, &line.text),
        }
    }

    /// Reads a line of strace's that begins behind output of the program without a line's end. Only
    /// `[pid 123]` tells for certain where that is.
    fn is_glued(&mut self, line: &Raw<'_>) -> bool {
        let mut places = line.text.match_indices("[pid ").map(|(at, _)| at);
        let is_own = |text: &str| is_call(text) || body(leader(text).1) == Body::Known;
        let Some(at) = places.find(|&at| at > 0 && is_own(&line.text[at..])) else {
            return false;
        };
        self.unread(line.number, "line", NO_CALL, &line.text[..at]);
        self.line(&Raw {
            text: line.text[at..].into(),
            ..line.clone()
        });
        true
    }

    /// Whether a line that is nothing of its own is the rest of one that is not needed.
    fn is_ending(&mut self, text: &str) -> bool {
        let ends = |mark: &str| text.trim_end().ends_with(mark);
        match self.ending {
            Some(")") if !text.starts_with('(') => false,
            Some(mark) => {
                self.ending = self.ending.filter(|_| !ends(mark));
                true
            }
            None => false,
        }
    }

    /// The second line of a call.
    fn resumed(&mut self, line: &Raw<'_>, leader: Leader, name: &str, text: &str) {
        let pid = match leader.pid {
            Some(pid) => pid,
            None => self.thread(None),
        };
        // It may have begun before the log named threads.
        let begun = [pid, 0].into_iter().find(|pid| {
            let open = self.open.get(pid);
            open.is_some_and(|(at, _)| self.log.events[*at].name == name)
        });
        let Some((at, first)) = begun.and_then(|pid| self.open.remove(&pid)) else {
            return self.unread(line.number, name, NO_BEGINNING, &line.text);
        };
        let call = Pending {
            line: line.number,
            pid,
            name: name.to_owned(),
            of: Some(at),
            time: leader.time,
            text: first + text,
            gap: Gap::Output,
            lines: 0,
        };
        self.call(call, line.is_cut);
    }

    /// A line that is nothing of its own: the rest of the one before, or someone's output.
    fn go_on(&mut self, line: &Raw<'_>) {
        let Some(mut call) = self.pending.take() else {
            return;
        };
        let trimmed = line.text.trim();
        // strace writes no blank before a parenthesis: whoever broke the line wrote more than that.
        if call.gap == Gap::Break && trimmed.starts_with(')') {
            call.gap = Gap::Output;
        }
        call.lines += 1;
        match call.gap {
            _ if call.lines > MOST_PIECES => {
                self.pending = Some(call);
                self.drop_pending(NO_END);
                self.unread(line.number, "line", NO_CALL, &line.text);
            }
            Gap::Notice => {
                call.text.push_str(&line.text);
                self.call(call, line.is_cut);
            }
            Gap::Break => {
                let joined = format!("{} {trimmed}", call.text);
                if rest(&joined) == Rest::Wrong {
                    self.pending = Some(call);
                    self.drop_pending(NO_END);
                    return self.unread(line.number, "line", NO_CALL, &line.text);
                }
                call.text = joined;
                self.call(call, line.is_cut);
            }
            Gap::Output if trimmed.starts_with(')') => {
                self.pending = Some(call);
                self.drop_pending(MIXED);
            }
            Gap::Output => {
                self.unread(line.number, "line", NO_CALL, &line.text);
                self.pending = Some(call);
            }
        }
    }

    /// A call, or what is there of it.
    fn call(&mut self, mut call: Pending, is_cut: bool) {
        match rest(&call.text) {
            Rest::Whole(_, answer) if is_cut && !answer.is_certain => self.unread_call(&call, CUT),
            Rest::Whole(_, answer) if answer.is_injected => self.unread_call(&call, INJECTED),
            Rest::Whole(args, answer) => self.finish(&call, args, answer),
            Rest::Unfinished(part) => {
                let part = part.to_owned();
                self.begin(&call, call.pid, part);
            }
            Rest::Renamed(part, pid) => {
                let part = part.to_owned();
                self.begin(&call, pid, part);
            }
            Rest::Detached => {
                let at = self.place(&call);
                let args = rest_of(&call.text);
                self.log.events[at].args = args;
            }
            Rest::Wrong => self.unread_call(&call, MIXED),
            Rest::Open if is_cut => self.unread_call(&call, CUT),
            Rest::Open => {
                call.gap = match before_notice(&call.text) {
                    Some(before) => {
                        let said = mem::take(&mut call.text);
                        call.text = said[..before].to_owned();
                        if let (_, Body::Notice(notice)) = (before, body(&said[before..])) {
                            self.notice(notice);
                        }
                        Gap::Notice
                    }
                    None if ends_at_blank(&call.text) => Gap::Break,
                    None => Gap::Output,
                };
                self.pending = Some(call);
            }
        }
    }
}

/// What a line has to end with that is not needed, if it does not.
fn ending(text: &str) -> Option<&'static str> {
    let marks = ["---", "+++"];
    let mark = marks.into_iter().find(|mark| text.starts_with(mark))?;
    let is_whole = text.len() > mark.len() && text.trim_end().ends_with(mark);
    (!is_whole).then_some(mark)
}

/// The arguments of a call that does not end in a parenthesis.
fn rest_of(text: &str) -> Vec<String> {
    let part = text.rsplit_once('<').map_or(text, |(part, _)| part);
    match rest(&format!("{}) = ?", part.trim_end())) {
        Rest::Whole(args, _) => args,
        _ => Vec::new(),
    }
}

/// Whether strace writes a blank or the end of the line behind this.
fn ends_at_blank(text: &str) -> bool {
    text.trim_end()
        .ends_with([',', ')', '=', '|', '>', '{', '['])
        || text.ends_with([' ', '\t'])
        || text.trim_end().ends_with("= -1")
        || in_explanation(text)
        || text.rfind("/*") > text.rfind("*/")
}

/// Whether a result's explanation in parentheses has begun and not ended.
fn in_explanation(text: &str) -> bool {
    text.rsplit_once(" = ")
        .is_some_and(|(_, result)| result.contains('('))
}
