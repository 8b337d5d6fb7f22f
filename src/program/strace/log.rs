//! The lines of a log: which thread made which call, with what arguments, and what came of it.
//!
//! A call that others interrupt is in two lines, `name(… <unfinished ...>` and
//! `<... name resumed>…`; here it is one event again.

use std::collections::HashMap;

use super::split::arguments;
use crate::program::text::TextError;
use crate::program::text::cursor::Cursor;
use crate::program::text::error::Fault;

/// One call of one thread, or its end.
#[derive(Clone, Debug)]
pub(super) struct Event {
    /// The line that it begins on, from 1.
    pub line: usize,
    /// The line that it ends on.
    pub end: usize,
    /// The thread; 0 before a log names threads.
    pub pid: u32,
    /// The name of the system call, or [`ENDED`].
    pub name: String,
    /// The arguments as they are written.
    pub args: Vec<String>,
    /// What it answered.
    pub reply: Reply,
}

/// The name of the event of a thread that has ended, however it did.
pub(super) const ENDED: &str = "+++";

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

/// Reads a whole log, in the order in which calls begin.
pub(super) fn read(file: &str, log: &str) -> Result<Vec<Event>, TextError> {
    let mut reader = Reader::default();
    let mut joined = String::new();
    for (i, line) in log.lines().enumerate() {
        let number = i + 1;
        joined.push_str(line);
        if let Some(before) = before_notice(&joined) {
            joined.truncate(before);
            continue;
        }
        reader
            .line(&joined, number)
            .map_err(|fault| fault.at(file, number))?;
        joined.clear();
    }
    Ok(reader.events)
}

/// Without `-o`, strace writes `strace: Process 123 attached` into the middle of a line, which
/// goes on in the next: the length of the line before such a notice.
fn before_notice(line: &str) -> Option<usize> {
    let (before, notice) = line.rsplit_once("strace: Process ")?;
    let is_alone = before.is_empty() || before.ends_with("] ");
    (!is_alone && notice.ends_with(" attached")).then_some(before.len())
}

#[derive(Default)]
struct Reader {
    events: Vec<Event>,
    /// By thread, its event that is not finished, and the arguments so far.
    open: HashMap<u32, (usize, String)>,
    /// Threads that have been named and have not ended.
    live: Vec<u32>,
}

impl Reader {
    fn line(&mut self, line: &str, number: usize) -> Result<(), Fault> {
        let mut cursor = Cursor::new(line);
        let is_notice = |cursor: &mut Cursor<'_>| cursor.rest().starts_with("strace: ");
        if cursor.is_at_end() || is_notice(&mut cursor) {
            return Ok(());
        }
        let pid = self.thread(thread(&mut cursor)?);
        time(&mut cursor);
        if cursor.rest().starts_with("--- ") || is_notice(&mut cursor) {
            return Ok(());
        }
        if cursor.eat("<... ") {
            return self.resumed(&mut cursor, pid, number);
        }
        let mut event = Event {
            line: number,
            end: number,
            pid,
            name: ENDED.to_owned(),
            args: Vec::new(),
            reply: Reply::Unknown,
        };
        if cursor.rest().starts_with("+++ ") {
            self.live.retain(|live| *live != pid);
            self.events.push(event);
            return Ok(());
        }
        event.name = cursor.take("a system call, as munmap(…)", |cursor| {
            let name = cursor.word();
            (!name.is_empty()).then(|| name.to_owned())
        })?;
        cursor.expect("(")?;
        match cursor.rest().trim_end().strip_suffix("<unfinished ...>") {
            // A thread that dies in a call leaves it open; a later one replaces it.
            Some(part) => {
                self.open
                    .insert(pid, (self.events.len(), part.trim_end().to_owned()));
            }
            None => finish(&mut cursor, &mut event)?,
        }
        self.events.push(event);
        Ok(())
    }

    /// Without a name it is the only one that lives; before any is named, the first.
    fn thread(&mut self, named: Option<u32>) -> u32 {
        match (named, self.live.as_slice()) {
            (Some(pid), live) => {
                if !live.contains(&pid) {
                    self.live.push(pid);
                }
                pid
            }
            (None, [only]) => *only,
            (None, _) => 0,
        }
    }

