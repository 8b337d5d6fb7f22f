//! Calls that are made of another: about the same range, undoing it, or moving whole page tables.

use vmadiff_contract::{Call, CallKind, Fd, MapFlags, Mode, MoveFlags, Prot};

use super::super::argument;
use super::super::dice::Dice;
use super::setup::{MARKS, TABLE};
use crate::program::shape::{self, Param};
use crate::program::world::{Area, Space};

/// Whether the call finds something else where it was made before.
pub(super) fn is_repeatable(kind: CallKind) -> bool {
    matches!(
        kind,
        CallKind::Mbind
            | CallKind::Fork
            | CallKind::Madvise
            | CallKind::Mlock
            | CallKind::Mprotect
            | CallKind::Reclaim
    )
}

/// The second call, about the first one's range.
pub(super) fn same_place(one: &Call, other: &Call) -> Call {
    let kind = other.kind();
    let mut words = shape::words(other);
    let params = shape::params(kind);
    if one.kind() == kind && params.first() == Some(&Param::Addr) {
        words[0] = shape::words(one)[0];
        if params.get(1) == Some(&Param::Len) {
            words[1] = shape::words(one)[1];
        }
    }
    shape::build(kind, &words)
}

/// The call about another range, if it is about one.
pub(super) fn about(call: &Call, (start, end): (u64, u64)) -> Call {
    let kind = call.kind();
    let mut words = shape::words(call);
    if let [Param::Addr, Param::Len, ..] = shape::params(kind) {
        (words[0], words[1]) = (start, end - start);
    } else if shape::params(kind).first() == Some(&Param::Addr) {
        words[0] = start;
    }
    shape::build(kind, &words)
}

/// The call with what makes its range like the areas beside it, or like no other, so that areas become
/// one or are cut.
pub(super) fn likened(dice: &mut Dice<'_>, space: &Space, call: Call) -> Call {
    match call {
        Call::Mprotect { addr, len, .. } if dice.one_in(2) => {
            let before = space.area_at(addr.wrapping_sub(1));
            let behind = space.area_at(addr.saturating_add(len));
            let prot = before
                .or(behind)
                .map_or(Prot::READ | Prot::WRITE, |area| area.prot);
            Call::Mprotect { addr, len, prot }
        }
        Call::Madvise { addr, len, .. } if dice.one_in(2) => Call::Madvise {
            addr,
            len,
            advice: dice.pick(MARKS),
        },
        other => other,
    }
}

/// The first area that has whole page tables to itself, which a move takes along without their entries.
pub(super) fn whole_tables(space: &Space) -> Option<&Area> {
    let whole = |area: &&Area| area.start.is_multiple_of(TABLE) && area.end - area.start >= TABLE;
    space.areas.iter().find(whole)
}

/// A move takes, mostly, a whole page table along, if there is one, to where it can go.
pub(super) fn to_whole_tables(dice: &mut Dice<'_>, space: &Space, call: Call) -> Call {
    let area = whole_tables(space).filter(|_| call.kind() == CallKind::Mremap);
    let Some(area) = area.filter(|_| !dice.one_in(4)) else {
        return call;
    };
    Call::Mremap {
        addr: area.start,
        old_len: TABLE,
        new_len: TABLE,
        flags: MoveFlags::MAYMOVE | MoveFlags::FIXED,
        new_addr: TABLE * (4 + dice.below(4)),
    }
}

/// A call that undoes, or does otherwise, what this one did to the same range.
pub(super) fn back(dice: &mut Dice<'_>, space: &Space, call: &Call) -> Call {
    let kind = call.kind();
    let mut words = shape::words(call);
    let [addr, len, ..] = words;
    match *call {
        Call::Munmap { .. } => Call::Mmap {
            addr,
            len,
            prot: Prot::READ | Prot::WRITE,
            flags: MapFlags::PRIVATE | MapFlags::ANONYMOUS | MapFlags::FIXED,
            fd: Fd(-1),
            off: 0,
        },
        Call::Mmap { .. } => Call::Munmap { addr, len },
        Call::Mlock { .. } => Call::Munlock { addr, len },
        Call::Ftruncate { fd, .. } => {
            // What was cut off is there again, and empty.
            let size = space.file(fd).map_or(0, |file| file.size);
            Call::Ftruncate { fd, size }
        }
        Call::Mprotect { prot, .. } => Call::Mprotect {
            addr,
            len,
            prot: if prot.contains(Prot::WRITE) {
                argument::prot(dice)
            } else {
                Prot::READ | Prot::WRITE
            },
        },
        Call::Mbind {
            addr,
            len,
            mode,
            flags,
            ..
        } => {
            let (mode, nodes) = match mode {
                Mode::Default => (Mode::Bind, 1),
                _ => (Mode::Default, 0),
            };
            Call::Mbind {
                addr,
                len,
                mode,
                nodes,
                flags,
            }
        }
        Call::Mremap {
            old_len,
            new_len,
            new_addr,
            ..
        } => {
            (words[0], words[1], words[2], words[4]) = (new_addr, new_len, old_len, addr);
            shape::build(kind, &words)
        }
        Call::Madvise { .. } => {
            words[2] = argument::value(dice, space, Param::Advice);
            shape::build(kind, &words)
        }
        other => other,
    }
}
