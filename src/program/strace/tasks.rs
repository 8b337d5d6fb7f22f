//! The threads of a log as tasks of a program.
//!
//! A program's first address space has up to eight threads, from the start; every other one begins
//! with a fork. So threads of the first process have a task of their own as far as there are
//! tasks; the rest, threads of forked processes, and a child of vfork, which borrows its parent's
//! memory, act as their process's first task: what they do to memory is the same.

use std::collections::{BTreeMap, HashMap, HashSet};

use vmadiff_contract::{Fd, MAX_TASKS, TaskId};

use super::family::{Birth, Elders, Kin, kin};
use super::log::Event;

/// The most threads that the first address space can have.
const MAX_THREADS: u8 = 8;

/// A thread of the log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Thread {
    /// The task that makes its calls.
    pub task: TaskId,
    /// It is the only one that has this task.
    owns_task: bool,
    /// Its process.
    pub process: usize,
    /// It shares its process's descriptors.
    pub shares_files: bool,
    /// It borrows its process's memory.
    is_vfork: bool,
    /// Why its calls cannot be in the program.
    pub gone: Option<&'static str>,
}

/// A process of the log.
#[derive(Clone, Debug, Default)]
pub(super) struct Process {
    /// Its tasks that live.
    tasks: Vec<TaskId>,
    /// The files of the log that it has open, and the program's descriptors of them.
    pub fds: BTreeMap<usize, Fd>,
}

impl Process {
    /// The lowest descriptor that is free in the program.
    pub fn free_fd(&self) -> Fd {
        let free = (3..).find(|fd| !self.fds.values().any(|taken| taken.0 == *fd));
        Fd(free.expect("few files are open"))
    }
}

/// What becomes of tasks at an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// The event's task forks this one.
    Fork(TaskId),
    /// These exit.
    Exit(Vec<TaskId>),
    /// Nothing that the program can show, and why if the event is one of the family's.
    Skip(&'static str),
    /// The event is not one of the family's.
    None,
}

/// All threads and processes.
#[derive(Debug)]
pub(super) struct Tasks {
    threads: HashMap<u32, Thread>,
    pub processes: Vec<Process>,
    /// Threads of the first address space, and how many of them have come.
    pub count: u8,
    come: u8,
    /// The task of the next fork.
    next: u8,
}

impl Tasks {
    /// Before the first event.
    pub fn new(events: &[Event], elders: &Elders) -> Self {
        // The first process of a later image is the one that execve was called by.
        let is_elder =
            |event: &Event| event.pid == elders.first || elders.threads.contains(&event.pid);
        let first = match events.iter().find(|event| is_elder(event)) {
            Some(_) => elders.first,
            None => events.first().map_or(0, |event| event.pid),
        };
        let elder_threads = match first == elders.first {
            true => elders.threads.as_slice(),
            false => &[],
        };
        let mut tasks = Self {
            threads: HashMap::new(),
            processes: vec![Process {
                tasks: vec![TaskId(1)],
                ..Process::default()
            }],
            count: 1,
            come: 1,
            next: 0,
        };
        tasks.count = count_threads(events, first, elder_threads);
        tasks.next = tasks.count + 1;
        tasks.threads.insert(
            first,
            Thread {
                task: TaskId(1),
                owns_task: true,
                process: 0,
                shares_files: true,
                is_vfork: false,
                gone: None,
            },
        );
        for (i, &pid) in elder_threads.iter().enumerate() {
            let task = u8::try_from(i + 2).ok().filter(|task| *task <= tasks.count);
            tasks.threads.insert(
                pid,
                Thread {
                    task: TaskId(task.unwrap_or(1)),
                    owns_task: task.is_some(),
                    process: 0,
                    shares_files: true,
                    is_vfork: false,
                    gone: None,
                },
            );
            tasks.come = tasks.come.max(task.unwrap_or(1));
        }
        // Threads that come later exist from the start, as `config tasks` has it.
        tasks.processes[0].tasks = (1..=tasks.count).map(TaskId).collect();
        tasks
    }

