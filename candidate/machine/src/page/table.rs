//! Page tables of four levels, 512 entries each, as on x86-64 with the fifth level folded.
//!
//! The top one stands in its address space; the others are objects. Each notes which of its
//! entries are set, so that walks over huge ranges skip what is empty and cost nothing.

use vmadiff_contract::{Misuse, StepKind, TableId};
use vmadiff_interleave::{Cell, Site, SpinGuard, SpinLock};

use crate::core::machine::Machine;
use crate::core::mm::Mm;
use crate::core::moves::{Shows, moved};
use crate::core::slab::{Handle, Ref, object};
use crate::design::Design;
use crate::page::pte::Pte;

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
    /// Which words of `set` are not zero, a bit each.
    groups: Cell<u64>,
}

impl Default for Entries {
    fn default() -> Self {
        Self {
            words: std::array::from_fn(|_| Cell::new(0)),
            set: std::array::from_fn(|_| Cell::new(0)),
            groups: Cell::new(0),
        }
    }
}

impl Entries {
    /// Empties it, while nobody else can see it.
    pub fn clear(&self) {
        for (at, _) in self.iter() {
            self.words[at].init(0);
        }
        for word in &self.set {
            word.init(0);
        }
        self.groups.init(0);
        moved(Shows::Pages);
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
        self.put(at, word);
    }

    /// The same without a scheduling point.
    #[inline]
    fn put(&self, at: usize, word: u64) {
        self.words[at].init(word);
        let (bits, bit) = (&self.set[at / 64], 1 << (at % 64));
        bits.init(with(bits.peek(), bit, word != 0));
        let group = with(self.groups.peek(), 1 << (at / 64), bits.peek() != 0);
        self.groups.init(group);
        moved(Shows::Pages);
    }

    /// The first entry from `from` on that is not zero.
    #[inline]
    pub fn next(&self, from: usize) -> Option<usize> {
        let group = from / 64;
        let here = self.set.get(group)?.peek() & !0 << (from % 64);
        if here != 0 {
            return Some(group * 64 + here.trailing_zeros() as usize);
        }
        let mut later = self.groups.peek() & !0 << (group + 1);
        while later != 0 {
            let group = later.trailing_zeros() as usize;
            let bits = self.set[group].peek();
            if bits != 0 {
                return Some(group * 64 + bits.trailing_zeros() as usize);
            }
            later &= later - 1; // emptied meanwhile
        }
        None
    }

    /// The entries that are not zero, by their places, without scheduling points.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = (usize, u64)> {
        let places = std::iter::successors(self.next(0), |at| self.next(at + 1));
        places.map(|at| (at, self.peek(at)))
    }
}

/// A word with a bit set or cleared.
#[inline]
fn with(word: u64, bit: u64, set: bool) -> u64 {
    if set { word | bit } else { word & !bit }
}

object! {
    /// A page table of one of the three lower levels.
    Table, shows: Pages, dead: |n| Some(Misuse::DeadTable(TableId(n)));
    words {
        /// Bits of an address below an entry's range.
        shift: u32,
        /// The memory of its lock was freed before its own.
        ptl_gone: bool,
        /// In whose tree it hangs; none while nobody finds it there.
        mm: Handle<Mm>,
        /// The first address that it covers there.
        base: u64,
        /// Which of its entries are gone for others, though they stand there yet (collapse): from
        /// this one, in the lower half, to before that one.
        gone: u64,
        /// The moment at which it left its place, or entries of it did.
        left: u64,
    }
    parts {
        /// What it holds.
        entries: Entries,
        /// The lock of a lowest table's entries (`ptl`).
        ptl: SpinLock,
    }
}

