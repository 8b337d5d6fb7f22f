//! The descriptors of a log: which opens are mapped, and when their files lose their last
//! descriptor. Only those become files of the program.

use std::collections::{BTreeMap, HashMap};

use vmadiff_contract::Access;

use super::family::Elders;
use super::family::{Kin, kin};
use super::log::Event;
use super::reply::number;

/// An open file of the log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opened {
    /// What its descriptor allows.
    pub access: Access,
    /// Its size, if the log says it.
    size: Option<u64>,
    /// The end of the farthest mapping of it.
    end: u64,
    /// It is mapped by a call that succeeded.
    pub is_mapped: bool,
    /// It is no file, as far as its name tells.
    pub is_device: bool,
}

impl Opened {
    /// What a log says of the size, or else what the mappings need.
    pub fn size(&self) -> u64 {
        self.size.unwrap_or(self.end)
    }
}

/// What an event does to descriptors, by [`Files::opened`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// A file got its first descriptor in this table.
    Open(usize),
    /// A file lost its last descriptor in this table.
    Close(usize),
    /// The event's descriptor is of this file.
    Use(usize),
}

/// All files of a log.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// In the order in which they were opened.
    pub opened: Vec<Opened>,
    /// By the place of the event in the log.
    actions: HashMap<usize, Vec<Action>>,
    /// Tables of descriptors.
    tables: Vec<BTreeMap<i32, usize>>,
    /// By thread, its table.
    table_of: HashMap<u32, usize>,
}

impl Files {
    /// Follows the descriptors through a log.
    pub fn follow(events: &[Event], elders: &Elders) -> Self {
        let mut files = Self::default();
        let table = files.table(elders.first);
        files
            .table_of
            .extend(elders.threads.iter().map(|&pid| (pid, table)));
        for (at, event) in events.iter().enumerate() {
            let actions = files.event(event);
            if !actions.is_empty() {
                files.actions.insert(at, actions);
            }
        }
        files
    }

    /// What the event at this place does.
    pub fn actions(&self, at: usize) -> &[Action] {
        self.actions.get(&at).map_or(&[], Vec::as_slice)
    }

    fn table(&mut self, pid: u32) -> usize {
        *self.table_of.entry(pid).or_insert_with(|| {
            self.tables.push(BTreeMap::new());
            self.tables.len() - 1
        })
    }

    fn event(&mut self, event: &Event) -> Vec<Action> {
        let table = self.table(event.pid);
        if let Kin::Birth(child, birth) = kin(event) {
            let theirs = if birth.shares_files {
                table
            } else {
                self.tables.push(self.tables[table].clone());
                self.tables.len() - 1
            };
            self.table_of.insert(child, theirs);
            return Vec::new();
        }
        let Some(value) = event.value() else {
            return Vec::new();
        };
        match event.call() {
            "open" | "openat" | "openat2" | "creat" | "memfd_create" => self.open(table, event),
            "close" => self.close(table, event.fd(0)),
            "dup" | "dup2" | "dup3" => self.dup(table, event),
            "fcntl" if is_dup(event.arg(1)) => self.dup(table, event),
            "fstat" | "newfstatat" | "fstatat64" | "statx" => self.stat(table, event),
            "mmap" => self.map(table, event),
            "ftruncate" => self.truncate(table, event),
            // A descriptor that something else now has was closed without a line for it.
            "socket" | "accept" | "accept4" | "epoll_create" | "epoll_create1" | "eventfd"
            | "eventfd2" | "timerfd_create" | "signalfd" | "signalfd4" | "inotify_init"
            | "inotify_init1" | "userfaultfd" | "perf_event_open" | "io_uring_setup"
            | "pidfd_open" | "open_tree" | "fsopen" | "fspick" | "bpf" | "memfd_secret"
            | "open_by_handle_at" => self.close(table, i32::try_from(value).ok()),
            _ => Vec::new(),
        }
    }

    fn open(&mut self, table: usize, event: &Event) -> Vec<Action> {
        let Some(fd) = event.new_fd() else {
            return Vec::new();
        };
        let mut actions = self.close(table, Some(fd));
        let memory = event.name == "memfd_create";
        // With flags that say nothing the descriptor is not followed.
        let Some(access) = access(event) else {
            return actions;
        };
        let in_dev = |arg: &String| arg.starts_with("\"/dev/") && !arg.starts_with("\"/dev/shm/");
        let is_device = !memory && event.args.iter().any(in_dev);
        actions.push(Action::Open(self.opened.len()));
        self.tables[table].insert(fd, self.opened.len());
        self.opened.push(Opened {
            access,
            size: memory.then_some(0),
            end: 0,
            is_mapped: false,
            is_device,
        });
        actions
    }

