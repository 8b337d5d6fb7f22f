//! Which thread came from which, and what they share.

use std::collections::{HashMap, HashSet};

use super::log::{Event, Log};
use super::reply::number;

/// How a thread came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Birth {
    /// It uses its parent's address space.
    pub shares_memory: bool,
    /// It uses its parent's descriptors.
    pub shares_files: bool,
    /// Its parent waits until it has an address space of its own.
    pub vfork: bool,
}

/// What an event is to a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kin {
    /// A thread was born, with this number.
    Birth(u32, Birth),
    /// The thread got a new program in a new address space.
    Exec,
    /// The thread ended.
    Exit,
    /// The whole process ended.
    ExitGroup,
    /// None of these.
    None,
}

/// What an event means for the family.
pub(super) fn kin(event: &Event) -> Kin {
    match event.call() {
        "fork" | "vfork" | "clone" | "clone2" | "clone3" => match event.value() {
            Some(child) if child > 0 => Kin::Birth(child as u32, birth(event)),
            _ => Kin::None,
        },
        "execve" | "execveat" if event.value() == Some(0) => Kin::Exec,
        "exit" => Kin::Exit,
        "exit_group" => Kin::ExitGroup,
        _ => Kin::None,
    }
}

/// The flags of clone, by name and, as `-X raw` writes them, by number.
const CLONE_FLAGS: [(&str, u64); 3] = [
    ("CLONE_VM", 0x100),
    ("CLONE_FILES", 0x400),
    ("CLONE_VFORK", 0x4000),
];

fn birth(event: &Event) -> Birth {
    let written = event.args.iter().find_map(|arg| {
        let (_, flags) = arg.split_once("flags=")?;
        flags.split([',', '}']).next()
    });
    let words = written.unwrap_or("").split('|').map(str::trim);
    let flags = words.fold(0, |all, word| {
        let named = CLONE_FLAGS.iter().find(|(name, _)| *name == word);
        all | named.map_or_else(|| number(word).unwrap_or(0), |(_, bit)| *bit)
    });
    let [vm, files, vfork] = CLONE_FLAGS.map(|(_, bit)| flags & bit != 0);
    let is_vfork = event.call() == "vfork";
    Birth {
        shares_memory: is_vfork || vm,
        shares_files: files,
        vfork: is_vfork || vfork,
    }
}

/// Whose the threads are that the log shows no birth of.
#[derive(Clone, Debug, Default)]
pub(super) struct Elders {
    /// The first process.
    pub first: u32,
    /// Threads that it had before the log began.
    pub threads: Vec<u32>,
}

/// Tells whose threads are. strace says how many threads a process has that it attaches to: if
/// there was one such process, and no more threads than that, they are its own.
///
/// Lines without a thread's number belong to the first thread, which has a number in later lines.
///
/// With `all_threads` somebody who knows says that they all are.
pub(super) fn elders(log: &mut Log, all_threads: bool) -> Elders {
    let events = &mut log.events;
    let born: HashSet<u32> = events
        .iter()
        .filter_map(|event| match kin(event) {
            Kin::Birth(child, _) => Some(child),
            _ => None,
        })
        .collect();
    let mut unborn: Vec<u32> = Vec::new();
    let mut seen = HashSet::new();
    for event in events.iter() {
        if event.pid != 0 && !born.contains(&event.pid) && seen.insert(event.pid) {
            unborn.push(event.pid);
        }
    }
    let old = |(pid, _): &&(u32, Option<usize>)| !born.contains(pid);
    let attached: Vec<_> = log.attached.iter().filter(old).collect();
    let mut elders = Elders {
        first: unborn.first().copied().unwrap_or(0),
        threads: Vec::new(),
    };
    if let [(pid, threads)] = attached[..] {
        let others = unborn.iter().copied().filter(|other| other != pid);
        let others: Vec<u32> = others.collect();
        if threads.is_some_and(|threads| others.len() < threads) {
            elders = Elders {
                first: *pid,
                threads: others,
            };
        }
    }
    if all_threads {
        let first = attached.first().map_or(elders.first, |(pid, _)| *pid);
        elders = Elders {
            first,
            threads: unborn.into_iter().filter(|other| *other != first).collect(),
        };
    }
    for event in events.iter_mut().filter(|event| event.pid == 0) {
        event.pid = elders.first;
    }
    elders
}

/// Puts the events in the order in which they count: a birth, an exec and an end when they begin,
/// since the child may run before the parent returns; all others when they are finished.
pub(super) fn in_order(events: &mut [Event]) {
    events.sort_by_key(|event| match kin(event) {
        Kin::None => (event.end, event.begin),
        Kin::Birth(..) | Kin::Exec | Kin::Exit | Kin::ExitGroup => (event.begin, event.begin),
    });
}

/// One list of events for each image: the first thread's program, and each that an execve started.
/// An execve is in two of them: it ends one and begins another.
pub(super) fn images(events: Vec<Event>) -> Vec<Vec<Event>> {
    let mut images: Vec<Vec<Event>> = vec![Vec::new()];
    let mut image_of: HashMap<u32, usize> = HashMap::new();
    // A program is often looked for in several folders before it is found.
    let is_search = |event: &Event| event.name.starts_with("execve") && event.value().is_none();
    for event in events {
        // A thread that the log shows no birth of is the first program's.
        let image = image_of.get(&event.pid).copied().unwrap_or(0);
        match kin(&event) {
            Kin::Birth(child, _) => {
                image_of.insert(child, image);
            }
            Kin::Exec if !images[image].iter().all(is_search) => {
                let pid = event.becomes.unwrap_or(event.pid);
                image_of.insert(pid, images.len());
                images.push(vec![Event {
                    pid,
                    ..event.clone()
                }]);
            }
            _ => {}
        }
        images[image].push(event);
    }
    images
}