    /// The second line of a call.
    fn resumed(&mut self, cursor: &mut Cursor<'_>, pid: u32, number: usize) -> Result<(), Fault> {
        let (at, first) = cursor.take("a call that this thread has begun", |cursor| {
            let name = cursor.word();
            let open = self
                .open
                .get(&pid)
                .filter(|(at, _)| self.events[*at].name == name);
            open.cloned()
        })?;
        cursor.expect("resumed>")?;
        let rest = cursor.rest();
        if let Some(part) = rest.trim_end().strip_suffix("<unfinished ...>") {
            self.open
                .insert(pid, (at, format!("{first}{}", part.trim_end())));
            return Ok(());
        }
        self.open.remove(&pid);
        let whole = format!("{first}{rest}");
        let event = &mut self.events[at];
        event.end = number;
        finish(&mut Cursor::new(&whole), event).map_err(|mut fault| {
            // The place is in two lines; the beginning of the second is the honest answer.
            fault.column = 1;
            fault
        })
    }
}

/// Reads what follows the parenthesis.
fn finish(cursor: &mut Cursor<'_>, event: &mut Event) -> Result<(), Fault> {
    event.args = arguments(cursor)?;
    cursor.expect(")")?;
    cursor.expect("=")?;
    event.reply = reply(cursor)?;
    Ok(())
}

/// `[pid 123] `, `123  ` or nothing.
fn thread(cursor: &mut Cursor<'_>) -> Result<Option<u32>, Fault> {
    if cursor.eat("[pid") {
        let pid = cursor.take("a thread's number", |cursor| cursor.word().parse().ok())?;
        cursor.expect("]")?;
        return Ok(Some(pid));
    }
    let mut ahead = cursor.clone();
    let digits = ahead.run(|c| c.is_ascii_digit());
    let before_blank = cursor.rest()[digits.len()..].starts_with([' ', '\t']);
    match digits.parse() {
        Ok(pid) if before_blank => {
            *cursor = ahead;
            Ok(Some(pid))
        }
        _ => Ok(None),
    }
}

/// Skips a time, as `-t`, `-tt`, `-ttt` and `-r` write it.
fn time(cursor: &mut Cursor<'_>) {
    let mut ahead = cursor.clone();
    let time = ahead.run(|c| c.is_ascii_digit() || c == ':' || c == '.');
    if time.contains([':', '.']) {
        *cursor = ahead;
    }
}

fn reply(cursor: &mut Cursor<'_>) -> Result<Reply, Fault> {
    if cursor.eat("?") {
        return Ok(Reply::Unknown);
    }
    if cursor.eat("-1") {
        return cursor.take("the name of an error", |cursor| {
            let name = cursor.word();
            (!name.is_empty()).then(|| Reply::Error(name.to_owned()))
        });
    }
    cursor
        .number("a result: a number, `-1` and an error's name, or ?")
        .map(Reply::Value)
}

impl Event {
    /// An argument as it is written; nothing if there are fewer.
    pub fn arg(&self, at: usize) -> &str {
        self.args.get(at).map_or("", String::as_str)
    }

    /// An argument as a number; strace may write a path behind a descriptor.
    pub fn number(&self, at: usize) -> Option<u64> {
        number(self.arg(at))
    }

    /// An argument as a descriptor.
    pub fn fd(&self, at: usize) -> Option<i32> {
        let arg = self.arg(at);
        arg.split('<').next()?.trim().parse().ok()
    }

    /// The value that it answered.
    pub fn value(&self) -> Option<u64> {
        match self.reply {
            Reply::Value(value) => Some(value),
            Reply::Error(_) | Reply::Unknown => None,
        }
    }

    /// The descriptor that it answered.
    pub fn new_fd(&self) -> Option<i32> {
        i32::try_from(self.value()?).ok()
    }
}

/// A number as strace writes it.
pub(super) fn number(text: &str) -> Option<u64> {
    let mut cursor = Cursor::new(text);
    if cursor.eat("NULL") {
        return Some(0);
    }
    cursor.number("").ok()
}
