//! `vm-allocator`: ranges of addresses and numbers for virtual machine monitors. It frees what it
//! gave as a whole and tells nobody what that was, so the caller keeps a list.

use std::collections::BTreeMap;

use vm_allocator::{AddressAllocator, AllocPolicy, RangeInclusive};
use vmadiff::areas::prelude::*;

/// The allocator, and what it gave: by its start, where it ends.
pub struct Space(AddressAllocator, BTreeMap<u64, u64>);

impl Space {
    fn allocate(&mut self, size: u64, policy: AllocPolicy) -> Result<u64, Errno> {
        let given = self.0.allocate(size, 4096, policy);
        let start = given.map_err(|_| Errno::EEXIST)?.start();
        self.1.insert(start, start + size);
        Ok(start)
    }
}

impl Areas for Space {
    const HAS: &'static [CallKind] = &[CallKind::Mmap, CallKind::Munmap];
    const CHECKED: &'static [CallKind] = &[CallKind::Mmap];

    fn boot(_: &Config) -> Self {
        let whole = AddressAllocator::new(0x1_0000, 0xfff_0000);
        Self(whole.expect("a range"), BTreeMap::new())
    }

    fn map(&mut self, range: Range<u64>, _: Prot, how: Place) -> Result<u64, Errno> {
        let policy = match how {
            Place::Anywhere => AllocPolicy::FirstMatch,
            _ => AllocPolicy::ExactMatch(range.start),
        };
        self.allocate(range.end - range.start, policy)
    }

    fn unmap(&mut self, range: Range<u64>) -> Result<(), Errno> {
        let reaches = |(start, end): &(u64, u64)| *start < range.end && range.start < *end;
        let given: Vec<_> = self.1.clone().into_iter().filter(reaches).collect();
        for (start, end) in given {
            self.1.remove(&start);
            let freed = RangeInclusive::new(start, end - 1).and_then(|slot| self.0.free(&slot));
            freed.map_err(|_| Errno::EFAULT)?;
            // What lies beside the range stays.
            for (start, end) in [(start, range.start), (range.end, end)] {
                if start < end {
                    self.allocate(end - start, AllocPolicy::ExactMatch(start))?;
                }
            }
        }
        Ok(())
    }

    fn each(&self, mut visit: impl FnMut(Range<u64>, Prot)) {
        let given = self.1.iter();
        given.for_each(|(start, end)| visit(*start..*end, Prot::NONE));
    }
}
