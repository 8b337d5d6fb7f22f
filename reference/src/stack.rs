//! A stack that grows downwards at a fault (section 15).

use vmadiff_contract::{PAGE_SIZE, VmFlags};

use crate::area::ACCESS;
use crate::world::{NoMemory, World};

impl World {
    /// Extends area `i` down to the page at `addr`, below which no other area lies
    /// (`expand_downwards`). An anon_vma that was prepared stays when the growth is refused. The
    /// charge is made even for areas that never give it back.
    pub fn grow_stack(&mut self, m: usize, i: usize, addr: u64) -> Result<(), NoMemory> {
        if addr < self.config.mmap_min_addr {
            return Err(NoMemory);
        }
        if let Some(prev) = self.mms[m].areas[..i].last() {
            let yields = prev.flags.contains(VmFlags::GROWSDOWN) || !prev.flags.intersects(ACCESS);
            if !yields && addr - prev.end < self.guard() {
                return Err(NoMemory);
            }
        }
        self.prepare_anon(m, i)?;
        let area = &self.mms[m].areas[i];
        let (flags, size) = (area.flags, area.end - addr);
        let pages = (area.start - addr) / PAGE_SIZE;
        let locked = flags.contains(VmFlags::LOCKED);
        if pages > area.pgoff
            || !self.may_expand(m, flags, pages)
            || size > self.config.rlimit_stack
            || locked && self.locks_too_much(self.mms[m].locked + pages)
        {
            return Err(NoMemory);
        }
        self.charge(pages)?;
        let mm = &mut self.mms[m];
        mm.account(flags, pages);
        if locked {
            mm.locked += pages;
        }
        mm.areas[i].start = addr;
        mm.areas[i].pgoff -= pages;
        Ok(())
    }
}
