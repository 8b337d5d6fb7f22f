//! Several logs as one: what `strace -ff` writes, a file for each thread.

use std::fmt;

use super::Source;
use super::log::Log;
use super::reader::read;
use super::time::Nanos;

/// Logs that no program can be made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogError {
    /// One of several has lines without times, or with whole seconds.
    NoTime {
        /// The file's name.
        file: String,
        /// The line.
        line: usize,
    },
    /// Two are of the same thread.
    SameThread {
        /// The later file's name.
        file: String,
        /// The thread.
        pid: u32,
    },
    /// A listing was given for a process that is there from its beginning.
    BeginsWithExecve {
        /// The log's name.
        file: String,
        /// The line of the execve.
        line: usize,
    },
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTime { file, line } => write!(
                f,
                "{file}:{line}: expected a time, as `strace -ff -ttt` or `-tt` writes it: without times \
         nothing tells in which order the calls of several files were made"
            ),
            Self::SameThread { file, pid } => write!(
                f,
                "{file}: is of thread {pid}, as a file before it is: expected one file a thread"
            ),
            Self::BeginsWithExecve { file, line } => write!(
                f,
                "{file}:{line}: execve leaves nothing of what was there: expected a log that begins in the \
         middle of a process, as a listing of its areas was given"
            ),
        }
    }
}

impl std::error::Error for LogError {}

/// Reads logs, and puts the events of several in the order of their times.
pub(super) fn read_all(logs: &[Source<'_>]) -> Result<Log, LogError> {
    let mut all = Log::default();
    let mut pids = Vec::new();
    let several = logs.len() > 1;
    for (file, source) in logs.iter().enumerate() {
        let mut log = read(source.text, file);
        if several {
            let pid = pid_of(source.name);
            if let Some(pid) = pid.filter(|pid| pids.contains(pid)) {
                let file = source.name.to_owned();
                return Err(LogError::SameThread { file, pid });
            }
            pids.extend(pid);
            for event in log.events.iter_mut().filter(|event| event.pid == 0) {
                event.pid = pid.unwrap_or(0);
            }
            if let Some(event) = log.events.iter().find(|event| event.time.is_none()) {
                let (file, line) = (source.name.to_owned(), event.line);
                return Err(LogError::NoTime { file, line });
            }
            over_midnight(&mut log);
        }
        all.events.append(&mut log.events);
        all.unread.append(&mut log.unread);
        all.attached.append(&mut log.attached);
        all.is_32_bit |= log.is_32_bit;
    }
    if several {
        by_time(&mut all);
    }
    Ok(all)
}

/// `-ff` writes to `NAME.PID`.
fn pid_of(name: &str) -> Option<u32> {
    name.rsplit_once('.')?.1.parse().ok()
}

/// Times of the day begin again at midnight.
fn over_midnight(log: &mut Log) {
    let mut days = Nanos(0);
    let mut last = Nanos(0);
    for event in &mut log.events {
        let Some(time) = &mut event.time else {
            continue;
        };
        if time.0 + days.0 + Nanos::DAY.0 / 2 < last.0 {
            days.0 += Nanos::DAY.0;
        }
        time.0 += days.0;
        last = *time;
    }
}

/// Gives beginnings and ends their places in the order of times. Without `-T` a call ends when it
/// begins, as far as the log tells.
fn by_time(log: &mut Log) {
    let mut places: Vec<(Nanos, usize, usize, bool)> = Vec::new();
    for (at, event) in log.events.iter().enumerate() {
        let begin = event.time.unwrap_or(Nanos(0));
        let end = Nanos(begin.0 + event.took.map_or(0, |took| took.0));
        places.push((begin, event.file, at, false));
        places.push((end, event.file, at, true));
    }
    places.sort();
    for (place, (_, _, at, is_end)) in places.into_iter().enumerate() {
        let event = &mut log.events[at];
        match is_end {
            true => event.end = place,
            false => event.begin = place,
        }
    }
    log.events.sort_by_key(|event| event.begin);
}
