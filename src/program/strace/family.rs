//! Which thread came from which, and what they share.

use std::collections::HashMap;

use super::log::Event;

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
    match event.name.as_str() {
        "fork" | "vfork" | "clone" | "clone3" => match event.value() {
            Some(child) if child > 0 => Kin::Birth(child as u32, birth(event)),
            _ => Kin::None,
        },
        "execve" | "execveat" if event.value() == Some(0) => Kin::Exec,
        "exit" => Kin::Exit,
        "exit_group" => Kin::ExitGroup,
        _ => Kin::None,
    }
}

fn birth(event: &Event) -> Birth {
    let has = |flag: &str| {
        event.args.iter().any(|arg| {
            let words = arg.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            words.into_iter().any(|word| word == flag)
        })
    };
    let vfork = event.name == "vfork" || has("CLONE_VFORK");
    Birth {
        shares_memory: event.name == "vfork" || has("CLONE_VM"),
        shares_files: has("CLONE_FILES"),
        vfork,
    }
}

/// Puts the events in the order in which they count: a birth, an exec and an end when they begin,
/// since the child may run before the parent returns; all others when they are finished.
///
/// Lines without a thread's number belong to the first thread, which has a number in later lines.
pub(super) fn in_order(mut events: Vec<Event>) -> Vec<Event> {
    let born: HashMap<u32, ()> = events
        .iter()
        .filter_map(|event| match kin(event) {
            Kin::Birth(child, _) => Some((child, ())),
            _ => None,
        })
        .collect();
    let first = events
        .iter()
        .map(|event| event.pid)
        .find(|pid| *pid != 0 && !born.contains_key(pid));
    for event in events.iter_mut().filter(|event| event.pid == 0) {
        event.pid = first.unwrap_or(0);
    }
    events.sort_by_key(|event| match kin(event) {
        Kin::None => event.end,
        Kin::Birth(..) | Kin::Exec | Kin::Exit | Kin::ExitGroup => event.line,
    });
    events
}

/// One list of events for each image: the first thread's program, and each that an execve started.
/// An execve is in two of them: it ends one and begins another.
pub(super) fn images(events: Vec<Event>) -> Vec<Vec<Event>> {
    let mut images: Vec<Vec<Event>> = vec![Vec::new()];
    let mut image_of: HashMap<u32, usize> = HashMap::new();
    for event in events {
        // A thread that the log shows no birth of is the first program's.
        let image = image_of.get(&event.pid).copied().unwrap_or(0);
        match kin(&event) {
            Kin::Birth(child, _) => {
                image_of.insert(child, image);
            }
            Kin::Exec if !images[image].is_empty() => {
                image_of.insert(event.pid, images.len());
                images.push(vec![event.clone()]);
            }
            _ => {}
        }
        images[image].push(event);
    }
    images
}
