//! `page_table_multiarch`: page tables of four architectures; here those of x86-64, page by page.

use std::ops::Range;

use memory_addr::VirtAddr;
use page_table_entry::{MappingFlags, x86_64::X64PTE};
use page_table_multiarch::PageTable64;
use vmadiff::areas::{Areas, Place};
use vmadiff::{Config, Errno, Prot};

use crate::{hardware::Frames, hardware::X64, start_and_size, table};

/// Where programs map.
const WINDOW: Range<u64> = 0x10_0000..0x21_0000;

pub struct Space(PageTable64<X64, X64PTE, Frames>);

fn flags(prot: Prot) -> MappingFlags {
    // The bits are the same. An entry that allows nothing is none.
    MappingFlags::from_bits_truncate(prot.bits() as usize) | MappingFlags::READ
}

fn pages(range: &Range<u64>) -> impl Iterator<Item = VirtAddr> + use<> {
    let (start, size) = start_and_size(range);
    table::pages(start, size).map(VirtAddr::from)
}

impl Areas for Space {
    fn boot(_: &Config) -> Self {
        Self(PageTable64::try_new().expect("a frame"))
    }

    fn map(&mut self, range: Range<u64>, prot: Prot, how: Place) -> Result<u64, Errno> {
        if how == Place::Over {
            self.unmap(range.clone())?;
        } else if pages(&range).any(|page| self.0.query(page).is_ok()) {
            return Err(Errno::EEXIST);
        }
        let (start, size) = start_and_size(&range);
        let frames = |vaddr: VirtAddr| vaddr.as_usize().into();
        let mut cursor = self.0.cursor();
        let mapped = cursor.map_region(start.into(), frames, size, flags(prot), true);
        mapped.map(|()| range.start).map_err(|_| Errno::EFAULT)
    }

    fn unmap(&mut self, range: Range<u64>) -> Result<(), Errno> {
        for page in pages(&range) {
            if self.0.query(page).is_ok() {
                self.0.cursor().unmap(page).map_err(|_| Errno::EFAULT)?;
            }
        }
        Ok(())
    }

    fn protect(&mut self, range: Range<u64>, prot: Prot) -> Result<(), Errno> {
        let hole = pages(&range).find(|page| self.0.query(*page).is_err());
        let end = hole.map_or(range.end as usize, VirtAddr::as_usize);
        let (start, size) = (range.start as usize, end - range.start as usize);
        let mut cursor = self.0.cursor();
        let protected = cursor.protect_region(start.into(), size, flags(prot));
        protected.map_err(|_| Errno::EFAULT)?;
        hole.map_or(Ok(()), |_| Err(Errno::ENOMEM))
    }

    fn each(&self, mut visit: impl FnMut(Range<u64>, Prot)) {
        for page in pages(&WINDOW) {
            if let Ok((frame, flags, _)) = self.0.query(page) {
                let start = page.as_usize();
                assert_eq!(frame.as_usize(), start, "a page leads to another frame");
                let prot = Prot::from_bits_truncate(flags.bits() as _);
                visit(start as u64..start as u64 + 4096, prot);
            }
        }
    }
}