    fn close(&mut self, table: usize, fd: Option<i32>) -> Vec<Action> {
        let table = &mut self.tables[table];
        let Some(file) = fd.and_then(|fd| table.remove(&fd)) else {
            return Vec::new();
        };
        match table.values().any(|&other| other == file) {
            true => Vec::new(),
            false => vec![Action::Close(file)],
        }
    }

    fn dup(&mut self, table: usize, event: &Event) -> Vec<Action> {
        let file = event
            .fd(0)
            .and_then(|fd| self.tables[table].get(&fd).copied());
        let new = event.new_fd().filter(|new| Some(*new) != event.fd(0));
        let mut actions = Vec::new();
        if let Some(new) = new {
            if let Some(file) = file {
                // First the new descriptor: a file that has both loses neither.
                let old = self.tables[table].insert(new, file);
                let gone = old.filter(|old| !self.tables[table].values().any(|file| file == old));
                actions.extend(gone.map(Action::Close));
            } else {
                actions = self.close(table, Some(new));
            }
        }
        actions
    }

    fn file(&mut self, table: usize, fd: Option<i32>) -> Option<usize> {
        self.tables[table].get(&fd?).copied()
    }

    fn stat(&mut self, table: usize, event: &Event) -> Vec<Action> {
        let by_name = event.call() != "fstat" && event.arg(1) != "\"\"";
        let size = event.args.iter().find_map(|arg| {
            let (_, rest) = arg
                .split_once("st_size=")
                .or_else(|| arg.split_once("stx_size="))?;
            number(rest.split([',', '}', ' ']).next()?)
        });
        if let (Some(file), Some(size), false) = (self.file(table, event.fd(0)), size, by_name) {
            // The first is what it began with.
            self.opened[file].size.get_or_insert(size);
        }
        Vec::new()
    }

    fn map(&mut self, table: usize, event: &Event) -> Vec<Action> {
        let is_anonymous = |flag: &str| {
            flag == "MAP_ANONYMOUS" || number(flag).is_some_and(|bits| bits & 0x20 != 0)
        };
        let anonymous = event.arg(3).split('|').any(is_anonymous);
        let Some(file) = self.file(table, event.fd(4)).filter(|_| !anonymous) else {
            return Vec::new();
        };
        let opened = &mut self.opened[file];
        let (len, off) = (event.number(1), event.number(5));
        opened.end = opened
            .end
            .max(len.unwrap_or(0).saturating_add(off.unwrap_or(0)));
        opened.is_mapped |= !opened.is_device;
        vec![Action::Use(file)]
    }

    fn truncate(&mut self, table: usize, event: &Event) -> Vec<Action> {
        match self.file(table, event.fd(0)) {
            Some(file) => {
                // The size it begins with is what is seen before, if anything is.
                self.opened[file].size.get_or_insert(0);
                vec![Action::Use(file)]
            }
            None => Vec::new(),
        }
    }
}

/// What the descriptor of a call that opens a file allows.
fn access(event: &Event) -> Option<Access> {
    let flags = match event.call() {
        "memfd_create" => return Some(Access::READ | Access::WRITE),
        "creat" => return Some(Access::WRITE),
        "open" => event.arg(1),
        "openat2" => event.arg(2).split_once("flags=")?.1,
        _ => event.arg(2),
    };
    let flags = flags.split([',', '}']).next().unwrap_or(flags);
    flags.split('|').find_map(|word| match word.trim() {
        "O_RDWR" => Some(Access::READ | Access::WRITE),
        "O_WRONLY" => Some(Access::WRITE),
        "O_RDONLY" => Some(Access::READ),
        // As `-X raw` has it; a number behind a name is what the name leaves over.
        word if flags.starts_with(word) => match number(word)? & 3 {
            0 => Some(Access::READ),
            1 => Some(Access::WRITE),
            2 => Some(Access::READ | Access::WRITE),
            _ => None,
        },
        _ => None,
    })
}

/// Whether a command of fcntl copies the descriptor; the numbers are x86-64's.
fn is_dup(command: &str) -> bool {
    command.starts_with("F_DUPFD") && command != "F_DUPFD_QUERY"
        || matches!(number(command), Some(0 | 0x406))
}
