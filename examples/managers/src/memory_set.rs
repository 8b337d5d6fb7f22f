//! `memory_set`: the areas of ArceOS's address spaces.

use memory_addr::va_range;
use memory_set::{MappingError, MemoryArea, MemorySet};
use vmadiff::areas::prelude::*;

use crate::{entries::Entries, refused, table::Table};

pub struct Space(MemorySet<Entries>, Table);

impl Areas for Space {
    fn boot(_: &Config) -> Self {
        Self(MemorySet::new(), Table::default())
    }

    fn map(&mut self, range: Range<u64>, prot: Prot, how: Place) -> Result<u64, Errno> {
        let (mut start, size) = start_and_len(&range);
        if how == Place::Anywhere {
            let limit = va_range!(0x1_0000..0x1000_0000);
            let free = self.0.find_free_area(start, size, limit, 4096);
            start = free.ok_or(Errno::ENOMEM)?;
        }
        let area = MemoryArea::new(start, size, prot, Entries);
        let mapped = self.0.map(area, &mut self.1, how == Place::Over);
        mapped.map_err(|error| refused(error == MappingError::AlreadyExists))?;
        Ok(start.as_usize() as u64)
    }

    fn unmap(&mut self, range: Range<u64>) -> Result<(), Errno> {
        let (start, size) = start_and_len(&range);
        let unmapped = self.0.unmap(start, size, &mut self.1);
        unmapped.map_err(|_| Errno::EINVAL)
    }

    fn protect(&mut self, range: Range<u64>, prot: Prot) -> Result<(), Errno> {
        let (start, size) = start_and_len(&range);
        let protected = (self.0).protect(start, size, |_| Some(prot), &mut self.1);
        protected.map_err(|_| Errno::EINVAL)
    }

    fn each(&self, visit: impl FnMut(Range<u64>, Prot)) {
        let areas = self.0.iter();
        let areas = areas.map(|area| (area.start().into(), area.end().into(), area.flags()));
        self.1.show(areas, visit);
    }
}
