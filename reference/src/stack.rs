//! A stack that grows downwards at a fault (section 15).

use vmadiff_contract::{PAGE_SIZE, Resource, VmFlags};

use crate::area::ACCESS;
use crate::world::{NoMemory, World};

impl World {
    /// Whether area `i` may start at the page at `addr`, below which no other area lies: not below
    /// the lowest address, and not too near to the area before.
    pub fn stack_may_start(&self, m: usize, i: usize, addr: u64) -> bool {
        let near = self.mms[m].areas[..i].last().is_some_and(|prev| {
            let yields = prev.flags.contains(VmFlags::GROWSDOWN) || !prev.flags.intersects(ACCESS);
            !yields && addr - prev.end < self.guard()
        });
        addr >= self.config.mmap_min_addr && !near
    }

    /// Extends area `i`, which has an anon_vma, down to the page at `addr` (`expand_downwards`).
    /// The charge is made even for areas that never give it back.
    pub fn grow_stack(&mut self, m: usize, i: usize, addr: u64) -> Result<(), NoMemory> {
        let area = &self.mms[m].areas[i];
        let (flags, size) = (area.flags, area.end - addr);
        let pages = (area.start - addr) / PAGE_SIZE;
        let locked = flags.contains(VmFlags::LOCKED);
        if pages > area.pgoff
            || !self.may_expand(m, flags, pages)
            || size > self.soft_limit(m, Resource::Stack)
            || locked && self.locks_too_much(m, self.mms[m].locked + pages)
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
