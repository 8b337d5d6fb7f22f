//! Law of stored bytes: a load answers the value that was stored last, whatever frames held the page
//! meanwhile. Knows neither steps nor marks, only when calls began and returned, and their answers.
//!
//! A store may be the last one before a load if the store began before the load returned, and no other
//! store lies between the two in real time. Fresh anonymous memory holds zero. Calls that drop pages or put
//! others in their place leave the byte open; reclaim, collapse, migration and fork's write protection
//! move pages and must keep it. Bytes of shared mappings have several addresses and are left out.

use std::ops::Range;

use vmadiff_contract::{Advice, Call, MapFlags, Outcome, PAGE_SIZE, TaskId};

use super::path::Race;
use crate::judge::{Divergence, Rule, Side, Signature};
use crate::program::Step;

/// The value of a byte after a call.
#[derive(Clone, Copy, PartialEq)]
enum Leaves {
    Value(u8),
    /// Unknown: any value will do.
    Open,
}

/// A change of the byte by a call.
#[derive(Clone, Copy)]
struct Change {
    /// Indexes of the items at which the call began and returned.
    begin: usize,
    end: usize,
    leaves: Leaves,
    /// It is of another address space, and nothing that was stored here is gone by it.
    lent: bool,
}

/// The law, with memory that is kept from race to race.
#[derive(Default)]
pub(super) struct Stored {
    /// By call: indexes of the items at which the call began and returned.
    spans: Vec<(usize, usize)>,
    changes: Vec<Change>,
}

impl Stored {
    /// The first load whose answer no store can have left.
    pub fn lost(&mut self, race: &Race<'_>) -> Option<Divergence> {
        let calls = &race.program.calls;
        let loads = |step: &Step| matches!(step.call, Call::Load { .. });
        let stores = |step: &Step| matches!(step.call, Call::Store { .. });
        if !calls.iter().any(loads) || !calls.iter().any(stores) || loses_sight(race) {
            return None;
        }
        race.spans(&mut self.spans);
        (0..calls.len()).find_map(|load| self.answers_another(race, load))
    }

    fn answers_another(&mut self, race: &Race<'_>, load: usize) -> Option<Divergence> {
        let step = &race.program.calls[load];
        let (Call::Load { addr }, Some(Outcome::Value(seen))) = (step.call, race.outcomes[load])
        else {
            return None;
        };
        if shared(race).any(|range| range.contains(&addr)) {
            return None;
        }
        let (begin, end) = self.spans[load];
        self.changes.clear();
        // Before the program begins the byte is open.
        self.changes.push(Change {
            begin: 0,
            end: 0,
            leaves: Leaves::Open,
            lent: false,
        });
        let space = space_of(race, step.task);
        for (at, other) in race.program.calls.iter().enumerate() {
            let leaves =
                race.outcomes[at].and_then(|outcome| leaves(race, other, outcome, space, addr));
            let (begin, returned) = self.spans[at];
            let change = leaves.map(|leaves| Change {
                begin,
                end: returned,
                leaves,
                lent: false,
            });
            self.changes
                .extend(change.filter(|change| change.begin < end));
        }
        self.add_lent(race, load, addr);
        let replaced = |change: &Change| {
            let mut later = self.changes.iter().filter(|later| !later.lent);
            later.any(|later| change.end < later.begin && later.end < begin)
        };
        let mut last = self.changes.iter().filter(|change| !replaced(change));
        let fits = |change: &Change| {
            change.leaves == Leaves::Open || change.leaves == Leaves::Value(seen as u8)
        };
        if last.clone().any(fits) {
            return None;
        }
        let Leaves::Value(stored) = last.next()?.leaves else {
            return None;
        };
        let signature = Signature {
            rule: Rule::LostStore,
            call: "load",
            field: "value",
        };
        let what = format!(
            "in the candidate, task {} loads {seen:#x} from {addr:#x}, where {stored:#x} was stored last",
            step.task
        );
        Some(Divergence {
            at: Some(load),
            step: race.items.get(end).map(|item| item.at as usize),
            side: Some(Side::Candidate),
            ..Divergence::of(signature, what)
        })
    }

    /// Adds what other address spaces stored while an mmap took pages away that the load may still have
    /// read through its TLB: a page that was shared with them has one mapping less before that TLB is
    /// flushed, so that they store in place (`reuse_swap_page` of 5.1 counts mappings alone).
    fn add_lent(&mut self, race: &Race<'_>, load: usize, addr: u64) {
        let own = space_of(race, race.program.calls[load].task);
        let spans = &self.spans;
        let (begin, end) = spans[load];
        let calls = || race.program.calls.iter().zip(race.outcomes).zip(spans);
        let takes = |step: &Step, outcome: Option<Outcome>| match (step.call, outcome) {
            (Call::Mmap { len, .. }, Some(Outcome::Value(at))) => {
                space_of(race, step.task) == own && pages(at, len).contains(&addr)
            }
            _ => false,
        };
        let taking = calls().filter(|((step, outcome), span)| {
            takes(step, **outcome) && span.0 < end && begin < span.1
        });
        let Some(since) = taking.map(|(_, span)| span.0).min() else {
            return;
        };
        let stored = calls().filter_map(|((step, outcome), span)| match (step.call, outcome) {
            (Call::Store { value, .. }, Some(outcome)) if outcome.is_success() => {
                let elsewhere = space_of(race, step.task) != own;
                (elsewhere && since < span.1 && span.0 < end).then_some(Change {
                    begin: span.0,
                    end: span.1,
                    leaves: Leaves::Value(value),
                    lent: true,
                })
            }
            _ => None,
        });
        self.changes.extend(stored);
    }
}

