//! Calls as a layer's methods, and areas as a state has them.

use std::ops::Range;

use vmadiff_contract::{
    Advice, Call, CallKind, Errno, MapFlags, MmId, MoveFlags, Outcome, Prot, SegvCode, VmFlags,
    VmaState,
};

use super::scale::Scale;
use crate::areas::{Areas, Move, Place};
use crate::memory::{Fault, Memory};

/// A call about areas, in the manager's own addresses.
pub enum Asked {
    Map(Range<u64>, Prot, Place),
    Unmap(Range<u64>),
    Protect(Range<u64>, Prot),
    Remap(Range<u64>, u64, Move),
}

/// Has a call about areas made. `make` answers an address of the manager's; one that there is none
/// of is that of address 0.
pub fn answer(
    scale: Scale,
    call: &Call,
    make: impl FnOnce(Asked) -> Result<u64, Errno>,
) -> Outcome {
    let asked = match *call {
        Call::Mmap {
            addr,
            len,
            prot,
            flags,
            ..
        } => {
            let how = place(flags);
            let range = if addr == 0 && how == Place::Anywhere {
                0..scale.len(len)
            } else {
                scale.range(addr, len)
            };
            Asked::Map(range, prot, how)
        }
        Call::Munmap { addr, len } => Asked::Unmap(scale.range(addr, len)),
        Call::Mprotect { addr, len, prot } => Asked::Protect(scale.range(addr, len), prot),
        Call::Mremap {
            addr,
            old_len,
            new_len,
            flags,
            new_addr,
        } => {
            let how = if flags.contains(MoveFlags::FIXED) {
                Move::To(scale.up(new_addr))
            } else if flags.contains(MoveFlags::MAYMOVE) {
                Move::IfNeeded
            } else {
                Move::Never
            };
            Asked::Remap(scale.range(addr, old_len), scale.len(new_len), how)
        }
        _ => return Outcome::Unsupported,
    };
    make(asked).map_or_else(failed, |addr| Outcome::Value(scale.down(addr)))
}

/// What a call that failed answers: with this error, or it is not had at all.
fn failed(errno: Errno) -> Outcome {
    match errno {
        Errno::EOPNOTSUPP => Outcome::Unsupported,
        errno => Outcome::Errno(errno),
    }
}

/// Makes a call of those that are about areas.
pub fn of_areas<M: Areas>(space: &mut M, scale: Scale, call: &Call) -> Outcome {
    answer(scale, call, |asked| match asked {
        Asked::Map(range, prot, Place::Over) if is_checked::<M>(CallKind::Mmap) => {
            unmap(space, range.clone())?;
            space.map(range, prot, Place::IfFree)
        }
        Asked::Map(range, prot, how) => space.map(range, prot, how),
        Asked::Unmap(range) => unmap(space, range).map(|()| scale.base),
        Asked::Protect(range, prot) => protect(space, range, prot).map(|()| scale.base),
        Asked::Remap(from, len, how) => space.remap(from, len, how),
    })
}

/// Whether a manager leaves it to its caller to look at what is there before this call.
fn is_checked<M: Areas>(kind: CallKind) -> bool {
    M::CHECKED.contains(&kind)
}

fn unmap<M: Areas>(space: &mut M, range: Range<u64>) -> Result<(), Errno> {
    if !is_checked::<M>(CallKind::Munmap) {
        return space.unmap(range);
    }
    let mut mapped = stretches(space, &range).into_iter();
    mapped.try_for_each(|stretch| space.unmap(stretch))
}

fn protect<M: Areas>(space: &mut M, range: Range<u64>, prot: Prot) -> Result<(), Errno> {
    if !is_checked::<M>(CallKind::Mprotect) {
        return space.protect(range, prot);
    }
    let mapped = stretches(space, &range);
    let first = mapped.into_iter().next();
    let Some(first) = first.filter(|first| first.start == range.start) else {
        return Err(Errno::ENOMEM);
    };
    let is_whole = first.end == range.end;
    space.protect(first, prot)?;
    is_whole.then_some(()).ok_or(Errno::ENOMEM)
}

/// What of a range is mapped, by address: from hole to hole.
fn stretches<M: Areas>(space: &M, range: &Range<u64>) -> Vec<Range<u64>> {
    let mut parts = Vec::new();
    space.each(|area, _| {
        let part = area.start.max(range.start)..area.end.min(range.end);
        if part.start < part.end {
            parts.push(part);
        }
    });
    parts.sort_by_key(|part| part.start);
    parts.dedup_by(|next, last| {
        let touches = next.start <= last.end;
        if touches {
            last.end = last.end.max(next.end);
        }
        touches
    });
    parts
}

/// Makes a call of those that are about areas and memory.
pub fn of_memory<M: Memory>(space: &mut M, scale: Scale, call: &Call) -> Outcome {
    match *call {
        Call::Load { addr } => answer_access(space.load(scale.byte(addr)).map(u64::from)),
        Call::Store { addr, value } => {
            answer_access(space.store(scale.byte(addr), value).map(|()| 0))
        }
        Call::Exec { addr } => answer_access(space.exec(scale.byte(addr)).map(|()| 0)),
        Call::Madvise {
            addr,
            len,
            advice: Advice::DontNeed,
        } => {
            let discarded = space.discard(scale.range(addr, len));
            discarded.map_or_else(failed, |()| Outcome::Value(0))
        }
        _ => of_areas(space, scale, call),
    }
}

/// What an access comes to.
pub fn answer_access(made: Result<u64, Fault>) -> Outcome {
    match made {
        Ok(value) => Outcome::Value(value),
        Err(Fault::Unmapped) => Outcome::Segv(SegvCode::MapErr),
        Err(Fault::Refused) => Outcome::Segv(SegvCode::AccErr),
        Err(Fault::NoFrame) => Outcome::Oom,
        Err(Fault::NotHad) => Outcome::Unsupported,
    }
}

fn place(flags: MapFlags) -> Place {
    // The newer flag is the stronger one (mmap(2)).
    if flags.contains(MapFlags::FIXED_NOREPLACE) {
        Place::IfFree
    } else if flags.contains(MapFlags::FIXED) {
        Place::Over
    } else {
        Place::Anywhere
    }
}

/// What may be done, as a call asks for it and as an area has it.
const ALLOWED: [(Prot, VmFlags); 3] = [
    (Prot::READ, VmFlags::READ),
    (Prot::WRITE, VmFlags::WRITE),
    (Prot::EXEC, VmFlags::EXEC),
];

/// What may be done in an area, as a state has it.
pub fn flags_of(prot: Prot) -> VmFlags {
    let mut flags = VmFlags::empty();
    for (asked, flag) in ALLOWED {
        flags.set(flag, prot.contains(asked));
    }
    flags
}

/// What may be done in an area of a state, as a call asks for it.
pub fn prot_of(area: &VmaState) -> Prot {
    let allowed = ALLOWED
        .iter()
        .filter(|(_, flag)| area.flags.contains(*flag));
    allowed.map(|(asked, _)| *asked).collect()
}

/// Puts the areas of an address space in the order of a state: a manager may show them in any.
pub fn by_address(areas: &mut [VmaState]) {
    if !areas.is_sorted_by_key(|area| area.start) {
        areas.sort_by_key(|area| area.start);
    }
}

/// An area as a state has it.
pub fn area_state(range: Range<u64>, prot: Prot, scale: Scale, mm: MmId) -> VmaState {
    VmaState {
        mm,
        start: scale.down(range.start),
        end: scale.down(range.end),
        flags: flags_of(prot),
        ..VmaState::default()
    }
}
