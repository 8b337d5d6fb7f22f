//! Addresses and ranges near what is mapped.

use vmadiff_contract::{Config, PAGE_SIZE, Prot};

use super::dice::Dice;
use crate::program::world::{Area, Space};

/// An address to touch: mostly in an area that allows it, and most of all in one that has been
/// written, since there further pages may be faulted in speculatively. A page whose access faults
/// is worth more than one that is there.
pub(super) fn access(dice: &mut Dice<'_>, space: &Space, prot: Prot) -> u64 {
    let allows = |area: &Area| allows(area, prot) && area.start < area.served_to;
    let private = |area: &Area| allows(area) && area.is_private;
    let again = |area: &Area| private(area) && area.is_written && area.end - area.start > PAGE_SIZE;
    let draw = dice.below(8);
    let some = (draw < 6).then(|| one_of(dice, space, again)).flatten();
    let some = some.or_else(|| (draw < 7).then(|| one_of(dice, space, private)).flatten());
    let some = some.or_else(|| one_of(dice, space, allows));
    let page = match some.or_else(|| area(dice, space)) {
        Some(area) if !dice.one_in(16) => page_to_touch(dice, space, area, prot),
        _ => page(dice),
    };
    page + if dice.one_in(4) { byte(dice) } else { 0 }
}

/// A byte of a page: the last one half of the time, since ends are where an access and what is beside it are
/// told apart, and any otherwise. An access to the first of a page follows often enough that the two lie beside
/// each other across the border of two pages.
fn byte(dice: &mut Dice<'_>) -> u64 {
    dice.below(2 * PAGE_SIZE).min(PAGE_SIZE - 1)
}

/// Whether the area lets itself be touched so: any protection allows a load.
pub(super) fn allows(area: &Area, prot: Prot) -> bool {
    let wanted = prot - Prot::READ;
    !area.prot.is_empty() && area.prot.contains(wanted)
}

fn page_to_touch(dice: &mut Dice<'_>, space: &Space, area: Area, prot: Prot) -> u64 {
    let there = if prot.contains(Prot::WRITE) {
        space.ready
    } else {
        space.present
    };
    let mut missing = there.missing(area.start, area.end.min(area.served_to));
    match missing.clone().count() {
        0 => page_of(dice, area),
        _ if dice.one_in(4) => page_of(dice, area),
        pages => missing
            .nth(dice.index(pages))
            .unwrap_or_else(|| page_of(dice, area)),
    }
}

fn one_of(dice: &mut Dice<'_>, space: &Space, fits: impl Fn(&Area) -> bool) -> Option<Area> {
    let fitting = || space.areas.iter().filter(|area| fits(area));
    let count = fitting().count();
    let nth = dice.index(count.max(1));
    fitting().nth(nth).copied()
}

fn area(dice: &mut Dice<'_>, space: &Space) -> Option<Area> {
    match space.areas.len() {
        0 => None,
        areas => Some(space.areas[dice.index(areas)]),
    }
}

/// A page of an area, more often its first or last.
fn page_of(dice: &mut Dice<'_>, area: Area) -> u64 {
    match dice.below(4) {
        0 => area.start,
        1 => area.end - PAGE_SIZE,
        _ => area.start + dice.below((area.end - area.start) / PAGE_SIZE) * PAGE_SIZE,
    }
}

/// A page of the window.
pub(super) fn page(dice: &mut Dice<'_>) -> u64 {
    Config::WINDOW + dice.below(Config::WINDOW_PAGES) * PAGE_SIZE
}

/// A range: of an area mostly, or over the border between two.
pub(super) fn range(dice: &mut Dice<'_>, space: &Space) -> (u64, u64) {
    let area = area(dice, space).filter(|_| !dice.one_in(16));
    range_of(dice, space, area)
}

/// A range of areas that fit, if there are any.
pub(super) fn range_in(
    dice: &mut Dice<'_>,
    space: &Space,
    fits: impl Fn(&Area) -> bool,
) -> (u64, u64) {
    let area = one_of(dice, space, fits).or_else(|| area(dice, space));
    range_of(dice, space, area)
}

fn range_of(dice: &mut Dice<'_>, space: &Space, area: Option<Area>) -> (u64, u64) {
    let Some(area) = area else {
        return (page(dice), (1 + dice.below(4)) * PAGE_SIZE);
    };
    let pages = (area.end - area.start) / PAGE_SIZE;
    let some = 1 + dice.below(pages.min(4));
    match dice.below(8) {
        0 | 1 => (area.start, pages * PAGE_SIZE),
        2 | 3 => (area.start, some * PAGE_SIZE),
        4 | 5 => (area.end - some * PAGE_SIZE, some * PAGE_SIZE),
        7 if !space.is_free(area.end, area.end + PAGE_SIZE) || dice.one_in(4) => (
            area.end - some * PAGE_SIZE,
            (some + 1 + dice.below(2)) * PAGE_SIZE,
        ),
        _ => {
            let start = page_of(dice, area);
            let some = 1 + dice.below((area.end - start) / PAGE_SIZE);
            (start, some * PAGE_SIZE)
        }
    }
}

/// Where to map `len` bytes: touching an area, over one, or anywhere in the window.
pub(super) fn near(dice: &mut Dice<'_>, space: &Space, len: u64) -> u64 {
    let start = match area(dice, space) {
        None => page(dice),
        Some(area) => match dice.below(8) {
            0..3 => area.end,
            3 | 4 => area.start.saturating_sub(len),
            5 => page_of(dice, area),
            _ => page(dice),
        },
    };
    start.max(PAGE_SIZE)
}
