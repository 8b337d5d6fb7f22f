//! Faulting a range in ahead of its use (`mm_populate`, `get_user_pages`).

use vmadiff_contract::{Errno, POPULATE_MAX_PAGES, StepKind, VmFlags};
use vmadiff_interleave::at;

use crate::area::vma::Vma;
use crate::core::current::Current;
use crate::core::slab::Ref;
use crate::design::Design;
use crate::page::pte::Pte;
use crate::page::table::index;
use crate::page::vmf::Fault;
use crate::sites as site;

impl<D: Design> Current<'_, D> {
    /// Populates a range and never complains (`mm_populate`).
    pub fn mm_populate(&self, start: u64, len: u64) {
        let _ = self.populate(start, len, true);
    }

    /// Populates a range (`__mm_populate`): the areas in it, holes skipped.
    ///
    /// # Errors
    /// EFAULT: a page cannot be had at all. ENOMEM: no frame. Unless errors are to be ignored: then
    /// the next area is gone on with.
    pub fn populate(&self, start: u64, len: u64, ignore_errors: bool) -> Result<(), Errno> {
        let mm = self.mm_struct();
        let _read = mm.mmap_sem.read(site::MM_POPULATE__MMAP_SEM);
        let end = start.saturating_add(len);
        let mut budget = POPULATE_MAX_PAGES;
        let mut next = self.find_vma(start).filter(|_| start < end);
        while let Some(vma) = next.filter(|vma| vma.start() < end && budget > 0) {
            self.mark_done(StepKind::Decide, self.areas());
            let (from, to) = (start.max(vma.start()), end.min(vma.end()));
            let populated = self.populate_vma_page_range(vma, from, to, &mut budget);
            if !ignore_errors {
                populated?;
            }
            next = self.next(vma);
        }
        self.mark_done(StepKind::Decide, self.areas());
        Ok(())
    }

    /// Populates a locked area that became writable, mmap_sem held for writing, without complaint.
    pub fn populate_in_place(&self, vma: Ref<'_, Vma>, start: u64, end: u64) {
        let mut budget = POPULATE_MAX_PAGES;
        let _ = self.populate_vma_page_range(vma, start, end, &mut budget);
    }

    /// Private writable areas are populated as by stores, others as by loads; where pages are
    /// locked as they are touched, only those that are there are looked at.
    fn populate_vma_page_range(
        &self,
        vma: Ref<'_, Vma>,
        start: u64,
        end: u64,
        budget: &mut u64,
    ) -> Result<(), Errno> {
        let flags = vma.flags();
        if !flags.intersects(VmFlags::READ | VmFlags::WRITE | VmFlags::EXEC) {
            return Err(Errno::EFAULT);
        }
        if flags.contains(VmFlags::LOCKONFAULT) {
            return Ok(());
        }
        let write = flags & (VmFlags::WRITE | VmFlags::SHARED) == VmFlags::WRITE;
        let mut addr = start;
        while addr < end && *budget > 0 {
            *budget -= 1;
            self.populate_page(vma, addr, write)?;
            addr += 4096;
        }
        Ok(())
    }

    fn populate_page(&self, vma: Ref<'_, Vma>, addr: u64, write: bool) -> Result<(), Errno> {
        while !self.follow_page(addr, write) {
            match self.handle_mm_fault(vma, addr, write) {
                Fault::Served { major } => self.count_fault(major),
                refused => {
                    at::refused(addr, write);
                    return Err(match refused {
                        Fault::Oom => Errno::ENOMEM,
                        _ => Errno::EFAULT,
                    });
                }
            }
        }
        Ok(())
    }

    /// Whether a page is there as it is wanted (`follow_page_mask`).
    fn follow_page(&self, addr: u64, write: bool) -> bool {
        let pte = self.pte_of(addr);
        // What a NUMA scan hides has kept its write permission (FOLL_NUMA is not asked for).
        pte.present() && (!write || pte.writable() || pte.saved_write())
    }

    /// The entry of an address, read under its lock.
    pub fn pte_of(&self, addr: u64) -> Pte {
        let table = self.pte_table(self.mm_struct(), addr);
        let _ptl = table.map(|table| table.lock_ptl(site::FOLLOW_PAGE__PTL));
        let at = index(addr, 12);
        let pte = table.map_or(Pte::NONE, |table| table.pte(site::FOLLOW_PAGE__PTE, at));
        if self.listens() {
            self.tell_pte(None, StepKind::Decide, self.mm, addr, (pte, pte));
        }
        pte
    }
}
