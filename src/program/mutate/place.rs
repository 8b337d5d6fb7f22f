//! Addresses and ranges near what is mapped.

use vmadiff_contract::{Config, PAGE_SIZE, Prot};

use super::dice::Dice;
use crate::program::world::{Area, Space};

/// An address to touch: mostly in an area that allows it, and most of all in one that has been
/// written, since there further pages may be faulted in speculatively.
pub(super) fn access(dice: &mut Dice<'_>, space: &Space, prot: Prot) -> u64 {
    let allows = |area: &Area| area.prot.contains(prot);
    let again = |area: &Area| allows(area) && area.is_written && area.end - area.start > PAGE_SIZE;
    let some = match dice.below(8) {
        0 => None,
        1..7 => one_of(dice, space, again).or_else(|| one_of(dice, space, allows)),
        _ => one_of(dice, space, allows),
    };
    let page = match some.or_else(|| area(dice, space)) {
        Some(area) if !dice.one_in(16) => page_of(dice, area),
        _ => page(dice),
    };
    page + if dice.one_in(4) {
        dice.below(PAGE_SIZE)
    } else {
        0
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
    let Some(area) = area(dice, space).filter(|_| !dice.one_in(16)) else {
        return (page(dice), (1 + dice.below(4)) * PAGE_SIZE);
    };
    let pages = (area.end - area.start) / PAGE_SIZE;
    let some = 1 + dice.below(pages.min(4));
    match dice.below(8) {
        0 | 1 => (area.start, pages * PAGE_SIZE),
        2 | 3 => (area.start, some * PAGE_SIZE),
        4 | 5 => (area.end - some * PAGE_SIZE, some * PAGE_SIZE),
        6 => {
            let start = page_of(dice, area);
            let some = 1 + dice.below((area.end - start) / PAGE_SIZE);
            (start, some * PAGE_SIZE)
        }
        _ => (
            area.end - some * PAGE_SIZE,
            (some + 1 + dice.below(2)) * PAGE_SIZE,
        ),
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
