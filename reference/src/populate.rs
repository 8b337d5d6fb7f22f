//! Touching the pages of a range ahead of their use (section 10, `__mm_populate`).

use vmadiff_contract::{Errno, PAGE_SIZE, POPULATE_MAX_PAGES, VmFlags};

use crate::access::Trouble;
use crate::area::ACCESS;
use crate::world::{Answer, World};

impl World {
    /// Populates a range and says what the first page that could not be had answers: `EFAULT`
    /// or `ENOMEM`.
    pub fn populate(&mut self, t: usize, start: u64, len: u64) -> Answer<()> {
        self.populate_range(t, start, len, false)
    }

    /// Populates a range; an area with a page that cannot be had is left there.
    pub fn populate_quietly(&mut self, t: usize, start: u64, len: u64) {
        let result = self.populate_range(t, start, len, true);
        debug_assert!(result.is_ok());
    }

    fn populate_range(&mut self, t: usize, start: u64, len: u64, quiet: bool) -> Answer<()> {
        if !self.populates {
            return Ok(());
        }
        let m = self.tasks[t].mm;
        let end = start.saturating_add(len);
        let mut budget = POPULATE_MAX_PAGES;
        for i in self.mms[m].overlap(start, end) {
            if budget == 0 {
                break;
            }
            let area = &self.mms[m].areas[i];
            let (from, to) = (area.start.max(start), area.end.min(end));
            match self.populate_area(t, i, from, to, &mut budget) {
                Err(errno) if !quiet => return Err(errno),
                _ => {}
            }
        }
        Ok(())
    }

    /// Populates pages of one area (`populate_vma_page_range`): private memory that may be written
    /// as by a store, else as by a load. LOCKONFAULT leaves everything as it is.
    pub fn populate_area(
        &mut self,
        t: usize,
        i: usize,
        start: u64,
        end: u64,
        budget: &mut u64,
    ) -> Answer<()> {
        let flags = self.mms[self.tasks[t].mm].areas[i].flags;
        if !flags.intersects(ACCESS) {
            return Err(Errno::EFAULT);
        }
        if flags.contains(VmFlags::LOCKONFAULT) {
            return Ok(());
        }
        let store = flags & (VmFlags::WRITE | VmFlags::SHARED) == VmFlags::WRITE;
        let mut addr = start;
        while addr < end && *budget > 0 {
            *budget -= 1;
            self.populate_page(t, i, addr, store)?;
            addr += PAGE_SIZE;
        }
        Ok(())
    }

    /// Faults until the page is as wanted. An entry that hints at its user's node is as good as it
    /// was before it did (`FOLL_FORCE` looks through it).
    fn populate_page(&mut self, t: usize, i: usize, addr: u64, store: bool) -> Answer<()> {
        let m = self.tasks[t].mm;
        loop {
            if let Ok(at) = self.page_at(m, addr) {
                let page = &self.mms[m].pages[at];
                if page.is_present() && (!store || page.writable) {
                    return Ok(());
                }
            }
            match self.handle_fault(m, i, addr, store) {
                Ok(served) => self.count_fault(t, served),
                Err(Trouble::NoMemory) => return Err(Errno::ENOMEM),
                Err(_) => return Err(Errno::EFAULT),
            }
        }
    }
}