impl<'a> Ref<'a, Table> {
    /// Takes the lock of a lowest table's entries, which has to be there when it is had.
    #[inline]
    pub fn lock_ptl(self, site: Site) -> SpinGuard<'a> {
        let ptl = self.ptl().lock(site);
        self.alive();
        ptl
    }

    /// The same, if nobody has it.
    #[inline]
    pub fn try_lock_ptl(self, site: Site) -> Option<SpinGuard<'a>> {
        let ptl = self.ptl().try_lock(site)?;
        self.alive();
        Some(ptl)
    }

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

    /// What stands there, dead or alive: for marks.
    #[inline]
    fn shown_pte(self, at: usize) -> Pte {
        use vmadiff_interleave::Word;
        Pte::from_word(self.entries().peek(at))
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

    /// Where it hangs: in whose tree, and the first address that it covers.
    pub fn place(self) -> Option<(Handle<Mm>, u64)> {
        let mm = self.mm().shown().some()?;
        self.lives().then(|| (mm, self.base().shown()))
    }

    /// It hangs in a tree from now on.
    pub fn hang(self, mm: Handle<Mm>, addr: u64) {
        self.mm().init(mm);
        self.base().init(addr >> PMD_SHIFT << PMD_SHIFT);
        self.gone().init(0);
    }

    /// It hangs in none.
    pub fn unhang(self) {
        self.mm().init(Handle::NULL);
        self.gone().init(0);
    }

    /// These entries are gone for others.
    pub fn set_gone(self, from: usize, to: usize) {
        self.gone().init((to as u64) << 32 | from as u64);
    }

    /// Whether it is out of the tree for a collapse, with all its entries; those beside the range that
    /// is collapsed come back.
    pub fn has_gone(self) -> bool {
        self.gone().shown() != 0
    }

    /// Whether an entry is gone for others.
    pub fn is_gone(self, at: usize) -> bool {
        let gone = self.gone().shown();
        (gone as u32 as usize..(gone >> 32) as usize).contains(&at)
    }

    /// Writes a lowest table's entry ([`Machine::set_pte`](crate::Machine::set_pte), which tells it).
    #[inline]
    fn write_pte(self, site: Site, at: usize, pte: Pte) {
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

impl<D: Design> Machine<D> {
    /// Writes a lowest table's entry, under the table's lock, as a step of this kind.
    #[inline]
    pub fn set_pte(&self, kind: StepKind, site: Site, table: Ref<'_, Table>, at: usize, pte: Pte) {
        let before = if self.listens() {
            table.shown_pte(at)
        } else {
            Pte::NONE
        };
        table.write_pte(site, at, pte);
        self.mark_entry(kind, table, at, (before, pte));
    }

    /// Writes an entry that is made as it is written: what it is made of is read with no moment between.
    pub fn set_pte_by(
        &self,
        kind: StepKind,
        site: Site,
        table: Ref<'_, Table>,
        at: usize,
        make: impl FnOnce() -> Pte,
    ) {
        use vmadiff_interleave::Word;
        let before = table.shown_pte(at);
        table.write_pte(site, at, before);
        let pte = make();
        if table.alive() {
            table.entries().put(at, pte.to_word());
        }
        self.mark_entry(kind, table, at, (before, pte));
    }

    /// Writes an entry of a child that fork is still making: the parent's tells of both.
    #[inline]
    pub fn set_copied_pte(&self, site: Site, table: Ref<'_, Table>, at: usize, pte: Pte) {
        table.write_pte(site, at, pte);
    }

    /// A pass has looked at an entry and leaves it.
    #[inline]
    pub fn passed(&self, table: Ref<'_, Table>, at: usize, pte: Pte) {
        self.mark_entry(StepKind::Pass, table, at, (pte, pte));
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
        let found = |table: &Entries| table.iter().map(|(at, _)| at).collect::<Vec<_>>();
        assert_eq!(found(&table), [0, 63, 300, 511]);
        assert_eq!((table.next(301), table.next(512)), (Some(511), None));
        table.clear();
        assert!(found(&table).is_empty());
        assert_eq!(table.get(HERE, 300), 0);
    }
}
