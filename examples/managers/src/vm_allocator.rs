//! `vm-allocator`: ranges of addresses and numbers for virtual machine monitors. It frees what it
//! gave as a whole and tells nobody what that was, so the caller keeps a list.

use std::collections::BTreeMap;
use std::ops::Range;

use vm_allocator::{AddressAllocator, AllocPolicy, RangeInclusive};
use vmadiff::areas::{Areas, Place};
use vmadiff::{CallKind, Config, Errno, Prot};

pub struct Space(AddressAllocator, BTreeMap<u64, (u64, Prot)>);

impl Space {
    fn allocate(&mut self, size: u64, policy: AllocPolicy) -> Result<u64, Errno> {
        let range = self.0.allocate(size, 4096, policy);
        Ok(range.map_err(|_| Errno::EEXIST)?.start())
    }
}

impl Areas for Space {
    const HAS: &'static [CallKind] = &[CallKind::Mmap, CallKind::Munmap];

    fn boot(_: &Config) -> Self {
        let whole = AddressAllocator::new(0x1_0000, 0xfff_0000);
        Self(whole.expect("a range"), BTreeMap::new())
    }

    fn map(&mut self, range: Range<u64>, prot: Prot, how: Place) -> Result<u64, Errno> {
        let size = range.end - range.start;
        if how == Place::Over {
            self.unmap(range.clone())?;
        }
        let policy = match how {
            Place::Anywhere => AllocPolicy::FirstMatch,
            _ => AllocPolicy::ExactMatch(range.start),
        };
        let start = self.allocate(size, policy)?;
        self.1.insert(start, (start + size, prot));
        Ok(start)
    }

    fn unmap(&mut self, range: Range<u64>) -> Result<(), Errno> {
        let cut = |(start, (end, _)): &(u64, (u64, Prot))| *start < range.end && range.start < *end;
        let all: Vec<_> = self
            .1
            .iter()
            .map(|(s, area)| (*s, *area))
            .filter(cut)
            .collect();
        for (start, (end, prot)) in all {
            self.1.remove(&start);
            let freed = RangeInclusive::new(start, end - 1).and_then(|r| self.0.free(&r));
            freed.map_err(|_| Errno::EFAULT)?;
            for (start, end) in [(start, range.start), (range.end, end)] {
                if start < end {
                    self.allocate(end - start, AllocPolicy::ExactMatch(start))?;
                    self.1.insert(start, (end, prot));
                }
            }
        }
        Ok(())
    }

    fn each(&self, mut visit: impl FnMut(Range<u64>, Prot)) {
        self.1
            .iter()
            .for_each(|(start, (end, prot))| visit(*start..*end, *prot));
    }
}
