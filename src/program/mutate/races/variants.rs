//! Calls that are made of another: about the same range, undoing it, or moving whole page tables.

use vmadiff_contract::{Call, CallKind, Fd, MapFlags, Mode, MoveFlags, PAGE_SIZE, Prot};

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
        Call::Mmap { .. } if dice.one_in(2) => filling(dice, space).unwrap_or(call),
        other => other,
    }
}

/// Pages of the largest hole that a mapping is made to fill.
const HOLE: u64 = 8;

/// A mapping that fills a hole between two areas, like both: three become one.
fn filling(dice: &mut Dice<'_>, space: &Space) -> Option<Call> {
    let holes = || {
        let between = space.areas.windows(2).map(|two| (&two[0], &two[1]));
        between.filter(|(below, above)| {
            let hole = above.start - below.end;
            hole > 0 && hole <= HOLE * PAGE_SIZE
        })
    };
    let count = holes().count();
    let (below, above) = holes().nth(dice.index(count.max(1)))?;
    Some(Call::Mmap {
        addr: below.end,
        len: above.start - below.end,
        prot: below.prot,
        flags: MapFlags::PRIVATE | MapFlags::ANONYMOUS | MapFlags::FIXED,
        fd: Fd(-1),
        off: 0,
    })
}

/// The range of all areas that lie without a hole around an address: a call about it is about several.
pub(super) fn whole_run(space: &Space, addr: u64) -> Option<(u64, u64)> {
    let at = space
        .areas
        .iter()
        .position(|area| (area.start..area.end).contains(&addr))?;
    let touch = |two: &&[Area]| two[0].end == two[1].start;
    let below = space.areas[..=at]
        .windows(2)
        .rev()
        .take_while(touch)
        .count();
    let above = space.areas[at..].windows(2).take_while(touch).count();
    Some((space.areas[at - below].start, space.areas[at + above].end))
}

/// Where a page is behind a move, or was before it, if the move is about it.
pub(super) fn moved(call: &Call, addr: u64) -> Option<u64> {
    let Call::Mremap {
        addr: from,
        old_len,
        new_addr,
        ..
    } = *call
    else {
        return None;
    };
    let along = |from: u64, to: u64| {
        let into = addr.checked_sub(from).filter(|into| *into < old_len)?;
        to.checked_add(into)
    };
    along(from, new_addr).or_else(|| along(new_addr, from))
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
