//! Faults on pages of files, shared anonymous memory included (`do_fault`). Only under mmap_sem.

use vmadiff_contract::{StepKind, Told, VmFlags};

use crate::core::current::Current;
use crate::core::file::File;
use crate::core::slab::Ref;
use crate::design::Design;
use crate::page::memory::writable_entry;
use crate::page::pte::{Maps, Pte};
use crate::page::vmf::{Fault, Vmf};
use crate::sites as site;

impl<D: Design> Current<'_, D> {
    /// A file's page that is not mapped.
    pub fn do_fault<'a>(&'a self, vmf: &mut Vmf<'a, D>) -> Fault {
        let file = vmf.vma.vm_file().peek();
        if file.is_null() || !vmf.vma.ops().fault() {
            return Fault::Bus;
        }
        let file = self.files.get(file);
        if vmf.write && !vmf.vma_flags.contains(VmFlags::SHARED) {
            self.do_cow_fault(vmf, file)
        } else {
            self.do_read_or_shared_fault(vmf, file)
        }
    }

    /// Finds a file's page in the page cache, or reads it in (`shmem_fault`), under the lock of its pages:
    /// what the fault is, if it is served.
    fn filemap_page(&self, file: Ref<'_, File>, page: u64) -> Fault {
        if file.absent().read_in(page, page + 1) {
            Fault::MAJOR
        } else {
            Fault::MINOR
        }
    }

    /// Maps the file's own page (`do_read_fault`, `do_shared_fault`).
    fn do_read_or_shared_fault<'a>(&'a self, vmf: &mut Vmf<'a, D>, file: Ref<'_, File>) -> Fault {
        let page = vmf.pgoff;
        // From the look at the size until it is mapped the page is locked, and so not truncated.
        let _pages = file.pages().lock(site::DO_FAULT__PAGE_LOCK);
        if !self.page_is_there(file, page) {
            return Fault::Bus;
        }
        let served = self.filemap_page(file, page);
        let maps = Maps::File(file.handle().index(), page);
        let pte = Pte::make(maps, vmf.vma_page_prot);
        if self.finish_fault(vmf, pte) {
            self.mm_struct().rss_file.count(1);
        }
        served
    }

    /// Maps a private copy of the file's page (`do_cow_fault`).
    fn do_cow_fault<'a>(&'a self, vmf: &mut Vmf<'a, D>, file: Ref<'_, File>) -> Fault {
        if let Err(fault) = self.vmf_anon_prepare(vmf) {
            return fault;
        }
        let Some(copy) = self.alloc_page_for(vmf) else {
            return Fault::Oom;
        };
        let page = vmf.pgoff;
        let _pages = file.pages().lock(site::DO_FAULT__PAGE_LOCK);
        if !self.page_is_there(file, page) {
            self.put_page(site::DO_COW_FAULT__PUT_PAGE, copy);
            return Fault::Bus;
        }
        let served = self.filemap_page(file, page);
        copy.contents()
            .init_page(site::DO_COW_FAULT__COPY, file.contents(), page << 12);
        self.mark_done(StepKind::Copy, copy.about());
        self.page_add_new_anon_rmap(copy, vmf.anon_vma(), vmf.pgoff);
        if self.finish_fault(vmf, writable_entry(vmf, copy)) {
            self.mm_struct().rss_anon.count(1);
        } else {
            self.put_page(site::DO_COW_FAULT__PUT_PAGE, copy);
        }
        served
    }

    /// Whether a file has a page, which is locked.
    fn page_is_there(&self, file: Ref<'_, File>, page: u64) -> bool {
        let there = page < file.pages_in(site::DO_FAULT__SIZE);
        let told = if there { Told::Done } else { Told::Refused };
        self.mark(StepKind::Decide, file.page(page), told);
        there
    }

    /// Sets the entry (`finish_fault`); false: another fault was faster.
    fn finish_fault<'a>(&'a self, vmf: &mut Vmf<'a, D>, pte: Pte) -> bool {
        if vmf.table.is_none() {
            vmf.table = Some(self.pte_alloc(self.mm_struct(), vmf.pmd, vmf.address));
        }
        if !self.pte_map_lock(vmf) {
            return false;
        }
        let first = vmf.pte(site::FINISH_FAULT__PTE).is_none();
        if first {
            self.set_fault_pte(vmf, site::FINISH_FAULT__SET_PTE, pte);
        } else {
            self.leave_pte(vmf);
        }
        vmf.served();
        first
    }
}
