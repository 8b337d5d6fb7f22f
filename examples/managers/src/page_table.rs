//! `page_table_multiarch`: page tables of four architectures; here those of x86-64, page by page.

use memory_addr::VirtAddr;
use page_table_entry::{MappingFlags, x86_64::X64PTE};
use page_table_multiarch::PageTable64;
use vmadiff::areas::prelude::*;

use crate::{hardware::Frames, hardware::X64, table::pages};

/// The tables, and the addresses that programs may map.
pub struct Space(PageTable64<X64, X64PTE, Frames>, Range<u64>);

fn flags(prot: Prot) -> MappingFlags {
    // The bits are the same. An entry that allows nothing is none.
    MappingFlags::from_bits_truncate(prot.bits() as usize) | MappingFlags::READ
}

impl Areas for Space {
    const CHECKED: &'static [CallKind] = Self::HAS;

    fn boot(config: &Config) -> Self {
        let tables = PageTable64::try_new().expect("a frame");
        Self(tables, config.mmap_min_addr..config.task_size)
    }

    fn map(&mut self, range: Range<u64>, prot: Prot, _: Place) -> Result<u64, Errno> {
        let (start, size) = start_and_len(&range);
        if pages(start, size).any(|page| self.0.query(page.into()).is_ok()) {
            return Err(Errno::EEXIST);
        }
        let frames = |page: VirtAddr| page.as_usize().into();
        let mut cursor = self.0.cursor();
        let mapped = cursor.map_region(start.into(), frames, size, flags(prot), true);
        mapped.map(|()| range.start).map_err(|_| Errno::EFAULT)
    }

    fn unmap(&mut self, range: Range<u64>) -> Result<(), Errno> {
        let (start, size) = start_and_len(&range);
        let unmapped = self.0.cursor().unmap_region(start, size);
        unmapped.map_err(|_| Errno::EFAULT)
    }

    fn protect(&mut self, range: Range<u64>, prot: Prot) -> Result<(), Errno> {
        let (start, size) = start_and_len(&range);
        let protected = self.0.cursor().protect_region(start, size, flags(prot));
        protected.map_err(|_| Errno::EFAULT)
    }

    fn each(&self, mut visit: impl FnMut(Range<u64>, Prot)) {
        let (start, size) = start_and_len(&self.1);
        for page in pages(start, size) {
            if let Ok((frame, flags, _)) = self.0.query(page.into()) {
                assert_eq!(frame.as_usize(), page, "a page leads to another frame");
                let prot = Prot::from_bits_truncate(flags.bits() as _);
                visit(page as u64..page as u64 + 4096, prot);
            }
        }
    }
}
