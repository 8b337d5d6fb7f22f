//! The calls of a log as calls of a program.

use vmadiff_contract::{
    Call, CallKind, Config, Errno, Fail, FileKind, MapFlags, MoveFlags, Outcome, PAGE_SIZE, TaskId,
};

use super::files::{Action, Files};
use super::log::{ENDED, Event, Reply};
use super::summary::Summary;
use super::tasks::{Change, Tasks, Thread};
use super::{Import, Linux};
use crate::program::settings::fit_together;
use crate::program::shape::{self, MAX_PARAMS, Param};
use crate::program::text::cursor::Cursor;
use crate::program::text::value;
use crate::program::world::World;
use crate::program::{Case, Expect, Step};

/// Descriptors that a program may use, when the default is too few.
const MANY_FILES: u32 = 1024;

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

/// The machine that the log's first process ran on, as far as the log shows it.
fn config(events: &[Event], tasks: u8) -> Config {
    let mut config = Config {
        tasks,
        ..Config::default()
    };
    if let Some(start) = heap(events) {
        config.start_brk = start - start % PAGE_SIZE;
    }
    // What lies above the first place that Linux chose was there before the log began.
    let first = events
        .iter()
        .find(|event| event.name == "mmap" && event.number(0) == Some(0));
    let end = first.and_then(|event| event.value()?.checked_add(event.number(1)?));
    if let Some(base) = end.and_then(|end| end.checked_next_multiple_of(PAGE_SIZE)) {
        config.mmap_base = base;
    }
    fit_together(&mut config);
    config
}

/// Where the heap begins: what the first `brk(NULL)` answers.
fn heap(events: &[Event]) -> Option<u64> {
    let first = events.iter().find(|event| event.name == "brk")?;
    first
        .value()
        .filter(|&start| first.number(0) == Some(0) && start >= PAGE_SIZE)
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

    /// What execve mapped is not in the log. A call that succeeds on it would fail in the program.
    fn check_is_known(
        &self,
        task: TaskId,
        kind: CallKind,
        addr: u64,
        len: u64,
        event: &Event,
    ) -> Result<(), Skipped> {
        let takes_a_range = shape::params(kind).starts_with(&[Param::Addr, Param::Len]);
        if !takes_a_range || event.value().is_none() {
            return Ok(());
        }
        let space = self.world.space(task);
        let start = addr - addr % PAGE_SIZE;
        let end = addr.saturating_add(len);
        let is_known = match kind {
            CallKind::Munmap => !space.is_free(start, end),
            _ => space.covers(start, end),
        };
        if is_known {
            return Ok(());
        }
        Err("on memory that the log does not map".into())
    }

    fn mmap(&mut self, at: usize, event: &Event, thread: Thread) -> Result<(), Skipped> {
        if event.reply == Reply::Unknown {
            return Err("it did not return".into());
        }
        let mut words = [0; MAX_PARAMS];
        for (i, &param) in shape::params(CallKind::Mmap).iter().enumerate() {
            words[i] = match param {
                Param::Fd => u64::MAX,
                _ => argument(event.arg(i), param)?,
            };
        }
        let flags = MapFlags::from_bits_retain(words[3] as u32);
        if !flags.contains(MapFlags::ANONYMOUS) {
            let used = self
                .files
                .actions(at)
                .iter()
                .find_map(|action| match action {
                    Action::Use(file) => Some(*file),
                    _ => None,
                });
            let fds = &self.tasks.processes[thread.process].fds;
            let fd = used
                .filter(|_| thread.shares_files)
                .and_then(|file| fds.get(&file));
            let fd = fd.ok_or("of a descriptor that the log does not open, or of a device")?;
            words[4] = i64::from(fd.0) as u64;
        }
        let outcome = self.outcome(event);
        let step = Step {
            task: thread.task,
            call: shape::build(CallKind::Mmap, &words),
            fail: Fail::NONE,
        };
        let fixed = flags.intersects(MapFlags::FIXED | MapFlags::FIXED_NOREPLACE);
        if let Some(place) = event.value().filter(|_| !fixed)
            && self.world.placed(&step) != Some(place)
        {
            // Later calls name this place, so it becomes a hint.
            words[0] = place;
            self.import.summary.placed += 1;
        }
        self.push(
            event,
            thread.task,
            shape::build(CallKind::Mmap, &words),
            outcome,
        );
        Ok(())
    }

    fn mremap(&mut self, event: &Event, thread: Thread) -> Result<(), Skipped> {
        let mut words = [0; MAX_PARAMS];
        for (i, &param) in shape::params(CallKind::Mremap)
            .iter()
            .enumerate()
            .take(event.args.len())
        {
            words[i] = argument(event.arg(i), param)?;
        }
        let task = thread.task;
        self.check_is_known(task, CallKind::Mprotect, words[0], words[1], event)?;
        let call = shape::build(CallKind::Mremap, &words);
        let step = Step {
            task,
            call,
            fail: Fail::NONE,
        };
        if let Some(place) = event.value()
            && self.world.placed(&step) != Some(place)
        {
            words[3] |= u64::from((MoveFlags::MAYMOVE | MoveFlags::FIXED).bits());
            words[4] = place;
            self.import.summary.placed += 1;
        }
        let call = shape::build(CallKind::Mremap, &words);
        self.push(event, task, call, self.outcome(event));
        Ok(())
    }

    fn truncate(&mut self, at: usize, event: &Event, thread: Thread) -> Result<(), Skipped> {
        let Some(&Action::Use(file)) = self.files.actions(at).first() else {
            return Err("its descriptor is never mapped".into());
        };
        let fds = &self.tasks.processes[thread.process].fds;
        let fd = fds.get(&file).copied().filter(|_| thread.shares_files);
        let fd = fd.ok_or("its descriptor is never mapped")?;
        let size = event.number(1).ok_or("its size is no number")?;
        self.push(
            event,
            thread.task,
            Call::Ftruncate { fd, size },
            self.outcome(event),
        );
        Ok(())
    }

    /// Opens and closes as far as the file is mapped some time.
    fn descriptors(&mut self, at: usize, event: &Event, thread: Thread) -> Result<(), Skipped> {
        let mut result = Err("its descriptor is never mapped".into());
        if !thread.shares_files {
            return Err("of a thread with descriptors of its own".into());
        }
        for i in 0..self.files.actions(at).len() {
            let process = &mut self.tasks.processes[thread.process];
            match self.files.actions(at)[i] {
                Action::Open(file) if self.files.opened[file].is_mapped => {
                    let fd = process.free_fd();
                    process.fds.insert(file, fd);
                    let config = &mut self.import.case.program.config;
                    if fd.0 as u32 >= config.rlimit_nofile {
                        config.rlimit_nofile = MANY_FILES;
                    }
                    let opened = self.files.opened[file];
                    let call = Call::Open {
                        kind: FileKind::Plain,
                        access: opened.access,
                        size: opened.size(),
                    };
                    self.push(event, thread.task, call, Some(Outcome::Value(fd.0 as u64)));
                    result = Ok(());
                }
                Action::Close(file) => {
                    if let Some(fd) = process.fds.remove(&file) {
                        let outcome = Some(Outcome::Value(0));
                        self.push(event, thread.task, Call::Close { fd }, outcome);
                        result = Ok(());
                    }
                }
                Action::Open(_) | Action::Use(_) => {}
            }
        }
        result
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
