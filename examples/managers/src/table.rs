//! Entries of page tables as hardware would read them, for crates that leave these to their caller.

use std::collections::BTreeMap;
use std::ops::Range;

use vmadiff::Prot;

const PAGE: usize = 4096;

/// Pages that have an entry, each with what it allows.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Table(BTreeMap<usize, Prot>);

/// Where each page of a range starts.
pub fn pages(start: usize, size: usize) -> impl Iterator<Item = usize> {
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

    /// Shows areas, and checks that entries tell the same: a panic of an adapter is a finding.
    pub fn show(
        &self,
        areas: impl Iterator<Item = (usize, usize, Prot)>,
        mut visit: impl FnMut(Range<u64>, Prot),
    ) {
        let mut entries = self.0.iter();
        for (start, end, prot) in areas {
            for page in pages(start, end - start) {
                let (entry, told) = (entries.next(), Some((&page, &prot)));
                assert_eq!(entry, told, "an area and the page table differ");
            }
            visit(start as u64..end as u64, prot);
        }
        let more = entries.next();
        assert_eq!(more, None, "the page table has more than the areas");
    }
}
