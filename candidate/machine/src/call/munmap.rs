//! munmap: splitting at the edges, detaching, and removing what was detached.

use vmadiff_contract::{About, Errno, Event, StepKind, Told, VmFlags};

use crate::area::vma::Vma;
use crate::call::mmap::page_align;
use crate::core::current::Current;
use crate::core::machine::Machine;
use crate::core::mm::{Mm, mm_id};
use crate::core::section::Section;
use crate::core::slab::{Handle, Ref};
use crate::defects::defect;
use crate::design::{Design, Died};
use crate::sites as site;

impl<D: Design> Current<'_, D> {
    /// `munmap`.
    pub fn sys_munmap(&self, addr: u64, len: u64) -> Result<u64, Errno> {
        let write = Section::enter(self, self.mm_struct(), site::MUNMAP__MMAP_SEM);
        self.__do_munmap(addr, len, &mut Some(write))?;
        Ok(0)
    }

    /// Unmaps a range (`__do_munmap`), mmap_sem held for writing. If it is handed over it is
    /// downgraded once the areas are detached, so that faults elsewhere go on while their pages
    /// are taken out, and given back in the end.
    ///
    /// Deviation (246c320a): 5.1 downgrades it even if the area above is a stack, which can grow into
    /// the range meanwhile; mended so in 5.8.
    ///
    /// # Errors
    /// EINVAL, and ENOMEM of splits.
    pub fn __do_munmap(
        &self,
        start: u64,
        len: u64,
        write: &mut Option<Section<'_, D>>,
    ) -> Result<(), Errno> {
        let task_size = self.config().task_size;
        if start & 4095 != 0 || start > task_size || len > task_size - start {
            return Err(Errno::EINVAL);
        }
        let end = start + page_align(len);
        if end == start {
            return Err(Errno::EINVAL);
        }
        let Some(first) = self.find_vma(start).filter(|vma| vma.start() < end) else {
            self.mark_done(StepKind::Cut, self.areas());
            return Ok(());
        };
        let prev = self.split_edges(first, start, end)?;
        let mm = self.mm_struct();
        let first = match prev {
            Some(prev) => self.next(prev),
            None => self.first_vma(mm),
        };
        let Some(first) = first else {
            return Ok(());
        };
        self.munlock_detached(mm, first, end);
        let next = self.detach_vmas_to_be_unmapped(mm, first, prev, end);
        let stack = next.is_some_and(|next| next.flags().contains(VmFlags::GROWSDOWN));
        let stays = stack && !defect!(self, DowngradeBesideStack);
        let beside = write.is_some();
        // It lives to the end of the function.
        let write = if stays { None } else { write.take() };
        let _read = write.map(|write| write.downgrade(site::MUNMAP__DOWNGRADE));
        self.unmap_region(self.mm, first, prev, next, start, end);
        self.remove_vma_list(mm, first, beside);
        Ok(())
    }

    /// Splits the areas that the range cuts; answers the area before the range.
    fn split_edges<'a>(
        &'a self,
        first: Ref<'a, Vma>,
        start: u64,
        end: u64,
    ) -> Result<Option<Ref<'a, Vma>>, Errno> {
        let mut prev = self.prev(first);
        if start > first.start() {
            if end < first.end() && self.map_is_full() {
                self.mark(StepKind::Cut, first.about(), Told::Refused);
                return Err(Errno::ENOMEM);
            }
            self.__split_vma(first, start, false)
                .map_err(|_| Errno::ENOMEM)?;
            prev = Some(first);
        }
        if let Some(last) = self.find_vma(end).filter(|last| last.start() < end) {
            self.__split_vma(last, end, true)
                .map_err(|_| Errno::ENOMEM)?;
        }
        Ok(prev)
    }

    /// Unlocks the areas that are to go (`munlock_vma_pages_all`).
    fn munlock_detached(&self, mm: &Mm, first: Ref<'_, Vma>, end: u64) {
        if mm.locked_vm.peek() == 0 {
            return;
        }
        let mut next = Some(first);
        while let Some(vma) = next.filter(|vma| vma.start() < end) {
            if vma.flags().contains(VmFlags::LOCKED) {
                mm.locked_vm.count(vma.pages().wrapping_neg());
                self.munlock_vma_pages_range(vma);
            }
            next = self.next(vma);
        }
    }

    /// Takes areas out of tree and list (`detach_vmas_to_be_unmapped`); answers the one after.
    fn detach_vmas_to_be_unmapped<'a>(
        &'a self,
        mm: &Mm,
        first: Ref<'a, Vma>,
        prev: Option<Ref<'a, Vma>>,
        end: u64,
    ) -> Option<Ref<'a, Vma>> {
        first
            .vm_prev()
            .set(site::DETACH_VMAS__VM_PREV, Handle::NULL);
        let mut tail = first;
        let mut next = Some(first);
        while let Some(vma) = next.filter(|vma| vma.start() < end) {
            let last = self.next(vma).is_none_or(|next| next.start() >= end);
            self.__vma_rb_erase(mm, vma, Died::Unmapped, || {
                if last {
                    self.mark_detached(first, end);
                }
            });
            let count = mm.map_count.peek().wrapping_sub(1);
            mm.map_count.set(site::DETACH_VMAS__MAP_COUNT, count);
            tail = vma;
            next = self.next(vma);
        }
        let after = next.map(Ref::handle).unwrap_or_default();
        match prev {
            Some(prev) => prev.vm_next().set(site::DETACH_VMAS__VM_NEXT, after),
            None => mm.mmap.set(site::DETACH_VMAS__MMAP, after),
        }
        if let Some(next) = next {
            let prev = prev.map(Ref::handle).unwrap_or_default();
            next.vm_prev().set(site::DETACH_VMAS__NEXT_PREV, prev);
        }
        tail.vm_next().set(site::DETACH_VMAS__TAIL, Handle::NULL);
        self.vmacache_invalidate(mm);
        next
    }

    /// Tells that the areas up to here are out of the tree, the last of them just now.
    fn mark_detached(&self, first: Ref<'_, Vma>, end: u64) {
        let mut next = Some(first).filter(|_| self.listens());
        while let Some(vma) = next.filter(|vma| vma.start() < end) {
            self.mark_done(StepKind::Detach, vma.about());
            next = self.next(vma);
        }
    }
}

