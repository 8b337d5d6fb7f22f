//! Calls that are made of another: about the same range, undoing it, or moving whole page tables.

use vmadiff_contract::{Call, CallKind, Fd, MapFlags, Mode, Prot};

use super::super::argument;
use super::super::dice::Dice;
use super::setup::TABLE;
use crate::program::shape::{self, Param};
use crate::program::world::Space;

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

/// A move of whole page tables goes, mostly, to where a whole table can go.
pub(super) fn to_whole_tables(dice: &mut Dice<'_>, call: Call) -> Call {
    if call.kind() != CallKind::Mremap {
        return call;
    }
    let mut words = shape::words(&call);
    let [addr, old_len, ..] = words;
    let whole = old_len >= TABLE && addr.is_multiple_of(TABLE);
    if !whole || dice.one_in(4) {
        return call;
    }
    words[2] = old_len;
    words[3] = 3;
    words[4] = TABLE * (4 + dice.below(4));
    shape::build(CallKind::Mremap, &words)
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