/// Whether a shared mapping may have moved, so that addresses no longer tell which bytes are shared.
fn loses_sight(race: &Race<'_>) -> bool {
    let moves = |step: &Step| matches!(step.call, Call::Mremap { .. });
    race.program.calls.iter().any(moves) && shared(race).next().is_some()
}

/// Address ranges of shared mappings.
fn shared<'a>(race: &'a Race<'_>) -> impl Iterator<Item = Range<u64>> + 'a {
    let calls = race.program.calls.iter().zip(race.outcomes);
    calls.filter_map(|(step, outcome)| match (step.call, outcome) {
        (Call::Mmap { len, flags, .. }, Some(Outcome::Value(at))) => {
            let private = kind_of_map(flags) == MapFlags::PRIVATE;
            (!private).then(|| pages(*at, len))
        }
        _ => None,
    })
}

/// Number of the first task of a task's address space.
fn space_of(race: &Race<'_>, task: TaskId) -> u8 {
    if task.0 <= race.threads() { 1 } else { task.0 }
}

/// `MAP_TYPE`: shared or private.
fn kind_of_map(flags: MapFlags) -> MapFlags {
    flags & MapFlags::from_bits_retain(0xf)
}

/// The length that an mmap goes by: that of huge pages is rounded up to whole ones (section 6 of the rules).
fn asked(len: u64, flags: MapFlags) -> u64 {
    if !flags.contains(MapFlags::HUGETLB | MapFlags::ANONYMOUS) {
        return len;
    }
    let size = match flags.bits() >> 26 & 63 {
        30 => 1 << 30,
        _ => 1 << 21,
    };
    len.checked_next_multiple_of(size).unwrap_or(len)
}

/// Whole pages of a range.
fn pages(addr: u64, len: u64) -> Range<u64> {
    let end = addr.saturating_add(len).checked_next_multiple_of(PAGE_SIZE);
    addr & !(PAGE_SIZE - 1)..end.unwrap_or(u64::MAX)
}

/// The byte at `addr` of an address space after a call; none: the call keeps it.
fn leaves(race: &Race<'_>, step: &Step, outcome: Outcome, space: u8, addr: u64) -> Option<Leaves> {
    let own = space_of(race, step.task) == space;
    let open = |is: bool| is.then_some(Leaves::Open);
    let over = |range: Range<u64>| own && range.contains(&addr);
    if matches!(outcome, Outcome::Unsupported | Outcome::NoTask) {
        return None;
    }
    match step.call {
        Call::Store { addr: to, value } => {
            (own && to == addr && outcome.is_success()).then_some(Leaves::Value(value))
        }
        Call::Mmap {
            addr: hint,
            len,
            flags,
            ..
        } => match outcome {
            Outcome::Value(at) if flags.contains(MapFlags::ANONYMOUS) => {
                over(pages(at, len)).then_some(Leaves::Value(0))
            }
            Outcome::Value(at) => open(over(pages(at, len))),
            // A failing mmap may have unmapped the old area.
            _ => open(over(pages(hint, asked(len, flags)))),
        },
        Call::Munmap { addr, len } => open(over(pages(addr, len))),
        Call::Mremap {
            addr,
            old_len,
            new_len,
            new_addr,
            ..
        } => {
            let to = match outcome {
                Outcome::Value(at) => at,
                _ => new_addr,
            };
            open(over(pages(addr, old_len.max(new_len))) || over(pages(to, new_len)))
        }
        Call::Brk { .. } => open(own),
        Call::Fork => open(outcome == Outcome::Value(space.into())),
        Call::Madvise { addr, len, advice } => match advice {
            Advice::DontNeed | Advice::Free => open(over(pages(addr, len))),
            Advice::Remove => Some(Leaves::Open),
            Advice::Normal
            | Advice::Random
            | Advice::Sequential
            | Advice::WillNeed
            | Advice::DontFork
            | Advice::DoFork
            | Advice::Mergeable
            | Advice::Unmergeable
            | Advice::HugePage
            | Advice::NoHugePage
            | Advice::DontDump
            | Advice::DoDump
            | Advice::WipeOnFork
            | Advice::KeepOnFork => None,
            Advice::Other(_) => open(over(pages(addr, len))),
        },
        // Truncation drops private copies, too.
        Call::Ftruncate { .. } | Call::Fallocate { .. } => Some(Leaves::Open),
        Call::Mprotect { .. }
        | Call::Exit
        | Call::Load { .. }
        | Call::Exec { .. }
        | Call::Open { .. }
        | Call::Close { .. }
        | Call::Reclaim { .. }
        | Call::Softirq
        | Call::Mlock { .. }
        | Call::Mlock2 { .. }
        | Call::Munlock { .. }
        | Call::Mlockall { .. }
        | Call::Munlockall
        | Call::Msync { .. }
        | Call::Mincore { .. }
        | Call::Mbind { .. }
        | Call::SetMempolicy { .. }
        | Call::GetMempolicy { .. }
        | Call::SetRlimit { .. }
        | Call::UffdRegister { .. }
        | Call::UffdUnregister { .. }
        | Call::Collapse { .. }
        | Call::NumaScan { .. }
        | Call::Evict { .. } => None,
    }
}
