//! The table, by what it is about, and what its entries ask.

mod areas;
mod calls;
mod moves;
mod swap;

use vmadiff_contract::{Call, Errno, MapFlags, Outcome};

use super::{Context, Known};
use crate::diff::{Difference, Field};
use crate::seen::{Answer, Area, Page, Seen};

/// All that is known. Of two that explain a difference the first one is named: those of mremap, and of
/// userfaultfd and reclaim, come before those of areas in general.
pub fn known() -> impl Iterator<Item = &'static Known> {
    [moves::KNOWN, swap::KNOWN, areas::KNOWN, calls::KNOWN]
        .into_iter()
        .flatten()
}

/// Whether both are values, and the second has every bit of the first.
fn only_adds(one: Outcome, other: &Answer) -> bool {
    match (one, other) {
        (Outcome::Value(one), Answer::Known(Outcome::Value(other))) => one & !other == 0,
        _ => false,
    }
}

fn spaces_of(view: &Seen) -> impl Iterator<Item = u8> + '_ {
    view.spaces.iter().map(|space| space.mm.0)
}

fn area_at(view: &Seen, mm: u8, addr: u64) -> Option<&Area> {
    let space = view.spaces.iter().find(|space| space.mm.0 == mm)?;
    let mut areas = space.areas.iter();
    areas.find(|area| (area.start..area.end).contains(&addr))
}

/// The entry of a page.
fn page_at(view: &Seen, mm: u8, addr: u64) -> Option<&Page> {
    let space = view.spaces.iter().find(|space| space.mm.0 == mm)?;
    space.pages.iter().find(|page| page.addr == addr)
}

/// The size of the area at an address.
fn size_at(view: &Seen, mm: u8, addr: u64) -> Option<u64> {
    area_at(view, mm, addr).map(|area| area.end - area.start)
}

/// Where the area at an address ends: how far a range from there may reach.
fn end_at(view: &Seen, mm: u8, addr: u64) -> Option<u64> {
    area_at(view, mm, addr).map(|area| area.end)
}

/// Whether Linux's area at an address is larger than the manager's.
fn merged(context: &Context, (mm, addr): (u8, u64)) -> bool {
    let seen = context.seen;
    seen.is_some_and(|(ours, theirs)| size_at(ours, mm, addr) < size_at(theirs, mm, addr))
}

/// Whether the page has no entry on Linux, whose area there is not larger than the manager's, and
/// fork may be why: it copies entries of faulted areas only. Pieces that were cut from areas apart
/// may be of one size.
fn not_copied(context: &Context) -> bool {
    let Difference {
        field,
        at: (mm, addr),
        ..
    } = *context.difference;
    let smaller = |(ours, theirs): (&Seen, &Seen)| {
        let none = theirs
            .spaces
            .iter()
            .all(|space| space.mm.0 != mm || space.pages.iter().all(|page| page.addr != addr));
        none && size_at(theirs, mm, addr) <= size_at(ours, mm, addr)
    };
    let copied = called(context, |call| matches!(call, Call::Fork));
    field == Field::Page && copied && context.seen.is_some_and(smaller)
}

/// Whether the page has an entry on Linux only.
fn copied_more(context: &Context) -> bool {
    let Difference {
        field,
        at: (mm, addr),
        ..
    } = *context.difference;
    let missing = |(ours, _): (&Seen, _)| {
        let mut spaces = ours.spaces.iter();
        spaces.any(|space| space.mm.0 == mm && space.pages.iter().all(|page| page.addr != addr))
    };
    field == Field::Page && context.seen.is_some_and(missing)
}

/// Where Linux's area ends inside the range of an mremap that is EFAULT there, if the manager's goes
/// on behind.
fn stops_short(context: &Context) -> Option<u64> {
    let (Call::Mremap { addr, old_len, .. }, _, answer) = context.answered()? else {
        return None;
    };
    let (ours, theirs) = context.before?;
    let last = addr.saturating_add(old_len);
    let short = spaces_of(ours).find_map(|mm| {
        let end = end_at(theirs, mm, addr)?;
        (Some(end) < end_at(ours, mm, addr) && end < last).then_some(end)
    });
    short.filter(|_| *answer == errno(Errno::EFAULT))
}

/// Whether mmap with MAP_FIXED failed that was to start or to end at an address: newer kernels cut
/// there first.
fn left_cut(context: &Context, bound: u64) -> bool {
    let mut calls = context.calls.iter().zip(context.said);
    calls.any(|((_, call), said)| match *call {
        Call::Mmap {
            addr, len, flags, ..
        } if flags.contains(MapFlags::FIXED) => {
            let end = addr.saturating_add(len).div_ceil(4096);
            matches!(said, Outcome::Errno(_)) && (bound == addr || bound / 4096 == end)
        }
        _ => false,
    })
}

/// Whether Linux's area at the difference starts or ends where a failing mmap left a cut.
fn lies_at_a_cut(context: &Context) -> bool {
    let (mm, addr) = context.difference.at;
    let area = context
        .seen
        .and_then(|(_, theirs)| area_at(theirs, mm, addr));
    area.is_some_and(|area| left_cut(context, area.start) || left_cut(context, area.end))
}

fn said_error(answer: &Answer) -> bool {
    matches!(answer, Answer::Known(Outcome::Errno(_)))
}

fn errno(errno: Errno) -> Answer {
    Answer::Known(Outcome::Errno(errno))
}

/// Whether any call so far is of a kind.
fn called(context: &Context, kind: impl Fn(&Call) -> bool) -> bool {
    context.calls.iter().any(|(_, call)| kind(call))
}

fn is_stack(call: &Call) -> bool {
    matches!(call, Call::Mmap { flags, .. } if flags.contains(MapFlags::STACK))
}

fn grows_down(call: &Call) -> bool {
    matches!(call, Call::Mmap { flags, .. } if flags.contains(MapFlags::GROWSDOWN))
}
