//! The areas that were there before a log began, as calls that make them.

use std::collections::HashMap;

use vmadiff_contract::{Access, Call, Fd, FileKind, MapFlags, Outcome, Prot, TaskId};

use super::Translator;
use super::machine::{heap_of, is_kernels};
use crate::program::strace::Linux;
use crate::program::strace::listing::{Area, Listing};

/// What tells a file from others.
type FileId<'a> = (&'a str, u64, &'a str);

fn file_of(area: &Area) -> Option<FileId<'_>> {
    // Shared memory without a file is one of /dev/zero for the kernel.
    let is_file = area.inode != 0 && !area.name.starts_with("/dev/zero");
    is_file.then_some((area.dev.as_str(), area.inode, area.name.as_str()))
}

/// Why an area is not in the program.
fn left_out(area: &Area, task_size: u64) -> Option<&'static str> {
    let is_page_count = |addr: u64| addr.is_multiple_of(vmadiff_contract::PAGE_SIZE);
    let is_device = area.name.starts_with("/dev/")
        && !area.name.starts_with("/dev/shm/")
        && !area.name.starts_with("/dev/zero");
    let flag = |name: &str| area.flags.iter().flatten().any(|flag| flag == name);
    if is_kernels(area) {
        Some("the kernel's own")
    } else if area.end > task_size || !is_page_count(area.start) || !is_page_count(area.end) {
        Some("not at addresses that a process of the model has")
    } else if is_device || area.name.starts_with("anon_inode:") || flag("pf") || flag("io") {
        Some("of a device")
    } else if area.name.contains("hugepage") || flag("ht") {
        Some("of huge pages")
    } else {
        None
    }
}

impl Translator<'_> {
    /// Makes the areas of a listing, from the lowest to the highest.
    pub(super) fn start(&mut self, listing: &Listing) {
        let task_size = self.import.case.program.config.task_size;
        let mut areas = Vec::new();
        for area in &listing.areas {
            match left_out(area, task_size) {
                None => areas.push(area),
                Some(why) => {
                    let at = format!("line {} of the listing", area.line);
                    self.import.summary.skip("area", why, &at, Some(&area.name));
                }
            }
        }
        // By file: its size, and the place of its last area.
        let mut sizes: HashMap<FileId<'_>, (u64, usize)> = HashMap::new();
        for (at, area) in areas.iter().enumerate() {
            if let Some(file) = file_of(area) {
                let size = sizes.entry(file).or_default();
                *size = (
                    size.0.max(area.off.saturating_add(area.end - area.start)),
                    at,
                );
            }
        }
        let mut fds: HashMap<(FileId<'_>, bool), Fd> = HashMap::new();
        let mut heap = heap_of(listing);
        let mut heap_end = None;
        for (at, area) in areas.iter().enumerate() {
            if area.name == "[heap]" {
                if let Some((_, end)) = heap.take() {
                    self.given(Call::Brk { addr: end }, end);
                    self.memory[0].set_brk(end);
                }
                let gap = heap_end.replace(area.end).filter(|end| *end < area.start);
                if let Some(addr) = gap {
                    let len = area.start - addr;
                    self.given(Call::Munmap { addr, len }, 0);
                    self.memory[0].unmap((addr, area.start));
                }
                self.protect_heap(area);
                continue;
            }
            let fd = file_of(area).map(|file| {
                let size = sizes[&file].0;
                let can_write = can_write(area);
                let free = (3..)
                    .find(|fd| fds.values().all(|open| open.0 != *fd))
                    .unwrap_or(3);
                *fds.entry((file, can_write))
                    .or_insert_with(|| self.open(free, size, can_write))
            });
            self.area(area, fd);
            let last = |(file, _): &(FileId<'_>, bool)| sizes[file].1 == at;
            let mut done: Vec<_> = fds
                .extract_if(|file, _| last(file))
                .map(|(_, fd)| fd)
                .collect();
            done.sort_by_key(|fd| fd.0);
            for fd in done {
                self.given(Call::Close { fd }, 0);
            }
        }
        self.import.summary.start = self.import.case.program.calls.len();
    }

    fn open(&mut self, fd: i32, size: u64, can_write: bool) -> Fd {
        let config = &mut self.import.case.program.config;
        config.rlimit_nofile = config.rlimit_nofile.max(fd as u32 + 1);
        let access = match can_write {
            true => Access::READ | Access::WRITE,
            false => Access::READ,
        };
        let call = Call::Open {
            kind: FileKind::Plain,
            access,
            size,
        };
        self.given(call, fd as u64);
        Fd(fd)
    }

    /// The heap is one area until something is done to a part of it.
    fn protect_heap(&mut self, area: &Area) {
        let (addr, len) = (area.start, area.end - area.start);
        if area.perms != [true, true, false] {
            let prot = prot(area);
            self.given(Call::Mprotect { addr, len, prot }, 0);
        }
    }

    fn area(&mut self, area: &Area, fd: Option<Fd>) {
        let flag = |name: &str| area.flags.iter().flatten().any(|flag| flag == name);
        let mut flags = MapFlags::FIXED;
        flags |= match area.is_shared {
            true => MapFlags::SHARED,
            false => MapFlags::PRIVATE,
        };
        if fd.is_none() {
            flags |= MapFlags::ANONYMOUS;
        }
        if area.name == "[stack]" || flag("gd") {
            flags |= MapFlags::GROWSDOWN;
        }
        if flag("nr") {
            flags |= MapFlags::NORESERVE;
        }
        let call = Call::Mmap {
            addr: area.start,
            len: area.end - area.start,
            prot: prot(area),
            flags,
            fd: fd.unwrap_or(Fd(-1)),
            off: if fd.is_some() { area.off } else { 0 },
        };
        self.given(call, area.start);
        self.memory[0].map((area.start, area.end));
    }

    /// A call that is not in the log, and what it answers.
    fn given(&mut self, call: Call, value: u64) {
        let linux = Linux {
            file: 0,
            line: 0,
            outcome: Some(Outcome::Value(value)),
            text: format!("{value:#x}"),
        };
        self.push_step(TaskId(1), call, linux);
    }
}

/// Whether the file was opened for writing, too: a private mapping does not tell.
fn can_write(area: &Area) -> bool {
    let may_write = |flags: &Vec<String>| flags.iter().any(|flag| flag == "mw");
    !area.is_shared || area.perms[1] || area.flags.as_ref().is_none_or(may_write)
}

fn prot(area: &Area) -> Prot {
    let all = [Prot::READ, Prot::WRITE, Prot::EXEC];
    let given = all
        .into_iter()
        .zip(area.perms)
        .filter(|(_, is_given)| *is_given);
    given.fold(Prot::empty(), |prot, (bit, _)| prot | bit)
}
