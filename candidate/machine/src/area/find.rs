//! Looking areas up, under mmap_sem, with the task's cache.

use crate::area::tree::Tree;
use crate::area::vma::Vma;
use crate::core::current::Current;
use crate::core::mm::Mm;
use crate::core::slab::Ref;
use crate::core::task::VMACACHE;
use crate::defects::defect;
use crate::design::Design;
use crate::sites as site;

impl<D: Design> Current<'_, D> {
    /// The tree of an address space.
    pub fn tree<'a>(&'a self, mm: &'a Mm) -> Tree<'a> {
        Tree {
            vmas: &self.vmas,
            root: &mm.mm_rb,
        }
    }

    /// The lowest area that ends above an address (`find_vma`), under mmap_sem.
    pub fn find_vma(&self, addr: u64) -> Option<Ref<'_, Vma>> {
        if let Some(vma) = self.vmacache_find(addr) {
            return Some(vma);
        }
        let found = self.tree(self.mm_struct()).find(addr);
        if let Some(vma) = found {
            self.vmacache_update(addr, vma);
        }
        found
    }

    /// The first area that overlaps a range (`find_vma_intersection`), under mmap_sem.
    pub fn find_vma_intersection(&self, start: u64, end: u64) -> Option<Ref<'_, Vma>> {
        self.find_vma(start).filter(|vma| vma.start() < end)
    }

    /// The area before an address and the lowest that ends above it (`find_vma_prev`).
    pub fn find_vma_prev(&self, addr: u64) -> (Option<Ref<'_, Vma>>, Option<Ref<'_, Vma>>) {
        match self.find_vma(addr) {
            Some(vma) => (self.prev(vma), Some(vma)),
            None => (self.last_vma(), None),
        }
    }

    /// What this task remembers for an address (`vmacache_find`).
    fn vmacache_find(&self, addr: u64) -> Option<Ref<'_, Vma>> {
        let now = self
            .mm_struct()
            .vmacache_seqnum
            .get(site::VMACACHE_FIND__SEQNUM);
        if self.task.vmacache_seqnum.peek() != now {
            // What was cached may be gone: forget it all (`vmacache_valid`).
            self.task.vmacache_seqnum.init(now);
            for slot in &self.task.vmacache {
                slot.init(crate::core::slab::Handle::NULL);
            }
            return None;
        }
        let first = vmacache_slot(addr);
        (0..VMACACHE)
            .filter_map(|i| self.vma_opt(self.task.vmacache[(first + i) % VMACACHE].peek()))
            .find(|vma| {
                vma.vm_start().get(site::VMACACHE_FIND__VM_START) <= addr
                    && vma.vm_end().get(site::VMACACHE_FIND__VM_END) > addr
            })
    }

    fn vmacache_update(&self, addr: u64, vma: Ref<'_, Vma>) {
        self.task.vmacache[vmacache_slot(addr)].init(vma.handle());
    }

    /// Voids what all tasks remember of an address space (`vmacache_invalidate`).
    pub fn vmacache_invalidate(&self, mm: &Mm) {
        mm.vmacache_seqnum.add(site::VMACACHE_INVALIDATE__SEQNUM, 1);
        if defect!(self, CacheNumberWraps) {
            let narrow = mm.vmacache_seqnum.peek() % CACHE_NUMBERS;
            mm.vmacache_seqnum.init(narrow);
        }
    }
}

/// Numbers of the caches where they wrap: with as many as Linux had, it took four billion changes.
const CACHE_NUMBERS: u64 = 4;

/// Where an address is remembered (VMACACHE_HASH): by the range of its lowest page table.
fn vmacache_slot(addr: u64) -> usize {
    (addr >> 21) as usize % VMACACHE
}
