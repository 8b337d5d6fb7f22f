//! Where a search for room need not look again.
//!
//! The kernel finds a gap by the subtree maxima of its tree (`rb_subtree_gap`). Here the list is walked,
//! which is as good while areas are few, and nothing is noted then. After a long walk it is noted up to
//! where no gap has room for so much: the next search for as much or more begins there.
//!
//! A search from the top knows gaps by where they begin, one from the bottom by where the area above
//! them starts. Both numbers belong to an area, so a note holds until an area comes, goes or changes its
//! bounds beyond it, and then retreats to that area.

use vmadiff_interleave::Cell;

/// Areas that are passed by before anything is noted.
pub const LONG: u32 = 64;

/// One note for lengths of each order of magnitude: powers of two of pages.
const ORDERS: usize = 32;

/// What searches have learned of an address space; read and written under mmap_sem held for writing, or
/// where a stack grows under the page_table_lock.
#[derive(Default)]
pub struct Holes {
    down: Notes,
    up: Notes,
}

impl Holes {
    /// Nothing is known.
    pub fn init(&self) {
        self.down.known.init(0);
        self.up.known.init(0);
    }

    /// An address such that no gap that begins there or higher has room for `length` bytes.
    pub fn none_from(&self, length: u64) -> Option<u64> {
        self.down.furthest(length)
    }

    /// A search from the top has passed all gaps that begin at `from` or higher.
    pub fn passed_down_to(&self, length: u64, from: u64) {
        self.down.note(length, from);
    }

    /// An address such that no gap has room for `length` bytes that lies under an area which starts there
    /// or lower.
    pub fn none_to(&self, length: u64) -> Option<u64> {
        self.up.furthest(length).map(|to| !to)
    }

    /// A search from the bottom has passed all gaps under areas that start at `to` or lower.
    pub fn passed_up_to(&self, length: u64, to: u64) {
        self.up.note(length, !to);
    }

    /// An area from `start` to `end` comes, goes, or has or had these bounds.
    #[inline]
    pub fn changed(&self, start: u64, end: u64) {
        self.down.retreat(end.saturating_add(1));
        self.up.retreat(!start.saturating_sub(1));
    }
}

/// Notes of one direction. Of two places the lower one is further: those from the bottom are kept as
/// complements.
#[derive(Default)]
struct Notes {
    /// Which there are, a bit for each order.
    known: Cell<u64>,
    notes: [Note; ORDERS],
}

/// As far as here no gap has room for `length` bytes.
#[derive(Default)]
struct Note {
    length: Cell<u64>,
    place: Cell<u64>,
}

impl Notes {
    fn furthest(&self, length: u64) -> Option<u64> {
        // Notes of larger orders are about more than is asked for.
        let usable = self.known.peek() & u64::MAX >> (63 - order(length));
        let fitting = bits(usable).filter(|&at| self.notes[at].length.peek() <= length);
        fitting.map(|at| self.notes[at].place.peek()).min()
    }

    fn note(&self, length: u64, place: u64) {
        let order = order(length);
        self.notes[order].length.init(length);
        self.notes[order].place.init(place);
        self.known.init(self.known.peek() | 1 << order);
    }

    #[inline]
    fn retreat(&self, place: u64) {
        for at in bits(self.known.peek()) {
            let note = &self.notes[at].place;
            note.init(note.peek().max(place));
        }
    }
}

fn order(length: u64) -> usize {
    let order = (length >> 12).max(1).ilog2() as usize;
    order.min(ORDERS - 1)
}

/// The places of the bits of a word.
fn bits(word: u64) -> impl Iterator<Item = usize> {
    let words = std::iter::successors(Some(word), |left| Some(left & left.wrapping_sub(1)));
    let set = words.take_while(|&left| left != 0);
    set.map(|left| left.trailing_zeros() as usize)
}

#[cfg(test)]
mod tests {
    use super::Holes;

    #[test]
    fn a_note_is_for_as_much_or_more() {
        let holes = Holes::default();
        assert_eq!(holes.none_from(0x3000), None);
        holes.passed_down_to(0x3000, 0x50_0000);
        assert_eq!(holes.none_from(0x2000), None);
        assert_eq!(holes.none_from(0x3000), Some(0x50_0000));
        assert_eq!(holes.none_from(0x40_0000), Some(0x50_0000));
        holes.passed_down_to(0x8000, 0x20_0000);
        assert_eq!(holes.none_from(0x8000), Some(0x20_0000));
        assert_eq!(holes.none_from(0x7000), Some(0x50_0000));
        assert_eq!(holes.none_to(0x8000), None);
    }

    #[test]
    fn a_note_retreats_behind_an_area_that_changes() {
        let holes = Holes::default();
        holes.passed_down_to(0x1000, 0x50_0000);
        holes.passed_up_to(0x1000, 0x20_0000);
        holes.changed(0x30_0000, 0x40_0000);
        assert_eq!(holes.none_from(0x1000), Some(0x50_0000));
        assert_eq!(holes.none_to(0x1000), Some(0x20_0000));
        holes.changed(0x10_0000, 0x60_0000);
        assert_eq!(holes.none_from(0x1000), Some(0x60_0001));
        assert_eq!(holes.none_to(0x1000), Some(0x0f_ffff));
    }
}