impl<D: Design> Machine<D> {
    /// Removes a list of areas that left their tree (`remove_vma_list`). `beside`: who holds mmap_sem
    /// for reading may count meanwhile.
    fn remove_vma_list(&self, mm: &Mm, first: Ref<'_, Vma>, beside: bool) {
        let mut accounted = 0;
        let mut next = Some(first);
        while let Some(vma) = next {
            let (flags, pages) = (vma.flags(), vma.pages());
            if flags.contains(VmFlags::ACCOUNT) {
                accounted += pages;
            }
            let less = pages.wrapping_neg();
            if beside {
                self.vm_stat_account_beside(StepKind::Put, mm, flags, less);
            } else {
                self.vm_stat_account(mm, flags, less);
                self.mark_done(StepKind::Put, About::Counters(mm_id(mm.name())));
            }
            next = self.remove_vma(vma, Died::Unmapped);
        }
        self.vm_unacct_memory(accounted);
    }

    /// Closes an area, puts its file at once and forgets it (`remove_vma`); answers
    /// the next of the list.
    pub fn remove_vma<'a>(&'a self, vma: Ref<'a, Vma>, how: Died) -> Option<Ref<'a, Vma>> {
        let next = self.next(vma);
        if vma.ops().close() {
            self.raise(Event::VmaClose { vma: vma.id() });
        }
        if let Some(file) = vma.vm_file().peek().some() {
            self.vma_fput(vma, file, true);
        }
        if !defect!(self, FileNotForgotten) && !defect!(self, FilePutTwice) {
            vma.vm_file().set(site::REMOVE_VMA__VM_FILE, Handle::NULL);
        }
        D::removed(self, vma, how);
        next
    }
}
