//! A log of `strace -f -e trace=memory,process,desc`, or of a part of these, becomes a program.
//!
//! The program has the calls that the model knows, with their arguments, in the order in which
//! they finished: mapping and protection, locking, the heap, forks and ends, and opens and closes
//! of files that are mapped. Nothing is guessed: a line that is none of strace's, a call whose
//! beginning, end or result is missing, one that the model does not have, and one on memory whose
//! state the log does not show are left out and counted in the [`Summary`] by name and reason. A
//! log holds no accesses to memory, and neither does the program.
//!
//! **Addresses** stay. The heap begins where the first `brk(NULL)` says, and places are looked for
//! below the first one that Linux chose. Where Linux chose one that the rules would not (it aligns
//! large areas since 6.7, and avoids what execve mapped), the call asks for it, so that later calls
//! find it.
//!
//! **Memory that was there** before the log began is not in it: calls that succeeded on it are left
//! out. For a process that strace attached to, a [`Listing`] of its areas makes them.
//!
//! **Files** are told by their descriptors: each open is a file of its own, as large as a stat of
//! it said, or as its mappings need. Descriptors have the program's numbers.
//!
//! **A later execve** ends an address space, as an exit does; what comes after it is a program of
//! its own, with a new address space ([`import_all`]).

mod body;
mod family;
mod files;
mod leader;
mod listing;
mod log;
mod memory;
mod merge;
mod ranges;
mod raw;
mod reader;
mod reply;
mod split;
mod summary;
mod table;
mod tasks;
mod time;
mod translate;

use vmadiff_contract::{CallKind, Outcome};

use self::family::{Kin, kin};
use self::log::{Event, Log};
use self::translate::Given;
use super::Case;
use super::text::outcome_text;

pub use listing::Listing;
pub use merge::LogError;
pub use summary::{Skipped, Summary};

/// A log.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The file's name. Of several, each ends in `.PID`, as `strace -ff` names them.
    pub name: &'a str,
    /// What it holds.
    pub text: &'a str,
}

/// What was made of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Import {
    /// The program. Each call expects what Linux answered.
    pub case: Case,
    /// What Linux answered, call by call.
    pub linux: Vec<Linux>,
    /// What was taken and what was not.
    pub summary: Summary,
}

/// What Linux answered to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linux {
    /// Which of the logs, from 0.
    pub file: usize,
    /// The line of the log, from 1; 0 for a call that makes what was there before.
    pub line: usize,
    /// In the program's terms: its descriptors and tasks. None for a call that does not return,
    /// and for an error that the model does not have.
    pub outcome: Option<Outcome>,
    /// As the log has it.
    pub text: String,
}

/// A call that Linux and another answered differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The call's index in the program.
    pub call: usize,
    /// Which of the logs, from 0.
    pub file: usize,
    /// The line of the log.
    pub line: usize,
    /// Linux's answer, as program text has it.
    pub linux: String,
    /// The other's.
    pub other: String,
}

/// Makes a program of a log's first process, up to the next execve.
pub fn import(log: Source<'_>) -> Import {
    let images = import_all(&[log], None).unwrap_or_default();
    let others = images.len().saturating_sub(1);
    let mut first = images.into_iter().next().unwrap_or_default();
    first.summary.others = others;
    first
}

/// Makes a program for each execve of a log, in the order in which they began. Several logs are
/// those of the threads of one run; `start` lists the areas that were there before the log began.
///
/// # Errors
///
/// Several logs that have no times, or are of one thread; a listing for a log that begins with an
/// execve.
pub fn import_all(logs: &[Source<'_>], start: Option<&Listing>) -> Result<Vec<Import>, LogError> {
    let known = Known {
        start,
        all_threads: false,
    };
    import_knowing(logs, known)
}

/// What somebody knows of a log's run that the log does not tell.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known<'a> {
    /// The areas that were there before the log began.
    pub start: Option<&'a Listing>,
    /// Threads whose birth the log does not show are the first process's own.
    pub all_threads: bool,
}

