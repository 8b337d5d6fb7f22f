//! Stacks that grow down to a fault (`expand_downwards`), under mmap_sem for reading.

use vmadiff_contract::{About, Errno, Resource, StepKind, Told, VmFlags};

use crate::area::vma::Vma;
use crate::core::current::Current;
use crate::core::mm::mm_id;
use crate::core::slab::Ref;
use crate::design::{Design, Why};
use crate::sites as site;

impl<D: Design> Current<'_, D> {
    /// Makes a stack reach down to an address below it.
    ///
    /// Deviation (grow-begins-early): the design is told before page_table_lock is taken.
    ///
    /// # Errors
    /// EPERM: too low. ENOMEM: too near to the area below, over a limit, or no memory. An anon_vma
    /// that was prepared stays.
    pub fn expand_downwards(&self, vma: Ref<'_, Vma>, addr: u64) -> Result<(), Errno> {
        let addr = addr & !4095;
        if addr < self.config().mmap_min_addr {
            self.mark(StepKind::Decide, vma.about(), Told::Refused);
            return Err(Errno::EPERM);
        }
        let rwx = VmFlags::READ | VmFlags::WRITE | VmFlags::EXEC;
        if let Some(prev) = self.prev(vma)
            && !prev.flags().contains(VmFlags::GROWSDOWN)
            && prev.flags().intersects(rwx)
            && addr - prev.end() < self.config().stack_guard_gap.saturating_mul(4096)
        {
            self.mark(StepKind::Decide, vma.about(), Told::Refused);
            return Err(Errno::ENOMEM);
        }
        let looked = self.prepare_anon_vma(vma, true);
        if !looked.map_err(|_| Errno::ENOMEM)? {
            self.mark_done(StepKind::Decide, vma.about());
        }
        let _tree = self.anon_vma_lock(vma.anon_vma().peek());
        let start = vma.vm_start().get(site::EXPAND_DOWNWARDS__VM_START);
        if addr >= start {
            // Another fault was faster.
            self.mark_done(StepKind::Resize, vma.about());
            return Ok(());
        }
        let grow = (start - addr) >> 12;
        let pgoff = vma.vm_pgoff().peek();
        if grow > pgoff {
            self.mark(StepKind::Decide, vma.about(), Told::Refused);
            return Err(Errno::ENOMEM);
        }
        self.acct_stack_growth(vma, vma.end() - addr, grow)?;
        D::change(self, vma, Why::Grow);
        {
            let mm = self.mm_struct();
            let _lock = mm.page_table_lock.lock(site::EXPAND_DOWNWARDS__LOCK);
            if vma.flags().contains(VmFlags::LOCKED) {
                mm.locked_vm.count(grow);
                self.mark_done(StepKind::Count, About::Counters(mm_id(mm.name())));
            }
            self.vm_stat_account_beside(StepKind::Count, mm, vma.flags(), grow);
            mm.holes.changed(addr, vma.end());
            vma.vm_start().set(site::EXPAND_DOWNWARDS__SET_START, addr);
            // Faults find it here from now on; the offset they ask for under this lock.
            self.mark_done(StepKind::Resize, vma.about());
            vma.vm_pgoff()
                .set(site::EXPAND_DOWNWARDS__SET_PGOFF, pgoff - grow);
            self.mark_done(StepKind::Resize, vma.about());
        }
        D::changed(self, vma, Why::Grow);
        Ok(())
    }

    /// The limits on a stack, and its charge (`acct_stack_growth`).
    fn acct_stack_growth(&self, vma: Ref<'_, Vma>, size: u64, grow: u64) -> Result<(), Errno> {
        let flags = vma.flags();
        let fits = self.may_expand_vm(flags, grow) && {
            let limit = self.rlimit(Resource::Stack);
            self.mark(StepKind::Decide, self.counters(), Told::Number(limit >> 12));
            size <= limit
        };
        if !fits {
            self.mark(StepKind::Decide, self.counters(), Told::Refused);
            return Err(Errno::ENOMEM);
        }
        if self.mlock_future_check(flags, grow << 12).is_err() {
            self.mark(StepKind::Charge, vma.about(), Told::Refused);
            return Err(Errno::ENOMEM);
        }
        self.vm_enough_memory(grow)
    }
}