    /// The thread of this number.
    pub fn thread(&self, pid: u32) -> Thread {
        self.threads.get(&pid).copied().unwrap_or(Thread {
            task: TaskId(1),
            owns_task: false,
            process: 0,
            shares_files: false,
            is_vfork: false,
            gone: Some("of a thread whose birth the log does not show"),
        })
    }

    /// Follows one event.
    pub fn follow(&mut self, event: &Event, is_first: bool) -> Change {
        let thread = self.thread(event.pid);
        let kin = kin(event);
        if let (Some(why), Kin::None) = (thread.gone, kin) {
            return Change::Skip(why);
        }
        match kin {
            Kin::Birth(child, birth) => self.birth(thread, child, birth),
            Kin::Exec if is_first => Change::Skip("the log begins here"),
            Kin::Exec => self.end(event.pid, "after execve"),
            Kin::Exit if thread.owns_task => self.exit(event.pid),
            Kin::Exit => self.gone(event.pid, "of a thread without a task of its own"),
            Kin::ExitGroup => self.end(event.pid, "after its end"),
            Kin::None => Change::None,
        }
    }

    fn birth(&mut self, parent: Thread, child: u32, birth: Birth) -> Change {
        let mut thread = Thread {
            owns_task: false,
            shares_files: birth.shares_files && parent.shares_files,
            is_vfork: birth.vfork,
            ..parent
        };
        let change = match parent.gone {
            Some(why) => Change::Skip(why),
            None if birth.shares_memory => {
                if parent.process == 0 && !birth.vfork && self.come < self.count {
                    self.come += 1;
                    thread.task = TaskId(self.come);
                    thread.owns_task = true;
                }
                Change::Skip("threads are there from the start, or borrow a task")
            }
            None if self.next > MAX_TASKS => {
                thread.gone = Some("of a task beyond the sixteenth");
                Change::Skip("a task beyond the sixteenth")
            }
            None => {
                let task = TaskId(self.next);
                self.next += 1;
                thread.task = task;
                thread.owns_task = true;
                thread.shares_files = true;
                thread.process = self.processes.len();
                let fds = self.processes[parent.process].fds.clone();
                self.processes.push(Process {
                    tasks: vec![task],
                    fds,
                });
                Change::Fork(task)
            }
        };
        self.threads.insert(child, thread);
        change
    }

    /// One thread ends.
    fn exit(&mut self, pid: u32) -> Change {
        let thread = self.thread(pid);
        let tasks = &mut self.processes[thread.process].tasks;
        let lives = tasks.iter().position(|task| *task == thread.task);
        self.gone(pid, "after its end");
        match lives {
            Some(at) => Change::Exit(vec![self.processes[thread.process].tasks.remove(at)]),
            None => Change::Skip("of a thread that has ended"),
        }
    }

    /// A whole process ends, or its address space does.
    fn end(&mut self, pid: u32, why: &'static str) -> Change {
        let thread = self.thread(pid);
        if thread.gone.is_some() || thread.is_vfork {
            return self.gone(pid, why);
        }
        let process = thread.process;
        for other in self
            .threads
            .values_mut()
            .filter(|other| other.process == process)
        {
            other.gone = other.gone.or(Some(why));
        }
        // The caller last: its end is the end of the address space.
        let mut tasks = std::mem::take(&mut self.processes[process].tasks);
        tasks.sort_by_key(|task| (*task == thread.task, *task));
        Change::Exit(tasks)
    }

    fn gone(&mut self, pid: u32, why: &'static str) -> Change {
        if let Some(thread) = self.threads.get_mut(&pid) {
            thread.gone = thread.gone.or(Some(why));
        }
        Change::Skip("of a thread without a task of its own")
    }
}

/// How many tasks the first address space needs.
fn count_threads(events: &[Event], first: u32, elders: &[u32]) -> u8 {
    let mut threads: HashSet<u32> = elders.iter().copied().chain([first]).collect();
    for event in events {
        if let Kin::Birth(child, birth) = kin(event)
            && threads.contains(&event.pid)
            && birth.shares_memory
            && !birth.vfork
        {
            threads.insert(child);
        }
    }
    threads.len().min(MAX_THREADS.into()) as u8
}
