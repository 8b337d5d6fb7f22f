//! A fresh manager is made what a state shows, by calls that every manager of the layer has.

use std::ops::Range;

use vmadiff_contract::{MmId, Prot, Snapshot};

use super::calls::prot_of;
use super::scale::Scale;
use crate::areas::{Areas, Place};
use crate::memory::Memory;

/// A step on the way to a state, in the manager's own addresses.
pub enum Taken {
    /// Maps what is mapped nowhere yet.
    Map(Range<u64>, Prot),
    /// Stores to what may be stored to.
    Store(u64, u8),
    /// Changes what may be done.
    Protect(Range<u64>, Prot),
}

/// Takes the steps to a state of an address space; whether each could be taken. What memory holds is
/// stored if the manager `holds` any. What may not be stored to was protected after it had been stored to:
/// only a manager that has mprotect can have come there.
pub fn take_on(
    scale: Scale,
    mm: MmId,
    state: &Snapshot,
    holds: bool,
    mut take: impl FnMut(Taken) -> bool,
) -> bool {
    let mut areas = state.vmas.iter().filter(|area| area.mm == mm);
    areas.all(|area| {
        let range = scale.range(area.start, area.end - area.start);
        let prot = prot_of(area);
        let bytes = state.bytes.iter().filter(|byte| holds && byte.mm == mm);
        let mut bytes = bytes
            .filter(|byte| area.start <= byte.addr && byte.addr < area.end)
            .peekable();
        let first = match bytes.peek() {
            Some(_) => prot | Prot::WRITE,
            None => prot,
        };
        take(Taken::Map(range.clone(), first))
            && bytes.all(|byte| take(Taken::Store(scale.byte(byte.addr), byte.value)))
            && (first == prot || take(Taken::Protect(range, prot)))
    })
}

/// As [`take_on`], of a manager of areas.
pub fn of_areas<M: Areas>(space: &mut M, scale: Scale, mm: MmId, state: &Snapshot) -> bool {
    take_on(scale, mm, state, false, |taken| match taken {
        Taken::Map(range, prot) => maps(space, range, prot),
        Taken::Protect(range, prot) => space.protect(range, prot).is_ok(),
        Taken::Store(..) => false,
    })
}

/// As [`take_on`], of a manager of memory.
pub fn of_memory<M: Memory>(space: &mut M, scale: Scale, mm: MmId, state: &Snapshot) -> bool {
    take_on(scale, mm, state, true, |taken| match taken {
        Taken::Map(range, prot) => maps(space, range, prot),
        Taken::Protect(range, prot) => space.protect(range, prot).is_ok(),
        Taken::Store(addr, value) => space.store(addr, value).is_ok(),
    })
}

fn maps<M: Areas>(space: &mut M, range: Range<u64>, prot: Prot) -> bool {
    space.map(range.clone(), prot, Place::IfFree) == Ok(range.start)
}
