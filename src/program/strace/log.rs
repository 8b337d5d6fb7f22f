//! What a log holds: events, which are the calls of threads and their ends, and the lines that
//! cannot be understood for certain.

use super::reply::{Reply, number};
use super::time::Nanos;

/// One call of one thread, or its end.
#[derive(Clone, Debug)]
pub(super) struct Event {
    /// Which log, from 0.
    pub file: usize,
    /// The line that it begins on, from 1.
    pub line: usize,
    /// When it begins: the order of all events of all logs.
    pub begin: usize,
    /// When it ends.
    pub end: usize,
    /// The thread; 0 before a log names threads.
    pub pid: u32,
    /// The name of the system call, or [`ENDED`].
    pub name: String,
    /// The arguments as they are written, without comments.
    pub args: Vec<String>,
    /// What it answered.
    pub reply: Reply,
    /// The thread's number from then on, if it is another: an execve gave it its process's.
    pub becomes: Option<u32>,
    /// The time at which it began and how long it took, if the log tells.
    pub time: Option<Nanos>,
    pub took: Option<Nanos>,
}

/// The name of the event of a thread that has ended, however it did.
pub(super) const ENDED: &str = "+++";

/// A line that is left out, or the part of a call that is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unread {
    /// Which log, from 0, and which line of it, from 1.
    pub file: usize,
    pub line: usize,
    /// The call's name, or `line`.
    pub name: String,
    pub why: &'static str,
    /// What stands there.
    pub text: String,
}

/// What is in a log.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// In the order in which calls begin.
    pub events: Vec<Event>,
    pub unread: Vec<Unread>,
    /// Processes that strace attached to, other than by a fork, and how many threads they had.
    pub attached: Vec<(u32, Option<usize>)>,
    /// It has calls of a 32-bit program.
    pub is_32_bit: bool,
}

/// The name that a call has today on x86-64.
pub(super) fn canonical(name: &str) -> &str {
    match name {
        "_exit" => "exit",
        "mmap2" | "old_mmap" | "mmap_pgoff" | "old_mmap_pgoff" => "mmap",
        "fstat64" => "fstat",
        "ftruncate64" => "ftruncate",
        "fcntl64" => "fcntl",
        name => name,
    }
}

impl Event {
    /// Today's name of the call.
    pub fn call(&self) -> &str {
        canonical(&self.name)
    }

    /// An argument as it is written, without the name that `-N` gives it; nothing if there are
    /// fewer.
    pub fn arg(&self, at: usize) -> &str {
        let arg = self.args.get(at).map_or("", String::as_str);
        match arg.split_once('=') {
            Some((name, value)) if name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') => {
                value
            }
            _ => arg,
        }
    }

    /// An argument as a number.
    pub fn number(&self, at: usize) -> Option<u64> {
        number(self.arg(at))
    }

    /// An argument as a descriptor; strace may write a path behind it.
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
