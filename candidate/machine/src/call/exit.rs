//! exit, and the teardown of an address space (`exit_mmap`).

use vmadiff_contract::{About, StepKind, VmFlags};
use vmadiff_interleave::at;

use crate::core::current::Current;
use crate::core::machine::Machine;
use crate::core::mm::{Mm, mm_id};
use crate::core::slab::Handle;
use crate::design::{Design, Died};
use crate::page::gather::Gather;
use crate::sites as site;

impl<D: Design> Current<'_, D> {
    /// `exit`: the task leaves; the last of an address space tears it down.
    pub fn sys_exit(&self) {
        let mm = self.mm_struct();
        self.task.flush_all();
        // From here on no flush reaches it; it has nothing any more.
        self.mark_done(StepKind::Flush, self.tlb());
        self.task.live.set(site::EXIT__TASK, false);
        let users = mm.mm_users.add(site::MMPUT__MM_USERS, 1u64.wrapping_neg());
        at::section();
        let task = About::Task(self.task_id(self.task));
        self.mark_done(StepKind::Decide, task);
        if users == 1 {
            self.exit_mmap(self.mm);
            self.exit_files(mm);
            D::mm_unused(self, self.mm);
        }
        let policy = self.task.mempolicy.peek();
        self.mpol_put(site::EXIT__MPOL_PUT, policy);
    }
}

impl<D: Design> Machine<D> {
    /// Takes everything out of an address space that has no users (`exit_mmap`).
    pub fn exit_mmap(&self, handle: Handle<Mm>) {
        let mm = self.mm(handle);
        let Some(first) = self.first_vma(mm) else {
            return;
        };
        self.report_lost_pages(mm);
        let mut next = Some(first);
        while let Some(vma) = next.filter(|_| mm.locked_vm.peek() != 0) {
            if vma.flags().contains(VmFlags::LOCKED) {
                self.munlock_vma_pages_range(vma);
            }
            next = self.next(vma);
        }
        let mut gather = Gather::new(self, handle, 0, u64::MAX);
        self.unmap_vmas(&mut gather, first, 0, u64::MAX);
        self.free_pgtables(&mut gather, first, 0, 0);
        gather.finish();
        self.unlink_behind_tables(first);
        let mut accounted = 0;
        let mut next = Some(first);
        while let Some(vma) = next {
            if vma.flags().contains(VmFlags::ACCOUNT) {
                accounted += vma.pages();
            }
            // The tree goes as a whole: nothing is erased (`__remove_vma`).
            vma.linked().init(false);
            D::erased(self, vma, Died::Exit);
            // What the area lets go of tells its own steps.
            self.mark_done(StepKind::Put, About::Counters(mm_id(handle)));
            next = self.remove_vma(vma, Died::Exit);
        }
        self.vm_unacct_memory(accounted);
    }
}
