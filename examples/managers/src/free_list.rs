//! `free-list`: free pages in a list of so many ranges. What it does not list is mapped.

use std::ops::Range;

use free_list::{FreeList, PageLayout, PageRange};
use vmadiff::areas::{Areas, Place};
use vmadiff::{CallKind, Config, Errno, Prot};

const WHOLE: Range<usize> = 0x1_0000..0x1000_0000;

pub struct Space(FreeList<64>);

impl Space {
    /// The parts of a range that are free, or not.
    fn parts(&self, range: &Range<usize>, free: bool) -> Vec<PageRange> {
        let mut at = range.start;
        let mut parts = Vec::new();
        let ends = self.0.iter().map(|part| (part.start(), part.end()));
        for (start, end) in ends.chain([(WHOLE.end, WHOLE.end)]) {
            let (start, end) = (start.clamp(at, range.end), end.clamp(at, range.end));
            parts.extend(PageRange::new(
                if free { start } else { at },
                if free { end } else { start },
            ));
            at = end;
        }
        parts
    }
}

impl Areas for Space {
    const HAS: &'static [CallKind] = &[CallKind::Mmap, CallKind::Munmap];

    fn boot(_: &Config) -> Self {
        let mut list = FreeList::new();
        // SAFETY: nobody uses the memory at these addresses.
        let added = unsafe { list.deallocate(WHOLE.try_into().expect("pages")) };
        added.expect("room for one");
        Self(list)
    }

    fn map(&mut self, range: Range<u64>, _: Prot, how: Place) -> Result<u64, Errno> {
        let (start, size) = crate::start_and_size(&range);
        if how == Place::Anywhere {
            let layout = PageLayout::from_size(size).expect("pages");
            let found = self.0.allocate(layout).map_err(|_| Errno::ENOMEM)?;
            return Ok(found.start() as u64);
        }
        if how == Place::Over {
            self.unmap(range.clone())?;
        }
        let place = PageRange::from_start_len(start, size).expect("pages");
        self.0.allocate_at(place).map_err(|_| Errno::EEXIST)?;
        Ok(range.start)
    }

    fn unmap(&mut self, range: Range<u64>) -> Result<(), Errno> {
        for part in self.parts(&(range.start as usize..range.end as usize), false) {
            // SAFETY: as above.
            unsafe { self.0.deallocate(part) }.map_err(|_| Errno::ENOMEM)?;
        }
        Ok(())
    }

    fn each(&self, mut visit: impl FnMut(Range<u64>, Prot)) {
        for part in self.parts(&WHOLE, false) {
            visit(part.start() as u64..part.end() as u64, Prot::NONE);
        }
    }
}
