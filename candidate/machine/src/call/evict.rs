//! Taking a page of a file out of the page cache (`shrink_page_list`, `__remove_mapping`). Its contents
//! stay where files keep them, and whoever needs the page next reads it in.

use vmadiff_contract::{StepKind, Told, VmFlags};
use vmadiff_interleave::at;

use crate::core::current::Current;
use crate::core::file::File;
use crate::core::slab::Ref;
use crate::defects::defect;
use crate::design::Design;
use crate::page::pte::Maps;
use crate::sites as site;

impl<D: Design> Current<'_, D> {
    /// The step `evict`: 1 if the page was taken out.
    pub fn step_evict(&self, addr: u64) -> u64 {
        let Some((file, page)) = self.isolate_file_page(addr) else {
            return 0;
        };
        let done = self.shrink_file_page(file, page);
        self.fput(file);
        done.into()
    }

    /// The file that is mapped at an address, held, and its page there. The kernel comes upon the page
    /// by its own lists; which page is meant, the area says.
    fn isolate_file_page(&self, addr: u64) -> Option<(Ref<'_, File>, u64)> {
        let _read = self.mm_struct().mmap_sem.read(site::EVICT__MMAP_SEM);
        let vma = self.find_vma(addr).filter(|vma| vma.start() <= addr);
        let file = vma.and_then(|vma| Some((vma, vma.vm_file().peek().some()?)));
        let told = if file.is_some() {
            Told::Done
        } else {
            Told::Refused
        };
        self.mark(StepKind::Decide, self.areas(), told);
        let (vma, file) = file?;
        let file = self.files.get(file);
        self.get_file(file);
        Some((file, vma.pgoff_of(addr)))
    }

    /// Takes a page out of every address space and of the page cache, unless a locked area maps it.
    ///
    /// The page is locked all the while (`trylock_page`): from the look at the page tables until it is
    /// gone from the page cache no fault maps it. Here the lock is waited for, since it is that of all
    /// pages of the file, and others are no reason to leave this one.
    fn shrink_file_page(&self, file: Ref<'_, File>, page: u64) -> bool {
        let _page =
            (!defect!(self, EvictUnlocked)).then(|| file.pages().lock(site::EVICT__LOCK_PAGE));
        // By the size it is known which pages there are, but for those that are yet to be dropped.
        let end = file.absent().end(file.pages_in(site::EVICT__SIZE));
        if page >= end || file.absent().lacks(page) {
            self.mark(StepKind::Decide, file.page(page), Told::Refused);
            return false;
        }
        {
            let _i_mmap = file.i_mmap_rwsem().read(site::EVICT__I_MMAP);
            let maps = Maps::File(file.handle().index(), page);
            let mut locked = false;
            self.rmap_walk_file(file, page, |vma, addr| {
                locked |= vma.flags().contains(VmFlags::LOCKED) && self.maps_page(vma, addr, maps);
            });
            let told = if locked { Told::Refused } else { Told::Done };
            self.mark(StepKind::Decide, file.page(page), told);
            if locked {
                return false;
            }
            let mut unmapped = false;
            self.rmap_walk_file(file, page, |vma, addr| {
                if !(unmapped && defect!(self, EvictLeavesEntries)) {
                    let mm = self.mm(vma.vm_mm().peek());
                    mm.invalidate_range_start();
                    unmapped |= self.try_to_unmap_file_page(vma, addr, maps);
                    mm.invalidate_range_end();
                }
            });
        }
        file.absent().delete(site::REMOVE_MAPPING__PAGE, page);
        self.mark_done(StepKind::Drop, file.page(page));
        at::section();
        true
    }
}
