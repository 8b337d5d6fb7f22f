//! The features of one call: which counters it moves.

use vmadiff_contract::{Call, CallKind, Event, MmId, Note, PAGE_SIZE, Snapshot, TaskId, VmaId};

use super::layout::{self, Gone, Served};
use super::races::Races;
use crate::program::Step;
use crate::run::Seen;

/// Walks over calls; remembers what the next one may meet.
#[derive(Default)]
pub struct Features {
    last: Option<Reach>,
    /// Allocated in this call and not linked so far.
    fresh: Vec<VmaId>,
    pub(super) races: Races,
}

/// The bytes that a call is about.
#[derive(Clone, Copy)]
struct Reach {
    call: CallKind,
    mm: MmId,
    start: u64,
    end: u64,
}

impl Features {
    /// A program begins.
    pub fn begin(&mut self) {
        self.last = None;
    }

    /// Tells `hit` each feature of the call; one that occurs twice, twice.
    pub fn of(&mut self, seen: &Seen<'_>, mut hit: impl FnMut(usize)) {
        let call = seen.step.call.kind();
        hit(layout::outcome(call, seen.outcome));
        self.events(call, seen.events, &mut hit);
        self.meeting(seen, &mut hit);
        if !matches!(call, CallKind::Load | CallKind::Store | CallKind::Exec) {
            sizes(seen.state, &mut hit);
        }
    }

    fn events(&mut self, call: CallKind, events: &[Event], hit: &mut impl FnMut(usize)) {
        self.fresh.clear();
        let mut merged = false;
        for event in events {
            match *event {
                Event::Note(note) => {
                    merged |= matches!(note, Note::Merge(1 | 6 | 7 | 8));
                    hit(feature(call, note));
                }
                Event::VmaAlloc { vma, .. } => self.fresh.push(vma),
                Event::VmaLink { vma, .. } => self.fresh.retain(|&fresh| fresh != vma),
                Event::VmaUnlink { .. } if merged => hit(layout::gone(call, Gone::Merged)),
                Event::VmaUnlink { .. } => hit(layout::gone(call, Gone::Unmapped)),
                Event::VmaFree { vma } if self.fresh.contains(&vma) => {
                    hit(layout::gone(call, Gone::NeverLinked));
                }
                Event::VmaFree { .. } if call == CallKind::Exit => {
                    hit(layout::gone(call, Gone::TornDown));
                }
                _ => {}
            }
        }
    }

    /// Two calls in a row on the same bytes of one address space.
    fn meeting(&mut self, seen: &Seen<'_>, hit: &mut impl FnMut(usize)) {
        let Some(reach) = reach(seen.step, seen.state) else {
            return;
        };
        if let Some(last) = self.last
            && last.mm == reach.mm
            && last.start < reach.end
            && reach.start < last.end
        {
            hit(layout::meeting(last.call, reach.call));
        }
        self.last = Some(reach);
    }
}

pub(super) fn feature(call: CallKind, note: Note) -> usize {
    match note {
        Note::Merge(case) => layout::merge(call, case),
        Note::Split { below } => layout::split(call, below),
        Note::Speculative => layout::served(call, Served::Speculative),
        Note::Classic => layout::served(call, Served::Classic),
        Note::Cow => layout::served(call, Served::Cow),
        Note::Reuse => layout::served(call, Served::Reuse),
        Note::GiveUp(reason) => layout::give_up(call, reason),
        Note::Undo(name) => layout::undo(name),
    }
}

/// The bytes that a call is about; an access is about one. None for a call that names no address.
fn reach(step: &Step, state: &Snapshot) -> Option<Reach> {
    let (start, len) = match step.call {
        Call::Mmap { addr, len, .. }
        | Call::Munmap { addr, len }
        | Call::Mprotect { addr, len, .. }
        | Call::Madvise { addr, len, .. }
        | Call::Mlock { addr, len }
        | Call::Mlock2 { addr, len, .. }
        | Call::Munlock { addr, len }
        | Call::Msync { addr, len, .. }
        | Call::Mincore { addr, len }
        | Call::Mbind { addr, len, .. }
        | Call::UffdRegister { addr, len }
        | Call::UffdUnregister { addr, len }
        | Call::Collapse { addr, len }
        | Call::NumaScan { addr, len } => (addr, pages(len)),
        Call::Mremap { addr, old_len, .. } => (addr, pages(old_len)),
        Call::Brk { addr }
        | Call::Load { addr }
        | Call::Store { addr, .. }
        | Call::Exec { addr }
        | Call::Reclaim { addr }
        | Call::GetMempolicy { addr, .. }
        | Call::Evict { addr } => (addr, 1),
        Call::Fork
        | Call::Exit
        | Call::Open { .. }
        | Call::Ftruncate { .. }
        | Call::Close { .. }
        | Call::Softirq
        | Call::Mlockall { .. }
        | Call::Munlockall
        | Call::SetMempolicy { .. }
        | Call::SetRlimit { .. }
        | Call::Fallocate { .. } => return None,
    };
    Some(Reach {
        call: step.call.kind(),
        mm: address_space(step.task, state)?,
        start,
        end: start.saturating_add(len),
    })
}

/// A length in whole pages, at least one.
fn pages(len: u64) -> u64 {
    len.max(1)
        .checked_next_multiple_of(PAGE_SIZE)
        .unwrap_or(u64::MAX)
}

fn address_space(task: TaskId, state: &Snapshot) -> Option<MmId> {
    let task = state.tasks.iter().find(|t| t.task == task);
    // A test's state may have no tasks; a task that exited meets nobody.
    task.map(|t| t.mm)
        .or_else(|| state.tasks.is_empty().then_some(MmId(0)))
}

/// The first address space's sizes, and how many of the rest there are. Not asked after accesses,
/// which are many and change little.
pub(super) fn sizes(state: &Snapshot, hit: &mut impl FnMut(usize)) {
    if let Some(mm) = state.mms.first() {
        hit(layout::size(0, mm.map_count.into()));
        hit(layout::size(1, mm.rss_anon));
        hit(layout::size(2, mm.rss_file));
        hit(layout::size(3, mm.swap_entries));
        hit(layout::size(4, mm.locked_pages));
    }
    hit(layout::size(5, state.mms.len() as u64));
    hit(layout::size(6, state.files.len() as u64));
    hit(layout::size(7, state.anons));
}
