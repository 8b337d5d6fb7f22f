//! Serving a fault by what the page's entry holds (mm/memory.c).

use vmadiff_contract::{About, Note, StepKind, Told, VmFlags};

use crate::area::anon_vma_links::NoMemory;
use crate::core::current::Current;
use crate::core::mm::mm_id;
use crate::core::slab::Ref;
use crate::defects::defect;
use crate::design::Design;
use crate::page::frame::Frame;
use crate::page::pte::{Maps, Pte};
use crate::page::table::{PMD_SHIFT, index};
use crate::page::vmf::{Fault, Vmf};
use crate::reasons as reason;
use crate::sites as site;

impl<D: Design> Current<'_, D> {
    /// Serves a fault, the middle table at hand (`handle_pte_fault`).
    ///
    /// Deviation (A29): v12 reads the middle table's entry again here, with interrupts on, in a
    /// speculative fault too; the table may be gone by then.
    pub fn handle_pte_fault<'a>(&'a self, vmf: &mut Vmf<'a, D>) -> Fault {
        if vmf.optimistic() {
            if defect!(self, PmdReadAgain) && self.read_pmd_again(vmf).is_err() {
                return self.give_up(&reason::NEEDS_TABLE);
            }
        } else {
            let entry = index(vmf.address, PMD_SHIFT);
            let table = vmf.pmd.lower(site::HANDLE_PTE_FAULT__PMD, entry).some();
            vmf.table = table.map(|table| self.table(table));
            vmf.orig_pte = vmf.pte(site::HANDLE_PTE_FAULT__PTE);
            if self.listens() {
                let ptes = (vmf.orig_pte, vmf.orig_pte);
                self.tell_pte(None, StepKind::Decide, self.mm, vmf.address, ptes);
            }
        }
        match vmf.orig_pte.maps() {
            None if vmf.is_anonymous() => self.do_anonymous_page(vmf),
            None if vmf.optimistic() => self.give_up(&reason::NOT_ANONYMOUS),
            None => self.do_fault(vmf),
            Some(Maps::Swap(slot)) => self.do_swap_page(vmf, slot),
            Some(_) => self.handle_present(vmf),
        }
    }

    fn handle_present<'a>(&'a self, vmf: &mut Vmf<'a, D>) -> Fault {
        let rwx = VmFlags::READ | VmFlags::WRITE | VmFlags::EXEC;
        if vmf.orig_pte.protnone() && vmf.vma_flags.intersects(rwx) {
            return self.do_numa_page(vmf);
        }
        if !self.pte_spinlock(vmf) {
            return Fault::Retry;
        }
        let same = vmf.pte(site::HANDLE_PTE_FAULT__PTE_SAME) == vmf.orig_pte;
        if same && vmf.write && !vmf.orig_pte.writable() {
            return self.do_wp_page(vmf);
        }
        self.leave_pte(vmf);
        vmf.served();
        Fault::MINOR
    }

    /// A page of private anonymous memory that is not there (`do_anonymous_page`).
    ///
    /// Deviation (N1): v12 allocates a page table here in a speculative fault, too.
    fn do_anonymous_page<'a>(&'a self, vmf: &mut Vmf<'a, D>) -> Fault {
        if !vmf.optimistic() && vmf.table.is_none() {
            vmf.table = Some(self.pte_alloc(self.mm_struct(), vmf.pmd, vmf.address));
        } else if vmf.optimistic() && defect!(self, TableMadeLate) {
            self.pte_alloc_late(vmf);
        }
        // A fault without mmap_sem has seen that it is not registered; a registration since then
        // misses this one fault.
        let missing = !vmf.optimistic() && vmf.vma_flags.contains(VmFlags::UFFD_MISSING);
        if !vmf.write {
            if !self.pte_map_lock(vmf) {
                return Fault::Retry;
            }
            if vmf.pte(site::DO_ANONYMOUS_PAGE__PTE).is_none() {
                if missing {
                    self.refuse_missing(vmf);
                    return Fault::Bus;
                }
                let zero = Pte::make(Maps::Zero, vmf.vma_page_prot).wrprotect();
                self.set_fault_pte(vmf, site::DO_ANONYMOUS_PAGE__SET_ZERO, zero);
            } else {
                self.leave_pte(vmf);
            }
            vmf.served();
            return Fault::MINOR;
        }
        if let Err(fault) = self.vmf_anon_prepare(vmf) {
            return fault;
        }
        let Some(page) = self.alloc_page_for(vmf) else {
            return self.out_of_memory(vmf);
        };
        if !self.pte_map_lock(vmf) {
            self.put_page(site::DO_ANONYMOUS_PAGE__PUT_PAGE, page);
            return Fault::Retry;
        }
        let free = vmf.pte(site::DO_ANONYMOUS_PAGE__PTE).is_none();
        if free && missing {
            self.refuse_missing(vmf);
            self.put_page(site::DO_ANONYMOUS_PAGE__PUT_PAGE, page);
            return Fault::Bus;
        }
        if !free {
            self.leave_pte(vmf);
            vmf.served();
            self.put_page(site::DO_ANONYMOUS_PAGE__PUT_PAGE, page);
            return Fault::MINOR;
        }
        self.mm_struct().rss_anon.count(1);
        self.page_add_new_anon_rmap(page, vmf.anon_vma(), self.index_of(vmf));
        self.set_fault_pte(
            vmf,
            site::DO_ANONYMOUS_PAGE__SET_PTE,
            writable_entry(vmf, page),
        );
        vmf.served();
        Fault::MINOR
    }

    /// The defect N1: there was a table when the fault walked; if munmap has freed it since, this
    /// makes another, which belongs to no area.
    fn pte_alloc_late(&self, vmf: &Vmf<'_, D>) {
        if vmf.pmd.alive() {
            self.pte_alloc(self.mm_struct(), vmf.pmd, vmf.address);
            vmf.pmd.alive();
        }
    }

    /// There is no page. What a fault without mmap_sem has gone by is confirmed before the task gets
    /// to hear of it: the area may be gone, or have the page by now.
    pub fn out_of_memory<'a>(&'a self, vmf: &mut Vmf<'a, D>) -> Fault {
        if vmf.optimistic() {
            if !self.pte_map_lock(vmf) {
                return Fault::Retry;
            }
            self.mark_failed();
            vmf.unlock();
        }
        Fault::Oom
    }

    /// A missing page of a registered area is told by a signal.
    fn refuse_missing(&self, vmf: &mut Vmf<'_, D>) {
        let (mm, addr) = (mm_id(self.mm), vmf.address);
        self.mark(StepKind::Entry, About::Entry { mm, addr }, Told::Refused);
        vmf.unlock();
    }

    /// Makes sure that the fault's area has an anon_vma (`vmf_anon_prepare`).
    ///
    /// # Errors
    /// What becomes of the fault: there is no memory, or it gives up.
    pub fn vmf_anon_prepare(&self, vmf: &Vmf<'_, D>) -> Result<(), Fault> {
        match (vmf.copied, &vmf.hold) {
            // The design has looked.
            (Some(_), _) => Ok(()),
            (None, Some(_)) => D::vmf_anon_prepare(self, vmf),
            (None, None) => {
                let prepared = self.anon_vma_prepare(vmf.vma);
                prepared.map_err(|NoMemory| Fault::Oom)
            }
        }
    }

    /// A page for a fault, by the policy that it holds (`alloc_page_vma`).
    pub fn alloc_page_for(&self, vmf: &Vmf<'_, D>) -> Option<Ref<'_, Frame>> {
        let page = if vmf.optimistic() {
            self.alloc_page_untold()
        } else {
            self.alloc_page()
        };
        if let Some(policy) = vmf.policy.some() {
            // The allocation looks at the policy's nodes for as long as it takes.
            self.policies
                .get(policy)
                .nodes()
                .get(site::ALLOC_PAGE_VMA__NODES);
        }
        page
    }

    /// The index of a fault's new page.
    ///
    /// Deviation (A30): v12 asks the area for it here, with the page-table lock held, when nothing
    /// vouches for its bounds any more. If mprotect has split the area meanwhile, of which the
    /// upper part stays, the index is that of an address below its start, which no walk by the
    /// anon_vma asks for: the page cannot be reclaimed any more, nor migrated.
    pub fn index_of(&self, vmf: &Vmf<'_, D>) -> u64 {
        if vmf.optimistic() && defect!(self, IndexAfterSplit) {
            return vmf.vma.linear_page_index(
                vmf.address,
                site::PAGE_ADD_NEW_ANON_RMAP__VM_START,
                site::PAGE_ADD_NEW_ANON_RMAP__VM_PGOFF,
            );
        }
        vmf.pgoff
    }

    /// A store to a page that is present and not writable (`do_wp_page`), its lock held.
    ///
    /// Deviation (no-page-lock): the page lock is not taken.
    fn do_wp_page<'a>(&'a self, vmf: &mut Vmf<'a, D>) -> Fault {
        match vmf.orig_pte.maps() {
            Some(Maps::Anon(page)) => {
                let page = self.frame(page);
                // In this order: an entry that is being swapped out counts in both.
                let mapped = page.mapcount().get(site::DO_WP_PAGE__MAPCOUNT);
                let mut looked = self.moment();
                let swapped = page
                    .swap()
                    .get(site::DO_WP_PAGE__SWAP)
                    .some()
                    .map_or(0, |slot| {
                        self.swap
                            .get(slot)
                            .count()
                            .get(site::DO_WP_PAGE__SWAP_COUNT)
                    });
                if mapped <= 1 {
                    looked = self.moment();
                }
                let mut shared = mapped.saturating_add(swapped) > 1;
                if !shared && page.mapcount().get(site::DO_WP_PAGE__MAPCOUNT_AGAIN) > 1 {
                    // A reclaim that met a locked area was undone in between: what was counted in the slot
                    // counts in the page again. Linux has the page's lock (`reuse_swap_page`).
                    (shared, looked) = (true, self.moment());
                }
                if !shared {
                    // All ours: it need not be looked for in the parent (page_move_anon_rmap).
                    page.anon().init(vmf.anon_vma());
                    return self.wp_page_reuse(vmf);
                }
                self.get_page(site::DO_WP_PAGE__GET_PAGE, page);
                self.leave_pte_since(vmf, Some(looked));
                vmf.unlock();
                self.wp_page_copy(vmf, Some(page))
            }
            Some(Maps::File(..)) if vmf.vma_flags.contains(VmFlags::SHARED) => {
                self.wp_page_reuse(vmf)
            }
            maps => {
                if let Some(Maps::File(..)) = maps {
                    // `get_page`: if the file drops it, another one that is mapped there is not this one.
                    self.task.get_file_page(vmf.address, vmf.orig_pte);
                }
                self.leave_pte(vmf);
                vmf.unlock();
                let fault = self.wp_page_copy(vmf, None);
                self.task.let_go();
                fault
            }
        }
    }

    fn wp_page_reuse(&self, vmf: &mut Vmf<'_, D>) -> Fault {
        let mut pte = vmf.orig_pte;
        if vmf.vma_flags.contains(VmFlags::WRITE) {
            pte = pte.mkwrite();
        }
        self.set_fault_pte(vmf, site::WP_PAGE_REUSE__SET_PTE, pte);
        self.note(Note::Reuse);
        vmf.served();
        Fault::MINOR
    }

    /// Copies a page that others see, too, for the one who stores (`wp_page_copy`). `old` is the
    /// private page, held; without it the page is a file's or the zero page.
    ///
    /// Deviation (N2): v12 gives up without telling its listener that the invalidation has ended.
    fn wp_page_copy<'a>(&'a self, vmf: &mut Vmf<'a, D>, old: Option<Ref<'_, Frame>>) -> Fault {
        let fault = self.try_wp_page_copy(vmf, old);
        if let Some(old) = old {
            self.put_page(site::WP_PAGE_COPY__PUT_OLD, old);
        }
        fault
    }

    fn try_wp_page_copy<'a>(&'a self, vmf: &mut Vmf<'a, D>, old: Option<Ref<'_, Frame>>) -> Fault {
        if let Err(fault) = self.vmf_anon_prepare(vmf) {
            return fault;
        }
        let Some(new) = self.alloc_page_for(vmf) else {
            let zero = vmf.orig_pte.maps() == Some(Maps::Zero);
            if zero && defect!(self, ZeroPageWritable) && self.pte_map_lock(vmf) {
                return self.wp_page_reuse(vmf);
            }
            return self.out_of_memory(vmf);
        };
        self.cow_user_page(new, vmf.orig_pte, old);
        let copied = self.moment();
        self.mm_struct().invalidate_range_start();
        if !self.pte_map_lock(vmf) {
            if !defect!(self, InvalidationNotEnded) {
                self.mm_struct().invalidate_range_end();
            }
            self.put_page(site::WP_PAGE_COPY__PUT_NEW, new);
            return Fault::Retry;
        }
        let fault = self.wp_page_exchange(vmf, old, new, copied);
        self.mm_struct().invalidate_range_end();
        fault
    }

    /// The copy takes the old page's place, the page-table lock held, unless another was faster.
    fn wp_page_exchange(
        &self,
        vmf: &mut Vmf<'_, D>,
        old: Option<Ref<'_, Frame>>,
        new: Ref<'_, Frame>,
        copied: u64,
    ) -> Fault {
        if !matches!(vmf.orig_pte.maps(), Some(Maps::Zero)) {
            self.mark_since(copied, StepKind::Copy, new.about(), Told::Done);
        }
        let same = vmf.pte(site::WP_PAGE_COPY__PTE_SAME) == vmf.orig_pte;
        if !same || self.task.dropped_in_hand().is_some() {
            self.leave_pte(vmf);
            vmf.served();
            self.put_page(site::WP_PAGE_COPY__PUT_NEW, new);
            return Fault::MINOR;
        }
        let mm = self.mm_struct();
        if old.is_none() {
            mm.rss_anon.count(1);
            if let Some(Maps::File(..)) = vmf.orig_pte.maps() {
                mm.rss_file.count(1u64.wrapping_neg());
            }
        }
        // No processor may go on reading the old page while another stores to the new one.
        self.set_fault_pte(vmf, site::WP_PAGE_COPY__CLEAR, Pte::NONE);
        self.flush_tlb_page(self.mm, vmf.address);
        self.page_add_new_anon_rmap(new, vmf.anon_vma(), self.index_of(vmf));
        self.set_fault_pte(vmf, site::WP_PAGE_COPY__SET_PTE, writable_entry(vmf, new));
        self.note(Note::Cow);
        if let Some(old) = old {
            self.page_remove_rmap(old.handle());
        }
        vmf.served();
        if let Some(old) = old {
            // The entry's own reference.
            self.put_page(site::WP_PAGE_COPY__PUT_OLD, old);
        }
        Fault::MINOR
    }

    fn cow_user_page(&self, new: Ref<'_, Frame>, from: Pte, old: Option<Ref<'_, Frame>>) {
        if let Some(old) = old {
            new.contents()
                .init_page(site::COW_USER_PAGE__COPY, old.contents(), 0);
            old.alive();
        } else if let Some(Maps::File(slot, page)) = from.maps()
            && let Some(file) = self.files.at(slot)
        {
            new.contents()
                .init_page(site::COW_USER_PAGE__COPY_FILE, file.contents(), page << 12);
        }
    }

    /// A page that a NUMA scan made inaccessible (`do_numa_page`): it gets its permissions back.
    fn do_numa_page<'a>(&'a self, vmf: &mut Vmf<'a, D>) -> Fault {
        if !self.pte_spinlock(vmf) {
            return Fault::Retry;
        }
        if vmf.pte(site::DO_NUMA_PAGE__PTE) == vmf.orig_pte {
            let mut pte = vmf.orig_pte.modify(vmf.vma_page_prot);
            if vmf.orig_pte.saved_write() {
                pte = pte.mkwrite();
            }
            self.set_fault_pte(vmf, site::DO_NUMA_PAGE__SET_PTE, pte);
        } else {
            self.leave_pte(vmf);
        }
        vmf.served();
        Fault::MINOR
    }
}

/// The entry of a new private page: writable if the area is (`maybe_mkwrite`).
pub fn writable_entry<D: Design>(vmf: &Vmf<'_, D>, page: Ref<'_, Frame>) -> Pte {
    let pte = Pte::make(Maps::Anon(page.handle()), vmf.vma_page_prot);
    if vmf.vma_flags.contains(VmFlags::WRITE) {
        pte.mkwrite()
    } else {
        pte
    }
}
