//! `free-list`: free pages in a list of so many ranges. What it does not list is mapped.

use free_list::{FreeList, PageLayout, PageRange};
use vmadiff::areas::prelude::*;

const WHOLE: Range<usize> = 0x1_0000..0x1000_0000;

pub struct Space(FreeList<64>);

impl Areas for Space {
    const HAS: &'static [CallKind] = &[CallKind::Mmap, CallKind::Munmap];
    /// Only what is mapped can be given back to the list, and only what is on it be taken.
    const CHECKED: &'static [CallKind] = Self::HAS;

    fn boot(_: &Config) -> Self {
        let mut list = FreeList::new();
        // SAFETY: nobody uses the memory at these addresses.
        let added = unsafe { list.deallocate(WHOLE.try_into().expect("pages")) };
        added.expect("room for one");
        Self(list)
    }

    fn map(&mut self, range: Range<u64>, _: Prot, how: Place) -> Result<u64, Errno> {
        let (start, size) = start_and_len(&range);
        if how == Place::Anywhere {
            let layout = PageLayout::from_size(size).expect("pages");
            let found = self.0.allocate(layout).map_err(|_| Errno::ENOMEM)?;
            return Ok(found.start() as u64);
        }
        let place = PageRange::from_start_len(start, size).expect("pages");
        self.0.allocate_at(place).map_err(|_| Errno::EEXIST)?;
        Ok(range.start)
    }

    fn unmap(&mut self, range: Range<u64>) -> Result<(), Errno> {
        let (start, size) = start_and_len(&range);
        let place = PageRange::from_start_len(start, size).expect("pages");
        // SAFETY: as above.
        unsafe { self.0.deallocate(place) }.map_err(|_| Errno::ENOMEM)
    }

    fn each(&self, mut visit: impl FnMut(Range<u64>, Prot)) {
        let mut at = WHOLE.start;
        let free = self.0.iter().map(|part| (part.start(), part.end()));
        for (start, end) in free.chain([(WHOLE.end, WHOLE.end)]) {
            if at < start {
                visit(at as u64..start as u64, Prot::NONE);
            }
            at = end;
        }
    }
}
