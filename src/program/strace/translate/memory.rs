//! Calls on memory, whose places must be the same in the program as they were in the log.

use vmadiff_contract::{Call, CallKind, MapFlags, MoveFlags, PAGE_SIZE};

use super::{Skipped, Translator, has_result, words};
use crate::program::shape::{self, Param};
use crate::program::strace::Linux;
use crate::program::strace::files::Action;
use crate::program::strace::log::Event;
use crate::program::strace::reply::{Reply, number};
use crate::program::strace::tasks::Thread;

pub(in crate::program::strace) const UNKNOWN: &str = "on memory that the log does not map";
const LOST: &str = "on memory of a call that is left out";

/// `MAP_32BIT`: it says only where Linux may put the memory.
const MAP_32BIT: u64 = 0x40;

/// How strace writes the size of huge pages: `21<<MAP_HUGE_SHIFT`.
const HUGE: (&str, u32) = ("<<MAP_HUGE_SHIFT", 26);

/// Calls that end within this many others are looked through for one that took effect before.
const AHEAD: usize = 256;

impl Translator<'_> {
    /// What execve mapped is not in a log. A call that succeeds on it would fail in the program,
    /// and what a call would do to memory that nobody knows the state of is not guessed.
    pub(super) fn check_is_known(
        &self,
        kind: CallKind,
        thread: Thread,
        addr: u64,
        len: u64,
        event: &Event,
    ) -> Result<(), Skipped> {
        if !shape::params(kind).starts_with(&[Param::Addr, Param::Len]) {
            return Ok(());
        }
        let memory = &self.memory[thread.process];
        let Some(pages) = memory.pages(addr, len) else {
            return Ok(());
        };
        let succeeds = event.value().is_some();
        match kind {
            // What is unmapped is known again.
            CallKind::Munmap if !succeeds || memory.meets(pages) => Ok(()),
            _ if memory.is_lost(pages) => Err(LOST.into()),
            CallKind::Munmap => Err(UNKNOWN.into()),
            _ if succeeds && !memory.covers(pages) => Err(UNKNOWN.into()),
            _ => Ok(()),
        }
    }

    /// Follows what a call of the program has mapped and unmapped.
    pub(super) fn effect(
        &mut self,
        kind: CallKind,
        thread: Thread,
        addr: u64,
        len: u64,
        event: &Event,
    ) {
        let Some(value) = event.value() else {
            return;
        };
        let memory = &mut self.memory[thread.process];
        match kind {
            CallKind::Munmap => {
                if let Some(pages) = memory.pages(addr, len) {
                    memory.unmap(pages);
                }
            }
            CallKind::Brk => memory.set_brk(value),
            _ => {}
        }
    }

    /// Marks what a call that is left out did something to, or may have.
    pub(super) fn lose(&mut self, event: &Event, thread: Thread) {
        let Some(memory) = self.memory.get_mut(thread.process) else {
            return;
        };
        let place = match &event.reply {
            Reply::Error(_) => return,
            Reply::Value(value) => Some(*value),
            Reply::Unknown => None,
        };
        let (addr, len) = (event.number(0), event.number(1));
        let range = |addr: Option<u64>, len: Option<u64>| {
            addr.zip(len)
                .and_then(|(addr, len)| memory.pages(addr, len))
        };
        let first = range(addr, len);
        let touched = match event.call() {
            "mmap" => [range(place.or(addr), len), None],
            "mremap" => [first, range(place.or(event.number(4)), event.number(2))],
            "munmap" | "mprotect" | "pkey_mprotect" => [first, None],
            _ => return,
        };
        if event.call() == "munmap"
            && place.is_some()
            && let Some(pages) = first.filter(|&pages| !memory.meets(pages))
        {
            // All of it is free, whatever was there.
            return memory.unmap(pages);
        }
        for pages in touched.into_iter().flatten() {
            memory.lose(pages);
        }
    }

    pub(super) fn mmap(&mut self, at: usize, event: &Event, thread: Thread) -> Result<(), Skipped> {
        has_result(event)?;
        let mut known = event.clone();
        size_by_number(&mut known);
        let asks_for_low = event.value().is_some() && without_32_bit(&mut known);
        let mut words = words(&known, CallKind::Mmap, 6)?;
        let flags = MapFlags::from_bits_retain(words[3]);
        if flags.contains(MapFlags::HUGETLB) && event.value().is_some() {
            return Err("with huge pages, which the model does not have".into());
        }
        self.age(event, CallKind::Mmap, &words)?;
        if !flags.contains(MapFlags::ANONYMOUS) {
            words[4] = self.descriptor(at, thread)?;
        }
        let fixed = flags.intersects(MapFlags::FIXED | MapFlags::FIXED_NOREPLACE);
        if let Some(place) = event.value() {
            self.check_place(place)?;
            if !flags.contains(MapFlags::FIXED) {
                self.make_room(at, event, thread, place, words[1]);
            }
            let chosen = self.memory[thread.process].place(words[0], words[1]);
            if !fixed && (chosen != Some(place) || asks_for_low) {
                // Later calls name this place, so it becomes a hint.
                words[0] = place;
                self.import.summary.placed += 1;
            }
        }
        let call = shape::build(CallKind::Mmap, &words);
        self.push(event, thread.task, call, self.outcome(event));
        if let Some(place) = event.value() {
            self.map(thread, place, words[1]);
        }
        Ok(())
    }

    pub(super) fn mremap(
        &mut self,
        at: usize,
        event: &Event,
        thread: Thread,
    ) -> Result<(), Skipped> {
        has_result(event)?;
        let mut words = words(event, CallKind::Mremap, 4)?;
        let [addr, old_len, new_len, ..] = words;
        let flags = MoveFlags::from_bits_retain(words[3] as u32);
        self.age(event, CallKind::Mremap, &words)?;
        self.check_is_known(CallKind::Mprotect, thread, addr, old_len, event)?;
        if let Some(place) = event.value() {
            self.check_place(place)?;
            let stays = place == addr;
            if !stays && !flags.contains(MoveFlags::FIXED) {
                self.make_room(at, event, thread, place, new_len);
            } else if stays && new_len > old_len {
                self.make_room(at, event, thread, addr + old_len, new_len - old_len);
            }
            let memory = &self.memory[thread.process];
            let chosen = memory.resize(addr, old_len, new_len);
            if chosen != Some(place) && !flags.contains(MoveFlags::FIXED) {
                words[3] |= u64::from((MoveFlags::MAYMOVE | MoveFlags::FIXED).bits());
                words[4] = place;
                self.import.summary.placed += 1;
            }
        }
        let call = shape::build(CallKind::Mremap, &words);
        self.push(event, thread.task, call, self.outcome(event));
        if let Some(place) = event.value() {
            let memory = &mut self.memory[thread.process];
            if let Some(old) = memory.pages(addr, old_len).filter(|_| old_len > 0) {
                memory.unmap(old);
            }
            self.map(thread, place, new_len);
        }
        Ok(())
    }

    fn map(&mut self, thread: Thread, place: u64, len: u64) {
        let memory = &mut self.memory[thread.process];
        if let Some(pages) = memory.pages(place, len) {
            memory.map(pages);
        }
    }

    /// The program's descriptor of the file that a call maps.
    fn descriptor(&self, at: usize, thread: Thread) -> Result<u64, Skipped> {
        let used = self
            .files
            .actions(at)
            .iter()
            .find_map(|action| match action {
                Action::Use(file) => Some(*file),
                Action::Open(_) | Action::Close(_) => None,
            });
        let fds = &self.tasks.processes[thread.process].fds;
        let fd = used
            .filter(|_| thread.shares_files)
            .and_then(|file| fds.get(&file));
        let fd = fd.ok_or("of a descriptor that the log does not open, or of a device")?;
        Ok(i64::from(fd.0) as u64)
    }

    /// A result that is no page's address was not read as strace wrote it.
    fn check_place(&self, place: u64) -> Result<(), Skipped> {
        match place.is_multiple_of(PAGE_SIZE) && place != 0 {
            true => Ok(()),
            false => Err("its result is no address of a page".into()),
        }
    }

    /// Linux has put memory at a place that the log has not shown to be free. Either another
    /// thread's call, which ended later, had unmapped it already, or the log lacks the call that
    /// did; then the program unmaps it here, at the latest moment that it can have been.
    fn make_room(&mut self, at: usize, event: &Event, thread: Thread, place: u64, len: u64) {
        let Some(pages) = self.memory[thread.process].pages(place, len) else {
            return;
        };
        for later in at + 1..self.events.len().min(at + AHEAD) {
            if !self.memory[thread.process].meets(pages) {
                return;
            }
            let other = &self.events[later];
            let overlaps = other.begin < event.end && other.end > event.end;
            let is_same = self.tasks.thread(other.pid).process == thread.process;
            let unmaps = other.call() == "munmap" || other.call() == "mremap";
            if overlaps && is_same && unmaps && self.frees(other, thread, pages) {
                self.event(later);
            }
        }
        for (start, end) in self.memory[thread.process].parts(pages) {
            let call = Call::Munmap {
                addr: start,
                len: end - start,
            };
            let case = &mut self.import.case;
            let said = "the log does not unmap this, but Linux used its place again";
            case.notes.push((case.program.calls.len(), said.to_owned()));
            self.push_step(
                thread.task,
                call,
                Linux {
                    file: event.file,
                    line: event.line,
                    outcome: None,
                    text: "?".to_owned(),
                },
            );
            self.memory[thread.process].unmap((start, end));
            self.import.summary.unmapped += 1;
        }
    }

    /// Whether a call unmapped some of a range.
    fn frees(&self, event: &Event, thread: Thread, (start, end): (u64, u64)) -> bool {
        let memory = &self.memory[thread.process];
        let range = event.number(0).zip(event.number(1));
        let range = range.and_then(|(addr, len)| memory.pages(addr, len));
        let moves = event.call() == "munmap" || event.value() != event.number(0);
        event.value().is_some() && moves && range.is_some_and(|(from, to)| from < end && start < to)
    }
}

/// Writes the size of huge pages in the flags of mmap as one number.
fn size_by_number(event: &mut Event) {
    let words = event.arg(3).split('|').map(|word| {
        let size = word.strip_suffix(HUGE.0).and_then(number);
        let size = size.filter(|size| *size < 64);
        size.map_or_else(|| word.to_owned(), |size| format!("{:#x}", size << HUGE.1))
    });
    let flags = words.collect::<Vec<_>>().join("|");
    if let Some(arg) = event.args.get_mut(3) {
        *arg = flags;
    }
}

/// Takes `MAP_32BIT` out of the flags of mmap, and says whether it was there.
fn without_32_bit(event: &mut Event) -> bool {
    let mut was_there = false;
    let words = event.arg(3).split('|').map(|word| {
        if word == "MAP_32BIT" {
            was_there = true;
            return "0".to_owned();
        }
        match number(word) {
            Some(bits) if bits & MAP_32BIT != 0 => {
                was_there = true;
                format!("{:#x}", bits & !MAP_32BIT)
            }
            _ => word.to_owned(),
        }
    });
    let flags = words.collect::<Vec<_>>().join("|");
    if let Some(arg) = event.args.get_mut(3) {
        *arg = flags;
    }
    was_there
}
