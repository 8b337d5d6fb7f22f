//! fork: the areas (`dup_mmap`) and their pages (`copy_page_range`).

use vmadiff_contract::{About, Errno, MAX_TASKS, Note, StepKind, TaskId, Told, VmFlags};

use crate::area::anon_vma_links::NoMemory;
use crate::area::ops::is_cow_mapping;
use crate::area::vma::Vma;
use crate::core::current::Current;
use crate::core::mm::Mm;
use crate::core::section::Section;
use crate::core::slab::{Handle, Ref};
use crate::defects::defect;
use crate::design::{Design, Why};
use crate::page::pgtable::PteTable;
use crate::page::pte::{Maps, Pte};
use crate::page::table::Table;
use crate::sites as site;

/// Entries after which a copy looks whether to give its locks up (`progress >= 32`, of which an entry is 8).
const COPIED: usize = 4;

impl<D: Design> Current<'_, D> {
    /// `fork`: the child's number.
    pub fn sys_fork(&self) -> Result<u64, Errno> {
        let task = About::Task(self.task_id(self.task));
        if self.last_task.get(site::FORK__LAST_TASK) >= MAX_TASKS.into() {
            self.mark(StepKind::Decide, task, Told::Refused);
            return Err(Errno::EAGAIN);
        }
        self.mark_done(StepKind::Decide, task);
        let policy = self
            .mpol_dup(self.task.mempolicy.peek())
            .map_err(|_| Errno::ENOMEM)?;
        let handle = self.mm_alloc();
        let child = self.mm(handle);
        self.dup_fd(self.mm_struct(), child);
        let limits = &self.mm_struct().rlimits;
        let told = || self.mark_done(StepKind::Count, self.counters());
        child.rlimits.copy(limits, told);
        if let Err(no_memory) = self.dup_mmap(child, handle) {
            self.exit_mmap(handle);
            self.exit_files(child);
            D::mm_unused(self, handle);
            self.mpol_put(site::FORK__MPOL_PUT, policy);
            self.note(Note::Undo("dup_mmap"));
            return Err(no_memory);
        }
        let number = self.last_task.add(site::FORK__NEW_TASK, 1) + 1;
        let Some(task) = self.tasks().get(number as usize) else {
            // Two forks raced for the last number.
            self.mark(StepKind::Number, self.areas(), Told::Refused);
            self.last_task
                .add(site::FORK__NEW_TASK, 1u64.wrapping_neg());
            self.exit_mmap(handle);
            self.exit_files(child);
            D::mm_unused(self, handle);
            self.mpol_put(site::FORK__MPOL_PUT, policy);
            return Err(Errno::EAGAIN);
        };
        self.mark_done(StepKind::Number, About::Task(TaskId(number as u8)));
        child.mm_users.init(1);
        task.init(handle);
        task.mempolicy.init(policy);
        Ok(number)
    }

    /// Copies the areas into a new address space (`dup_mmap`). The parent's areas change from the
    /// moment their entries are copied until the TLBs are flushed: a store by an
    /// entry that was writable would be lost.
    fn dup_mmap(&self, child: &Mm, handle: Handle<Mm>) -> Result<(), Errno> {
        let mm = self.mm_struct();
        let _write = Section::enter(self, mm, site::DUP_MMAP__MMAP_SEM);
        let _write_child = Section::enter_child(self, child, site::DUP_MMAP__CHILD_MMAP_SEM);
        self.mark_done(StepKind::Decide, self.areas());
        child.total_vm.init(mm.total_vm.peek());
        child.data_vm.init(mm.data_vm.peek());
        child.exec_vm.init(mm.exec_vm.peek());
        child.stack_vm.init(mm.stack_vm.peek());
        child.brk.init(mm.brk.peek());
        let mut last = None;
        let mut copied = Ok(());
        let mut next = self.first_vma(mm);
        while let Some(vma) = next {
            next = self.next(vma);
            D::change(self, vma, Why::Dup);
            if vma.flags().contains(VmFlags::DONTCOPY) {
                let less = vma.pages().wrapping_neg();
                self.vm_stat_account(child, vma.flags(), less);
                continue;
            }
            copied = self.dup_area(child, handle, vma, &mut last);
            if copied.is_err() {
                break;
            }
        }
        self.flush_tlb_mm(self.mm);
        self.changes_end(last);
        copied
    }

    fn dup_area<'a>(
        &'a self,
        child: &Mm,
        handle: Handle<Mm>,
        vma: Ref<'a, Vma>,
        last: &mut Option<Ref<'a, Vma>>,
    ) -> Result<(), Errno> {
        let account = vma.flags().contains(VmFlags::ACCOUNT);
        let charged = if account { vma.pages() } else { 0 };
        self.vm_enough_memory(charged)?;
        let Ok(copy) = self.dup_vma(handle, vma) else {
            self.vm_unacct_memory(charged);
            return Err(Errno::ENOMEM);
        };
        if let Ok(links) = self.tree(child).find_links(copy.start(), copy.end()) {
            let file = copy.vm_file().peek().some();
            let told = file.is_none().then_some(StepKind::Link);
            if let Some(file) = file.map(|file| self.files.get(file)) {
                self.get_file(file);
                self.vma_link_file_after(copy, vma, file);
            }
            self.__vma_link(child, copy, &links, told);
            child.map_count.init(child.map_count.peek() + 1);
        }
        if !vma.flags().contains(VmFlags::WIPEONFORK) {
            D::change(self, vma, Why::Fork);
            *last = Some(vma);
            self.copy_page_range(child, vma);
        }
        self.vma_open(copy);
        Ok(())
    }

    /// A copy for the child that is not linked yet, with policy and anon_vma.
    fn dup_vma<'a>(&'a self, mm: Handle<Mm>, vma: Ref<'a, Vma>) -> Result<Ref<'a, Vma>, NoMemory> {
        let copy = self.vm_area_dup(vma).ok_or(NoMemory)?;
        let policy = self.mpol_dup(vma.vm_policy().peek()).inspect_err(|_| {
            self.vm_area_free(copy);
        })?;
        copy.vm_policy().init(policy);
        copy.vm_mm().init(mm);
        // The child is told nothing of the userfaultfd (`dup_userfaultfd`).
        copy.vm_userfaultfd_ctx().init(false);
        let flags = vma.flags() - VmFlags::UFFD_MISSING;
        copy.vm_flags().init(flags.bits());
        let prepared = if flags.contains(VmFlags::WIPEONFORK) {
            copy.anon_vma().init(Handle::NULL);
            // It still stands between the parent's neighbours, and may take an anon_vma of theirs.
            copy.vm_next().init(vma.vm_next().peek());
            copy.vm_prev().init(vma.vm_prev().peek());
            self.prepare_anon_vma(copy, false).map(|_| ())
        } else {
            self.anon_vma_fork(copy, vma)
        };
        prepared.inspect_err(|_| {
            self.mpol_put(site::DUP_MMAP__MPOL_PUT, policy);
            self.vm_area_free(copy);
        })?;
        let flags = flags - (VmFlags::LOCKED | VmFlags::LOCKONFAULT);
        copy.vm_flags().init(flags.bits());
        Ok(copy)
    }

    /// Ends the changes, from the area copied last back to the first.
    fn changes_end(&self, last: Option<Ref<'_, Vma>>) {
        let mut next = last;
        while let Some(vma) = next {
            let open = !vma
                .flags()
                .intersects(VmFlags::DONTCOPY | VmFlags::WIPEONFORK);
            if open {
                D::changed(self, vma, Why::Fork);
            }
            next = self.prev(vma);
        }
    }

    /// Copies the entries of an area whose pages faults could not find again
    /// (`copy_page_range`), and takes the write permission from those that are shared now.
    fn copy_page_range(&self, child: &Mm, vma: Ref<'_, Vma>) {
        if vma.anon_vma().peek().is_null() {
            return;
        }
        let mut addr = vma.start();
        let told = is_cow_mapping(vma.flags()).then(|| self.mm_struct());
        told.inspect(|mm| mm.invalidate_range_start());
        while let Some(part) = self.pass_table(self.mm_struct(), addr, vma.end()) {
            let pmd = self.pmd_alloc(child, part.addr);
            let table = self.pte_alloc(child, pmd, part.addr);
            self.copy_pte_range(child, table, part, vma.flags());
            addr = part.end;
        }
        told.inspect(|mm| mm.invalidate_range_end());
    }

    fn copy_pte_range(&self, child: &Mm, dst: Ref<'_, Table>, part: PteTable<'_>, flags: VmFlags) {
        let table = part.table;
        let places = table.entries().iter().map(|(at, _)| at);
        let noted: Option<Vec<usize>> = defect!(self, EntriesNotedEarly).then(|| places.collect());
        let missed = |at: &usize| noted.as_ref().is_some_and(|noted| !noted.contains(at));
        let mut pass = self.pass(part);
        while self.copy_ptes(
            child,
            dst,
            part,
            pass.by_ref().filter(|at| !missed(at)),
            flags,
        ) {}
    }

    /// Copies some entries, the locks of both tables held; whether there may be more.
    ///
    /// Deviation (copy-breaks): the locks are given up after each few.
    fn copy_ptes(
        &self,
        child: &Mm,
        dst: Ref<'_, Table>,
        part: PteTable<'_>,
        pass: impl Iterator<Item = usize>,
        flags: VmFlags,
    ) -> bool {
        let table = part.table;
        let _dst_ptl = dst.lock_ptl(site::COPY_PTE_RANGE__DST_PTL);
        let _src_ptl = (dst != table).then(|| table.lock_ptl(site::COPY_PTE_RANGE__SRC_PTL));
        let mut copied = 0;
        for at in pass.take(COPIED) {
            copied += 1;
            let pte = table.pte(site::COPY_ONE_PTE__PTE, at);
            let copy = self.copy_one_pte(child, pte, flags);
            if copy != pte {
                let wrprotect = site::COPY_ONE_PTE__WRPROTECT;
                self.set_pte(StepKind::Pass, wrprotect, table, at, copy);
            } else {
                self.passed(table, at, pte);
            }
            self.set_copied_pte(site::COPY_ONE_PTE__SET_PTE, dst, at, copy);
        }
        copied == COPIED
    }

    /// The entry that both have from now on (`copy_one_pte`).
    fn copy_one_pte(&self, child: &Mm, pte: Pte, flags: VmFlags) -> Pte {
        match pte.maps() {
            Some(Maps::Swap(slot)) => {
                self.swap_duplicate(site::COPY_ONE_PTE__SWAP_DUPLICATE, slot);
                child.swap_entries.count(1);
            }
            Some(Maps::Anon(page)) => {
                let page = self.frame(page);
                self.get_page(site::COPY_ONE_PTE__GET_PAGE, page);
                page.mapcount().add(site::COPY_ONE_PTE__MAPCOUNT, 1);
                child.rss_anon.count(1);
            }
            Some(Maps::File(..)) => child.rss_file.count(1),
            Some(Maps::Zero) | None => {}
        }
        if pte.present() && is_cow_mapping(flags) {
            return pte.wrprotect();
        }
        pte
    }
}
