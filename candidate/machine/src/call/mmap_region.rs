//! A new mapping takes the place of what is there (`mmap_region`).

use vmadiff_contract::{Access, Errno, Note, StepKind, VmFlags};

use crate::area::merge::Range;
use crate::area::ops::{Ops, PageProt};
use crate::area::vma::Vma;
use crate::call::hugetlb::hugetlbfs_file_mmap;
use crate::call::mmap::Backing;
use crate::core::account::accountable_mapping;
use crate::core::current::Current;
use crate::core::file::File;
use crate::core::slab::Ref;
use crate::defects::defect;
use crate::design::{Design, Why};
use crate::sites as site;

impl<D: Design> Current<'_, D> {
    /// Whether there may be so much memory more, what is there not counted.
    ///
    /// # Errors
    /// ENOMEM: RLIMIT_AS or RLIMIT_DATA.
    pub fn may_map_region(&self, range: &Range) -> Result<(), Errno> {
        let pages = range.pages();
        if !self.may_expand_vm(range.flags, pages) {
            let overlapped = if defect!(self, LimitBeforeOverlap) {
                0
            } else {
                self.count_vma_pages_range(range.addr, range.end)
            };
            if !self.may_expand_vm(range.flags, pages - overlapped) {
                return Err(Errno::ENOMEM);
            }
        }
        Ok(())
    }

    /// Replaces what is there by the new mapping (`mmap_region`). An error after the unmapping does
    /// not bring back what was there.
    pub fn mmap_region(&self, backing: Backing<'_>, mut range: Range) -> Result<(), Errno> {
        let (mm, pages, len) = (self.mm_struct(), range.pages(), range.end - range.addr);
        let Range { addr, end, .. } = range;
        let links = match self.tree(mm).find_links(addr, end) {
            Ok(links) => links,
            Err(_) => {
                self.__do_munmap(addr, len, &mut None)
                    .map_err(|_| Errno::ENOMEM)?;
                let links = self.tree(mm).find_links(addr, end);
                links.map_err(|_| Errno::ENOMEM)?
            }
        };
        let (file, huge) = match backing {
            Backing::Anonymous => (None, None),
            Backing::File(file) => (Some(file), None),
            Backing::HugeTlb(size) => (None, Some(size)),
        };
        if accountable_mapping(range.flags) && huge.is_none() {
            self.vm_enough_memory(pages)?;
            range.flags |= VmFlags::ACCOUNT;
        }
        let flags = range.flags;
        if let Some(size) = huge {
            let vma = self.vm_area_alloc().ok_or(Errno::ENOMEM)?;
            self.vm_area_free(vma);
            self.note(Note::Undo("mmap_region"));
            return Err(hugetlbfs_file_mmap(range.pgoff, size));
        }
        let vma = match self.vma_merge(links.prev, &range) {
            Some(vma) => vma,
            None => {
                let vma = self.new_area(&range, file).inspect_err(|_| {
                    if flags.contains(VmFlags::ACCOUNT) {
                        self.vm_unacct_memory(pages);
                    }
                    self.note(Note::Undo("mmap_region"));
                })?;
                self.vma_link(mm, vma, &links);
                vma
            }
        };
        self.vm_stat_account(mm, flags, pages);
        if flags.contains(VmFlags::LOCKED) {
            mm.locked_vm.count(pages);
        }
        self.mark_done(StepKind::Count, self.counters());
        // The kernel marks it soft-dirty here, which can change the protection of entries.
        D::change(self, vma, Why::Map);
        self.vma_set_page_prot(vma);
        D::changed(self, vma, Why::Map);
        Ok(())
    }

    /// An area for the range that nobody can see yet.
    fn new_area(&self, range: &Range, file: Option<Ref<'_, File>>) -> Result<Ref<'_, Vma>, Errno> {
        let vma = self.vm_area_alloc().ok_or(Errno::ENOMEM)?;
        vma.vm_start().init(range.addr);
        vma.vm_end().init(range.end);
        vma.vm_flags().init(range.flags.bits());
        vma.vm_page_prot().init(PageProt::of(range.flags).bits());
        vma.vm_pgoff().init(range.pgoff);
        if let Some(file) = file {
            self.get_file(file);
            vma.vm_file().init(file.handle());
            vma.vm_ops().init(file.vm_ops() as u8);
        } else if range.flags.contains(VmFlags::SHARED)
            && let Err(errno) = self.shmem_zero_setup(vma)
        {
            self.vm_area_free(vma);
            return Err(errno);
        }
        Ok(vma)
    }

    /// Gives an area a file of its own for its shared memory (`shmem_zero_setup`).
    fn shmem_zero_setup(&self, vma: Ref<'_, Vma>) -> Result<(), Errno> {
        let reserve = !vma.flags().contains(VmFlags::NORESERVE);
        let charged = if reserve { vma.pages() } else { 0 };
        self.vm_enough_memory(charged)?;
        let size = vma.end() - vma.start();
        let file = self.file_alloc(0, Access::READ | Access::WRITE, size);
        file.charged().init(charged);
        vma.vm_file().init(file.handle());
        vma.vm_ops().init(Ops::Fault as u8);
        Ok(())
    }

    /// Makes what entries allow follow from the flags (`vma_set_page_prot`).
    pub fn vma_set_page_prot(&self, vma: Ref<'_, Vma>) {
        let prot = PageProt::of(vma.flags()).bits();
        vma.vm_page_prot()
            .set(site::VMA_SET_PAGE_PROT__PAGE_PROT, prot);
    }

    /// Pages of areas in a range (`count_vma_pages_range`).
    fn count_vma_pages_range(&self, addr: u64, end: u64) -> u64 {
        let mut pages = 0;
        let mut next = self.find_vma_intersection(addr, end);
        while let Some(vma) = next.filter(|vma| vma.start() < end) {
            pages += (vma.end().min(end) - vma.start().max(addr)) >> 12;
            next = self.next(vma);
        }
        pages
    }
}
