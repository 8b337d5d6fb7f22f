//! Page tables of four levels, 512 entries each, as on x86-64 with the fifth level folded.
//!
//! The top one stands in its address space; the others are objects. Each notes which of its
//! entries are set, so that walks over huge ranges skip what is empty and cost nothing.

use vmadiff_contract::{Misuse, TableId};
use vmadiff_interleave::{Cell, Site, SpinLock};

use crate::pte::Pte;
use crate::slab::{Handle, Ref, object};

/// Entries in a table.
pub const ENTRIES: usize = 512;
/// Bits of an address below a lowest table's range.
pub const PMD_SHIFT: u32 = 21;
/// Bits of an address below a middle table's range.
pub const PUD_SHIFT: u32 = 30;
/// Bits of an address below an upper table's range.
pub const PGD_SHIFT: u32 = 39;

/// Where an address stands in the table whose entries cover `1 << shift` bytes each.
#[inline]
pub fn index(addr: u64, shift: u32) -> usize {
    (addr >> shift) as usize & (ENTRIES - 1)
}

/// A table's entries.
pub struct Entries {
    words: [Cell<u64>; ENTRIES],
    /// Which entries are not zero, a bit each; written under the lock that the entries need.
    set: [Cell<u64>; ENTRIES / 64],
}

impl Default for Entries {
    fn default() -> Self {
        Self {
            words: std::array::from_fn(|_| Cell::new(0)),
            set: std::array::from_fn(|_| Cell::new(0)),
        }
    }
}

impl Entries {
    /// Empties it, while nobody else can see it.
    pub fn clear(&self) {
        let mut from = 0;
        while let Some(at) = self.next(from) {
            self.words[at].init(0);
            from = at + 1;
        }
        for word in &self.set {
            word.init(0);
        }
    }

    /// Reads an entry.
    #[inline]
    pub fn get(&self, site: Site, at: usize) -> u64 {
        self.words[at].get(site)
    }

    /// Reads an entry without a scheduling point.
    #[inline]
    pub fn peek(&self, at: usize) -> u64 {
        self.words[at].peek()
    }

    /// Writes an entry, under the table's lock.
    #[inline]
    pub fn set(&self, site: Site, at: usize, word: u64) {
        self.words[at].set(site, word);
        let (bits, bit) = (&self.set[at / 64], 1 << (at % 64));
        let others = bits.peek() & !bit;
        bits.init(if word == 0 { others } else { others | bit });
    }

    /// The first entry from `from` on that is not zero.
    #[inline]
    pub fn next(&self, from: usize) -> Option<usize> {
        let mut word = from / 64;
        let mut mask = !0u64 << (from % 64);
        while word < self.set.len() {
            let bits = self.set[word].peek() & mask;
            if bits != 0 {
                return Some(word * 64 + bits.trailing_zeros() as usize);
            }
            (word, mask) = (word + 1, !0);
        }
        None
    }
}

object! {
    /// A page table of one of the three lower levels.
    Table, dead: |n| Some(Misuse::DeadTable(TableId(n)));
    words {
        /// Bits of an address below an entry's range.
        shift: u32,
    }
    parts {
        /// What it holds.
        entries: Entries,
        /// The lock of a lowest table's entries (`ptl`).
        ptl: SpinLock,
    }
}

impl<'a> Ref<'a, Table> {
    /// Reads a lowest table's entry; none of a dead table.
    #[inline]
    pub fn pte(self, site: Site, at: usize) -> Pte {
        let word = self.entries().get(site, at);
        self.checked(word)
    }

    /// The same without a scheduling point, under the table's lock.
    #[inline]
    pub fn peek_pte(self, at: usize) -> Pte {
        let word = self.entries().peek(at);
        self.checked(word)
    }

    #[inline]
    fn checked(self, word: u64) -> Pte {
        use vmadiff_interleave::Word;
        if self.alive() {
            Pte::from_word(word)
        } else {
            Pte::NONE
        }
    }

    /// Writes a lowest table's entry, under the table's lock.
    #[inline]
    pub fn set_pte(self, site: Site, at: usize, pte: Pte) {
        use vmadiff_interleave::Word;
        if self.alive() {
            self.entries().set(site, at, pte.to_word());
            self.alive();
        }
    }

    /// Reads an upper table's entry.
    #[inline]
    pub fn lower(self, site: Site, at: usize) -> Handle<Table> {
        use vmadiff_interleave::Word;
        let word = self.entries().get(site, at);
        if self.alive() {
            Handle::from_word(word)
        } else {
            Handle::NULL
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    vmadiff_interleave::sites! { HERE = "test.here"; }

    #[test]
    fn what_is_set_is_found_and_cleared() {
        let table = Entries::default();
        for at in [0, 63, 64, 300, 511] {
            table.set(HERE, at, 5);
        }
        table.set(HERE, 64, 0);
        let mut found = Vec::new();
        let mut from = 0;
        while let Some(at) = table.next(from) {
            found.push(at);
            from = at + 1;
        }
        assert_eq!(found, [0, 63, 300, 511]);
        table.clear();
        assert_eq!(table.next(0), None);
        assert_eq!(table.get(HERE, 300), 0);
    }
}
