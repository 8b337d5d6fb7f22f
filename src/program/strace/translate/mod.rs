//! The calls of a log as calls of a program.

mod asked;
mod descriptors;
mod machine;
mod memory;
mod start;

pub(super) use self::memory::UNKNOWN;

use vmadiff_contract::{Call, CallKind, Errno, Fail, Outcome, TaskId};

use self::machine::{config, heap};
use super::family::{Elders, Kin, kin};
use super::files::Files;
use super::listing::Listing;
use super::log::{ENDED, Event};
use super::memory::Memory;
use super::reply::Reply;
use super::tasks::{Change, Tasks, Thread};
use super::{Import, Linux, Source};
use crate::counted::counted;
use crate::program::shape::{self, MAX_PARAMS, Param};
use crate::program::text::cursor::Cursor;
use crate::program::text::value;
use crate::program::{Answer, Expect, Step};

/// What a program is made of.
pub(super) struct Given<'a> {
    /// The logs, for their names.
    pub logs: &'a [Source<'a>],
    /// Whose threads are.
    pub elders: &'a Elders,
    /// What was there before the first event.
    pub start: Option<&'a Listing>,
}

/// Makes a program of events, which are in order.
pub(super) fn translate(events: &[Event], given: &Given<'_>) -> Import {
    let tasks = Tasks::new(events, given.elders);
    let config = config(events, tasks.count, given.start);
    let mut translator = Translator {
        events,
        logs: given.logs,
        done: vec![false; events.len()],
        first_exec: first_exec(events),
        memory: vec![Memory::new(&config)],
        files: Files::follow(events, given.elders),
        tasks,
        import: Import::default(),
        has_heap: heap(events).is_some() || given.start.is_some_and(machine::has_heap),
    };
    translator.import.case.program.config = config;
    if let Some(listing) = given.start {
        translator.start(listing);
    }
    for at in 0..events.len() {
        translator.event(at);
    }
    translator.import
}

/// The execve that a log begins with, if it does; those before it found no program.
fn first_exec(events: &[Event]) -> Option<usize> {
    let at = events
        .iter()
        .position(|event| !event.name.starts_with("execve") || event.value().is_some())?;
    (kin(&events[at]) == Kin::Exec).then_some(at)
}

struct Translator<'a> {
    events: &'a [Event],
    logs: &'a [Source<'a>],
    /// By event: it was taken before its turn.
    done: Vec<bool>,
    first_exec: Option<usize>,
    /// By process.
    memory: Vec<Memory>,
    files: Files,
    tasks: Tasks,
    import: Import,
    has_heap: bool,
}

/// Why a call is not in the program.
type Skipped = String;

