//! Entries of page tables as hardware would read them, for crates that leave these to their caller.

use std::collections::BTreeMap;

use vmadiff::Prot;

const PAGE: usize = 4096;

/// Pages that have an entry, each with what it allows.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Table(BTreeMap<usize, Prot>);

fn pages(start: usize, size: usize) -> impl Iterator<Item = usize> {
    (start..start + size).step_by(PAGE)
}

impl Table {
    /// Makes entries. Whether there were none.
    pub fn map(&mut self, start: usize, size: usize, prot: Prot) -> bool {
        pages(start, size).all(|page| self.0.insert(page, prot).is_none())
    }

    /// Takes entries out. Whether all were there.
    pub fn unmap(&mut self, start: usize, size: usize) -> bool {
        pages(start, size).all(|page| self.0.remove(&page).is_some())
    }

    /// Changes entries. Whether all were there.
    pub fn protect(&mut self, start: usize, size: usize, prot: Prot) -> bool {
        pages(start, size).all(|page| self.0.insert(page, prot).is_some())
    }

    /// Checks that areas and entries tell the same: a panic of an adapter is a finding.
    pub fn assert_is(&self, areas: impl Iterator<Item = (usize, usize, Prot)>) {
        let mut entries = self.0.iter();
        for (start, end, prot) in areas {
            for page in pages(start, end - start) {
                let entry = entries.next();
                assert_eq!(
                    entry,
                    Some((&page, &prot)),
                    "an area and the page table differ"
                );
            }
        }
        assert_eq!(
            entries.next(),
            None,
            "the page table has more than the areas"
        );
    }
}
