//! The calls of a log as calls of a program.

mod descriptors;
mod machine;
mod memory;

use vmadiff_contract::{Call, CallKind, Errno, Fail, Outcome, TaskId};

use self::machine::{config, heap};
use super::files::Files;
use super::log::{ENDED, Event, Reply};
use super::summary::Summary;
use super::tasks::{Change, Tasks, Thread};
use super::{Import, Linux};
use crate::program::shape::{self, MAX_PARAMS, Param};
use crate::program::text::cursor::Cursor;
use crate::program::text::value;
use crate::program::world::World;
use crate::program::{Case, Expect, Step};

/// Makes a program of a log's events, which are in order.
pub(super) fn translate(events: &[Event]) -> Import {
    let tasks = Tasks::new(events);
    let config = config(events, tasks.count);
    let mut translator = Translator {
        world: World::new(&config),
        files: Files::follow(events),
        tasks,
        import: Import {
            case: Case::default(),
            linux: Vec::new(),
            summary: Summary {
                seen: events.iter().filter(|event| event.name != ENDED).count(),
                ..Summary::default()
            },
        },
        has_heap: heap(events).is_some(),
    };
    translator.import.case.program.config = config;
    for (at, event) in events.iter().enumerate() {
        translator.event(at, event);
    }
    translator.import
}

struct Translator {
    world: World,
    files: Files,
    tasks: Tasks,
    import: Import,
    has_heap: bool,
}

/// Why a call is not in the program.
type Skipped = String;

impl Translator {
    fn event(&mut self, at: usize, event: &Event) {
        if event.name == ENDED {
            self.ended(event);
            return;
        }
        let thread = self.tasks.thread(event.pid);
        match self.tasks.follow(event, at == 0) {
            Change::Fork(child) => {
                let outcome = Some(Outcome::Value(child.0.into()));
                self.push(event, thread.task, Call::Fork, outcome);
            }
            Change::Exit(tasks) => {
                for task in tasks {
                    self.push(event, task, Call::Exit, None);
                }
            }
            Change::Skip(why) => self.import.summary.skip(&event.name, why),
            Change::None => {
                if let Err(why) = self.call(at, event, thread) {
                    self.import.summary.skip(&event.name, &why);
                }
            }
        }
    }

    /// A thread has ended, if its own call did not say so: a signal has ended its process.
    fn ended(&mut self, event: &Event) {
        if self.tasks.thread(event.pid).gone.is_none() {
            let exit = Event {
                name: "exit_group".to_owned(),
                ..event.clone()
            };
            if let Change::Exit(tasks) = self.tasks.follow(&exit, false) {
                for task in tasks {
                    self.push(event, task, Call::Exit, None);
                }
            }
        }
    }

    fn call(&mut self, at: usize, event: &Event, thread: Thread) -> Result<(), Skipped> {
        let kind = match event.name.as_str() {
            "open" | "openat" | "openat2" | "creat" | "memfd_create" | "close" | "dup" | "dup2"
            | "dup3" | "fcntl" => return self.descriptors(at, event, thread),
            "mmap" => return self.mmap(at, event, thread),
            "mremap" => return self.mremap(event, thread),
            "ftruncate" => return self.truncate(at, event, thread),
            "brk" if !self.has_heap => return Err("where the heap begins is not known".into()),
            name => simple(name).ok_or("not a call that the model has")?,
        };
        if event.reply == Reply::Unknown {
            return Err("it did not return".into());
        }
        let mut words = [0; MAX_PARAMS];
        for (i, &param) in shape::params(kind).iter().enumerate() {
            words[i] = argument(event.arg(i), param)?;
        }
        let call = shape::build(kind, &words);
        self.check_is_known(thread.task, kind, words[0], words[1], event)?;
        self.push(event, thread.task, call, self.outcome(event));
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
        let step = Step {
            task,
            call,
            fail: Fail::NONE,
        };
        self.world.apply(&step);
        let case = &mut self.import.case;
        case.program.calls.push(step);
        case.expect.push(Expect {
            outcome,
            frees: None,
        });
        self.import.linux.push(Linux {
            line: event.line,
            outcome,
            text: match &event.reply {
                _ if call == Call::Exit => "?".to_owned(),
                Reply::Value(value) => format!("{value:#x}"),
                Reply::Error(name) => format!("-1 {name}"),
                Reply::Unknown => "?".to_owned(),
            },
        });
        self.import.summary.imported += 1;
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
