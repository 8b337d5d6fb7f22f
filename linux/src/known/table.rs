//! The table, by what it is about, and what its entries ask.

mod areas;
mod calls;
mod moves;

use vmadiff_contract::{Call, Errno, MapFlags, Outcome};

use super::{Context, Known};
use crate::diff::{Difference, Field};
use crate::view::{Answer, Area, View};

/// All that is known. Of two that explain a difference the first one is named: mremap's come before
/// those of areas in general.
pub fn known() -> impl Iterator<Item = &'static Known> {
    [moves::KNOWN, areas::KNOWN, calls::KNOWN]
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

fn spaces_of(view: &View) -> impl Iterator<Item = u8> + '_ {
    view.spaces.iter().map(|space| space.mm.0)
}

fn area_at(view: &View, mm: u8, addr: u64) -> Option<&Area> {
    let space = view.spaces.iter().find(|space| space.mm.0 == mm)?;
    let mut areas = space.areas.iter();
    areas.find(|area| (area.start..area.end).contains(&addr))
}

/// The size of the area at an address.
fn size_at(view: &View, mm: u8, addr: u64) -> Option<u64> {
    area_at(view, mm, addr).map(|area| area.end - area.start)
}

/// Where the area at an address ends: how far a range from there may reach.
fn end_at(view: &View, mm: u8, addr: u64) -> Option<u64> {
    area_at(view, mm, addr).map(|area| area.end)
}

/// Whether Linux's area at an address is larger than the manager's.
fn merged(context: &Context, (mm, addr): (u8, u64)) -> bool {
    let views = context.views;
    views.is_some_and(|(ours, theirs)| size_at(ours, mm, addr) < size_at(theirs, mm, addr))
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
    let smaller = |(ours, theirs): (&View, &View)| {
        let none = theirs
            .spaces
            .iter()
            .all(|space| space.mm.0 != mm || space.pages.iter().all(|page| page.addr != addr));
        none && size_at(theirs, mm, addr) <= size_at(ours, mm, addr)
    };
    let copied = called(context, |call| matches!(call, Call::Fork));
    field == Field::Page && copied && context.views.is_some_and(smaller)
}

/// Whether the page has an entry on Linux only.
fn copied_more(context: &Context) -> bool {
    let Difference {
        field,
        at: (mm, addr),
        ..
    } = *context.difference;
    let missing = |(ours, _): (&View, _)| {
        let mut spaces = ours.spaces.iter();
        spaces.any(|space| space.mm.0 == mm && space.pages.iter().all(|page| page.addr != addr))
    };
    field == Field::Page && context.views.is_some_and(missing)
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
