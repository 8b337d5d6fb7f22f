//! A stack that grows downwards at a fault (section 15).

use vmadiff_contract::{PAGE_SIZE, Resource, VmFlags, VmaId};

use crate::area::{ACCESS, Area};
use crate::mm::Counting;
use crate::world::{NoMemory, World};

/// A stack that a task lets grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Growing {
    t: usize,
    pub area: VmaId,
    /// Pages that its start has moved by, and its offset has not.
    behind: u64,
}

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

    /// Pages that area `i`, which has an anon_vma, has to grow by down to the page at `addr`, if its
    /// offset allows that (`expand_downwards`).
    pub fn stack_grows_by(&self, m: usize, i: usize, addr: u64) -> Result<u64, NoMemory> {
        let pages = self.pages_below(m, i, addr);
        if pages > self.mms[m].areas[i].pgoff {
            return Err(NoMemory);
        }
        Ok(pages)
    }

    /// Pages between the page at `addr` and the start of area `i`.
    pub fn pages_below(&self, m: usize, i: usize, addr: u64) -> u64 {
        (self.mms[m].areas[i].start - addr) / PAGE_SIZE
    }

    /// Whether RLIMIT_STACK allows area `i` to start at the page at `addr` (`acct_stack_growth`).
    pub fn stack_fits(&self, m: usize, i: usize, addr: u64) -> bool {
        self.mms[m].areas[i].end - addr <= self.soft_limit(m, Resource::Stack)
    }

    /// The running task begins to grow an area.
    pub fn grows(&mut self, area: VmaId) {
        if self.driven {
            let (t, behind) = (self.now, 0);
            self.growing.push(Growing { t, area, behind });
        }
    }

    /// Counts the pages that area `i` grows by, locked_vm first; whether all are counted. Others that hold
    /// mmap_sem for reading may count meanwhile.
    pub fn count_stack(&mut self, m: usize, i: usize, pages: u64, counting: &mut Counting) -> bool {
        let flags = self.mms[m].areas[i].flags;
        let locks = flags.contains(VmFlags::LOCKED) && counting.locks_first();
        if locks {
            self.mms[m].locked += pages;
        }
        if !self.driven {
            self.mms[m].account(flags, pages);
            return true;
        }
        self.about_counters(m);
        let counter = (self.now, m);
        if !self.counting.contains(&counter) {
            self.counting.push(counter);
        }
        if locks {
            return false;
        }
        counting.step(&mut self.mms[m], flags, pages)
    }

    /// Extends area `i` downwards by so many pages, which are counted (`expand_downwards`): its start first. Its
    /// offset follows, which alone who looks for an anon_vma reads without this lock ([`World::offset_of`]).
    pub fn grow_stack(&mut self, m: usize, i: usize, pages: u64) {
        let mm = &mut self.mms[m];
        let area = &mut mm.areas[i];
        area.start -= pages * PAGE_SIZE;
        area.pgoff -= pages;
        let id = area.id;
        for growing in self.growing.iter_mut().filter(|growing| growing.area == id) {
            growing.behind = pages;
        }
    }

    /// The offset of an area, as it stands there just now.
    pub fn offset_of(&self, area: &Area) -> u64 {
        let growing = self.growing.iter().find(|growing| growing.area == area.id);
        area.pgoff + growing.map_or(0, |growing| growing.behind)
    }

    /// The running task has done with the growth of an area.
    pub fn has_grown(&mut self, area: VmaId) {
        let now = self.now;
        self.growing
            .retain(|growing| growing.t != now || growing.area != area);
        self.counting.retain(|&(t, _)| t != self.now);
    }
}