/// As [`import_all`], with what is known beside the log.
///
/// # Errors
/// As [`import_all`].
pub fn import_knowing(logs: &[Source<'_>], known: Known<'_>) -> Result<Vec<Import>, LogError> {
    let Known { start, all_threads } = known;
    let mut log = merge::read_all(logs)?;
    pages_to_bytes(&mut log.events);
    let elders = family::elders(&mut log, all_threads);
    let mut events = std::mem::take(&mut log.events);
    family::in_order(&mut events);
    if start.is_some()
        && let Some(event) = events.first().filter(|event| kin(event) == Kin::Exec)
    {
        let (file, line) = (logs[event.file].name.to_owned(), event.line);
        return Err(LogError::BeginsWithExecve { file, line });
    }
    let images = family::images(events);
    let mut start = start;
    let all = images.iter().map(|events| {
        let given = Given {
            logs,
            elders: &elders,
            start: start.take(),
        };
        let wants_start = given.start.is_none();
        let mut import = translate::translate(events, &given);
        note(&mut import.summary, &log, logs, wants_start);
        import
    });
    Ok(all.collect())
}

/// mmap2 gives the offset in pages, which newer versions of strace turn into bytes; if one is no
/// multiple of a page, they all are pages.
fn pages_to_bytes(events: &mut [Event]) {
    const PAGE: u64 = vmadiff_contract::PAGE_SIZE;
    let is_pages = |event: &Event| {
        event.name == "mmap2" && event.number(5).is_some_and(|off| !off.is_multiple_of(PAGE))
    };
    if !events.iter().any(is_pages) {
        return;
    }
    for event in events.iter_mut().filter(|event| event.name == "mmap2") {
        if let Some(off) = event.number(5).and_then(|pages| pages.checked_mul(PAGE)) {
            event.args[5] = format!("{off:#x}");
        }
    }
}

/// Adds what is true of the whole log to the summary of one of its programs.
fn note(summary: &mut Summary, log: &Log, logs: &[Source<'_>], wants_start: bool) {
    for unread in &log.unread {
        let at = format!("{}:{}", logs[unread.file].name, unread.line);
        summary.skip(&unread.name, unread.why, &at, Some(&unread.text));
    }
    if log.is_32_bit {
        let said = "of a 32-bit program: its calls are made in a 64-bit address space, whose limits \
                    are others; addresses and offsets are as the log has them";
        summary.notes.push(said.to_owned());
    }
    let lacks = summary
        .skipped
        .keys()
        .any(|(_, why)| why == translate::UNKNOWN);
    let attached = log.attached.first().filter(|_| wants_start && lacks);
    if let Some((pid, _)) = attached {
        summary.notes.push(format!(
            "strace attached to a process that was there: its areas, as /proc/{pid}/maps listed \
             them then, would make more of the log (--maps)"
        ));
    }
}

impl Import {
    /// Whether no call is left that does something to memory: the program would prove nothing.
    pub fn is_empty(&self) -> bool {
        let after = self.case.program.calls.iter().skip(self.summary.start);
        let mut kinds = after.map(|step| step.call.kind());
        kinds.all(|kind| kind == CallKind::Exit)
    }

    /// Compares what Linux answered with what another did, call by call. Where they differ the
    /// case no longer expects Linux's answer; it stays as a note behind the call.
    pub fn compare(&mut self, others: &[Outcome]) -> Vec<Difference> {
        let mut differences = Vec::new();
        let calls = self.case.program.calls.iter().zip(&self.linux).zip(others);
        for (i, ((step, linux), &other)) in calls.enumerate() {
            let kind = step.call.kind();
            if linux.text == "?" || linux.outcome == Some(other) {
                continue;
            }
            let answer = match linux.outcome {
                Some(outcome) => outcome_text(kind, outcome),
                None => linux.text.clone(),
            };
            self.case.notes.push((i, format!("Linux: {answer}")));
            if let Some(expect) = self.case.expect.get_mut(i) {
                expect.outcome = None;
            }
            differences.push(Difference {
                call: i,
                file: linux.file,
                line: linux.line,
                linux: answer,
                other: outcome_text(kind, other),
            });
        }
        differences
    }
}
