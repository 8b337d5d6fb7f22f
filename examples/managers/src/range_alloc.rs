//! `range-alloc`: ranges out of a larger one, wherever they fit best.

use range_alloc::RangeAllocator;
use vmadiff::areas::prelude::*;

pub struct Space(RangeAllocator<u64>);

impl Areas for Space {
    const HAS: &'static [CallKind] = &[CallKind::Mmap, CallKind::Munmap];
    /// It takes back what it gave, and nothing else.
    const CHECKED: &'static [CallKind] = &[CallKind::Munmap];

    fn boot(_: &Config) -> Self {
        Self(RangeAllocator::new(0x1_0000..0x1000_0000))
    }

    fn map(&mut self, range: Range<u64>, _: Prot, _: Place) -> Result<u64, Errno> {
        let free = self.0.allocate_range(range.end - range.start);
        Ok(free.map_err(|_| Errno::ENOMEM)?.start)
    }

    fn unmap(&mut self, range: Range<u64>) -> Result<(), Errno> {
        self.0.free_range(range);
        Ok(())
    }

    fn each(&self, mut visit: impl FnMut(Range<u64>, Prot)) {
        self.0
            .allocated_ranges()
            .for_each(|range| visit(range, Prot::NONE));
    }
}