impl Translator<'_> {
    fn event(&mut self, at: usize) {
        if std::mem::replace(&mut self.done[at], true) {
            return;
        }
        let event = &self.events[at];
        let summary = &mut self.import.summary;
        if event.name == ENDED {
            // If the thread's own call did not say so, a signal has ended its process.
            if self.tasks.thread(event.pid).gone.is_none() {
                summary.seen += 1;
                let exit = Event {
                    name: "exit_group".to_owned(),
                    ..event.clone()
                };
                self.change(&exit, at);
            }
            return;
        }
        summary.seen += 1;
        if self.change(event, at) {
            return;
        }
        let thread = self.tasks.thread(event.pid);
        match self.call(at, event, thread) {
            Ok(()) => self.import.summary.taken += 1,
            Err(why) => {
                self.lose(event, thread);
                self.skip(event, &why);
            }
        }
    }

    /// Follows what an event does to threads and processes; false if that is nothing.
    fn change(&mut self, event: &Event, at: usize) -> bool {
        let thread = self.tasks.thread(event.pid);
        match self.tasks.follow(event, self.first_exec == Some(at)) {
            Change::Fork(child) => {
                self.memory.push(self.memory[thread.process].clone());
                let outcome = Some(Outcome::Value(child.0.into()));
                self.push(event, thread.task, Call::Fork, outcome);
                self.import.summary.taken += 1;
            }
            Change::Exit(tasks) => {
                for task in tasks {
                    self.push(event, task, Call::Exit, None);
                }
                self.import.summary.taken += 1;
            }
            Change::Skip(why) => {
                if thread.gone.is_none() {
                    self.lose(event, thread);
                }
                self.skip(event, why);
            }
            Change::None => return false,
        }
        true
    }

    fn skip(&mut self, event: &Event, why: &str) {
        let at = format!("{}:{}", self.logs[event.file].name, event.line);
        self.import.summary.skip(&event.name, why, &at, None);
    }

    fn call(&mut self, at: usize, event: &Event, thread: Thread) -> Result<(), Skipped> {
        let kind = match event.call() {
            "open" | "openat" | "openat2" | "creat" | "memfd_create" | "close" | "dup" | "dup2"
            | "dup3" | "fcntl" => return self.descriptors(at, event, thread),
            "mmap" => return self.mmap(at, event, thread),
            "mremap" => return self.mremap(at, event, thread),
            "ftruncate" => return self.truncate(at, event, thread),
            "setrlimit" | "prlimit64" | "prlimit" => return self.limit(event, thread),
            "getrlimit" => return Err("only asks for a limit".into()),
            "get_mempolicy" => return self.query(event, thread),
            "pkey_mprotect" if event.arg(3) != "-1" => {
                return Err("with a protection key, which the model does not have".into());
            }
            "pkey_mprotect" => CallKind::Mprotect,
            "brk" if !self.has_heap => return Err("where the heap begins is not known".into()),
            name if name.starts_with("SYS_") => {
                return Err("in ltrace's notation, not strace's".into());
            }
            name => simple(name).ok_or_else(|| asked::unknown(name))?,
        };
        has_result(event)?;
        let mut known = event.clone();
        known.args.truncate(shape::params(kind).len());
        let same = if event.call() == "pkey_mprotect" {
            &known
        } else {
            event
        };
        let words = words(same, kind, shape::params(kind).len())?;
        let call = shape::build(kind, &words);
        self.check_is_known(kind, thread, words[0], words[1], event)?;
        let outcome = match self.age(event, kind, &words)? {
            Some(_) => None,
            None => self.outcome(event),
        };
        self.push(event, thread.task, call, outcome);
        self.effect(kind, thread, words[0], words[1], event);
        Ok(())
    }

    /// What Linux answered, if the model can answer it at all.
    fn outcome(&self, event: &Event) -> Option<Outcome> {
        match &event.reply {
            Reply::Value(value) => Some(Outcome::Value(*value)),
            Reply::Error(name) => {
                let known = Errno::ALL
                    .iter()
                    .copied()
                    .find(|errno| errno.name() == name);
                known.map(Outcome::Errno)
            }
            Reply::Unknown => None,
        }
    }

    fn push(&mut self, event: &Event, task: TaskId, call: Call, outcome: Option<Outcome>) {
        let text = match &event.reply {
            _ if call == Call::Exit => "?".to_owned(),
            Reply::Value(value) => format!("{value:#x}"),
            Reply::Error(name) => format!("-1 {name}"),
            Reply::Unknown => "?".to_owned(),
        };
        let (file, line) = (event.file, event.line);
        self.push_step(
            task,
            call,
            Linux {
                file,
                line,
                outcome,
                text,
            },
        );
    }

    fn push_step(&mut self, task: TaskId, call: Call, linux: Linux) {
        let case = &mut self.import.case;
        case.program.calls.push(Step {
            task,
            call,
            fail: Fail::NONE,
        });
        case.expect.push(Expect {
            outcome: linux.outcome.map(Answer::Is),
            frees: None,
        });
        self.import.linux.push(linux);
    }
}

fn has_result(event: &Event) -> Result<(), Skipped> {
    match event.reply {
        Reply::Unknown => Err("the log has no result of it".into()),
        Reply::Value(_) | Reply::Error(_) => Ok(()),
    }
}

/// The calls whose arguments are the program's, one by one.
fn simple(name: &str) -> Option<CallKind> {
    const SIMPLE: [CallKind; 10] = [
        CallKind::Munmap,
        CallKind::Mprotect,
        CallKind::Madvise,
        CallKind::Brk,
        CallKind::Mlock,
        CallKind::Mlock2,
        CallKind::Munlock,
        CallKind::Mlockall,
        CallKind::Munlockall,
        CallKind::Msync,
    ];
    SIMPLE.into_iter().find(|kind| kind.name() == name)
}

/// The arguments of a call, at least so many of them.
fn words(event: &Event, kind: CallKind, least: usize) -> Result<[u64; MAX_PARAMS], Skipped> {
    let params = shape::params(kind);
    let given = event.args.len();
    if !(least..=params.len()).contains(&given) {
        return Err(format!("with {}", counted(given, "argument")));
    }
    let mut words = [0; MAX_PARAMS];
    for (i, (&param, word)) in params.iter().zip(&mut words).enumerate().take(given) {
        *word = match param {
            // Descriptors have the program's numbers.
            Param::Fd => u64::MAX,
            _ => argument(event.arg(i), param)?,
        };
    }
    Ok(words)
}

/// An argument's value. What the model has no name for is not guessed.
fn argument(text: &str, param: Param) -> Result<u64, Skipped> {
    let mut cursor = Cursor::new(text);
    let word = value::parse(&mut cursor, param);
    match word {
        Ok(word) if cursor.is_at_end() => Ok(word),
        _ => Err(format!(
            "with {}, which the model does not have",
            cursor.take_rest()
        )),
    }
}
