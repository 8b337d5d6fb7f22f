//! Where faults find areas without mmap_sem: what the maple tree (`mm_mt`) is to Linux.
//!
//! An entry is a range and the name of an area. The name may be that of an area that is gone, whose slot
//! is another's by now; the index does not look at areas.
//!
//! Deviation (index-in-one-step): the maple tree is made of nodes that are replaced, and freed by RCU;
//! here each change of the index is one step.

use std::sync::{Mutex, MutexGuard, PoisonError};

use vmadiff_interleave::{Cell, Site};
use vmadiff_machine::{Handle, Vma};

/// Areas by address. Written with mmap_sem held for writing.
#[derive(Default)]
pub struct Index {
    /// Moves with each change: what readers and writers of the entries meet at.
    root: Cell<u64>,
    /// By address; no two overlap. Never held over a scheduling point.
    entries: Mutex<Vec<Entry>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    start: u64,
    end: u64,
    vma: Handle<Vma>,
}

/// Where a walk is (`ma_state`): what it found, and in which state of the index.
#[derive(Default)]
pub struct Walk {
    at: Option<(u64, Option<Handle<Vma>>)>,
}

impl Index {
    /// Empties it, while nobody else can see it.
    pub fn init(&self) {
        self.root.init(0);
        self.entries().clear();
    }

    /// What is stored at an address (`mas_walk`). A walk that is somewhere already goes on from there.
    pub fn walk(&self, site: Site, walk: &mut Walk, addr: u64) -> Option<Handle<Vma>> {
        if let Some((_, found)) = walk.at {
            return found;
        }
        let root = self.root.get(site);
        let found = self.find(addr);
        walk.at = Some((root, found));
        found
    }

    /// Whether the index has changed since a walk began.
    pub fn has_changed(&self, walk: &Walk) -> bool {
        walk.at.is_some_and(|(root, _)| root != self.root.peek())
    }

    fn find(&self, addr: u64) -> Option<Handle<Vma>> {
        let entries = self.entries();
        let above = entries.partition_point(|entry| entry.end <= addr);
        let found = entries.get(above).filter(|entry| entry.start <= addr);
        found.map(|entry| entry.vma)
    }

    /// Stores an area at its range and nowhere else, over what is there (`vma_iter_store_overwrite`): of
    /// an entry that lies partly in the range the rest stays.
    pub fn store(&self, site: Site, start: u64, end: u64, vma: Handle<Vma>) {
        let new = Entry { start, end, vma };
        if !self.entries().contains(&new) {
            self.root.set(site, self.root.peek() + 1);
            self.entries().retain(|entry| entry.vma != vma);
            self.overwrite(new);
        }
    }

    /// Takes an area out (`vma_iter_clear`).
    pub fn clear(&self, site: Site, vma: Handle<Vma>) {
        self.root.set(site, self.root.peek() + 1);
        self.entries().retain(|entry| entry.vma != vma);
    }

    fn overwrite(&self, new: Entry) {
        let mut entries = self.entries();
        let from = entries.partition_point(|entry| entry.end <= new.start);
        let until = entries.partition_point(|entry| entry.start < new.end);
        let below = entries.get(from).filter(|entry| entry.start < new.start);
        let below = below.map(|&entry| Entry {
            end: new.start,
            ..entry
        });
        let last = until.checked_sub(1).and_then(|last| entries.get(last));
        let above = last
            .filter(|entry| entry.end > new.end)
            .map(|&entry| Entry {
                start: new.end,
                ..entry
            });
        let parts = [below, Some(new), above].into_iter().flatten();
        entries.splice(from..until.max(from), parts);
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use vmadiff_interleave::{SiteInfo, Word};

    use super::*;

    static HERE: Site = &SiteInfo::new("test.here");

    fn vma(ordinal: u64) -> Handle<Vma> {
        Handle::from_word(ordinal << 32 | ordinal)
    }

    /// Whose each page from 0 to 9 is; 0: nobody's.
    fn pages(index: &Index) -> [u32; 10] {
        std::array::from_fn(|page| index.find(page as u64).map_or(0, Handle::ordinal))
    }

    #[test]
    fn what_is_stored_is_found_in_its_range_only() {
        let index = Index::default();
        index.store(HERE, 2, 4, vma(1));
        index.store(HERE, 6, 9, vma(2));
        assert_eq!(pages(&index), [0, 0, 1, 1, 0, 0, 2, 2, 2, 0]);
        index.clear(HERE, vma(1));
        assert_eq!(pages(&index), [0, 0, 0, 0, 0, 0, 2, 2, 2, 0]);
        index.init();
        assert_eq!(pages(&index), [0; 10]);
    }

    #[test]
    fn a_split_leaves_the_rest_of_the_area_that_is_cut() {
        for (range, expected) in [
            (1..4, [0, 2, 2, 2, 1, 1, 1, 1, 1, 0]),
            (6..9, [0, 1, 1, 1, 1, 1, 2, 2, 2, 0]),
            (3..5, [0, 1, 1, 2, 2, 1, 1, 1, 1, 0]),
        ] {
            let index = Index::default();
            index.store(HERE, 1, 9, vma(1));
            index.store(HERE, range.start, range.end, vma(2));
            assert_eq!(pages(&index), expected);
        }
    }

    #[test]
    fn an_area_that_grows_takes_the_place_of_others_and_one_that_shrinks_leaves_its_own() {
        let index = Index::default();
        for (start, end, which) in [(0, 3, 1), (3, 5, 2), (5, 8, 3)] {
            index.store(HERE, start, end, vma(which));
        }
        index.store(HERE, 0, 6, vma(1));
        assert_eq!(pages(&index), [1, 1, 1, 1, 1, 1, 3, 3, 0, 0]);
        index.store(HERE, 0, 2, vma(1));
        assert_eq!(pages(&index), [1, 1, 0, 0, 0, 0, 3, 3, 0, 0]);
        index.store(HERE, 2, 4, vma(3));
        assert_eq!(pages(&index), [1, 1, 3, 3, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn a_walk_knows_whether_the_index_has_changed() {
        let index = Index::default();
        index.store(HERE, 0, 3, vma(1));
        let mut walk = Walk::default();
        assert_eq!(index.walk(HERE, &mut walk, 1), Some(vma(1)));
        index.store(HERE, 0, 3, vma(1));
        assert!(!index.has_changed(&walk), "nothing was to be stored");
        index.clear(HERE, vma(1));
        assert!(index.has_changed(&walk));
        assert_eq!(index.walk(HERE, &mut walk, 1), Some(vma(1)), "goes on");
        assert_eq!(index.walk(HERE, &mut Walk::default(), 1), None);
    }
}
