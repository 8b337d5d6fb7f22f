//! `memory_set`: the areas of ArceOS's address spaces.

use std::ops::Range;

use memory_addr::{VirtAddr, va_range};
use memory_set::{MappingBackend, MappingError, MemoryArea, MemorySet};
use vmadiff::areas::{Areas, Place};
use vmadiff::{Config, Errno, Prot};

use crate::{refused, start_and_size, table::Table};

#[derive(Clone)]
struct Memory;

impl MappingBackend for Memory {
    type Addr = VirtAddr;
    type Flags = Prot;
    type PageTable = Table;

    fn map(&self, at: VirtAddr, size: usize, prot: Prot, table: &mut Table) -> bool {
        table.map(at.into(), size, prot)
    }

    fn unmap(&self, at: VirtAddr, size: usize, table: &mut Table) -> bool {
        table.unmap(at.into(), size)
    }

    fn protect(&self, at: VirtAddr, size: usize, prot: Prot, table: &mut Table) -> bool {
        table.protect(at.into(), size, prot)
    }
}

pub struct Space(MemorySet<Memory>, Table);

impl Areas for Space {
    fn boot(_: &Config) -> Self {
        Self(MemorySet::new(), Table::default())
    }

    fn map(&mut self, range: Range<u64>, prot: Prot, how: Place) -> Result<u64, Errno> {
        let (mut start, size) = start_and_size(&range);
        if how == Place::Anywhere {
            let limit = va_range!(0x1_0000..0x1000_0000);
            let free = self.0.find_free_area(start.into(), size, limit, 4096);
            start = free.ok_or(Errno::ENOMEM)?.into();
        }
        let area = MemoryArea::new(start.into(), size, prot, Memory);
        let mapped = self.0.map(area, &mut self.1, how == Place::Over);
        mapped.map_err(|error| refused(error == MappingError::AlreadyExists))?;
        Ok(start as u64)
    }

    fn unmap(&mut self, range: Range<u64>) -> Result<(), Errno> {
        let (start, size) = start_and_size(&range);
        let unmapped = self.0.unmap(start.into(), size, &mut self.1);
        unmapped.map_err(|_| Errno::EINVAL)
    }

    fn protect(&mut self, range: Range<u64>, prot: Prot) -> Result<(), Errno> {
        let (start, size) = start_and_size(&range);
        let (set, table) = (&mut self.0, &mut self.1);
        let protected = set.protect(start.into(), size, |_| Some(prot), table);
        protected.map_err(|_| Errno::EINVAL)
    }

    fn each(&self, visit: impl FnMut(Range<u64>, Prot)) {
        let areas = self.0.iter();
        let areas = areas.map(|area| (area.start().into(), area.end().into(), area.flags()));
        self.1.show(areas, visit);
    }
}
