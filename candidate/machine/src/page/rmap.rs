//! From a page to the entries that map it, and back (mm/rmap.c). How areas come by the anon_vmas that
//! this goes by, `area::anon_vma` says.

use vmadiff_contract::{About, StepKind, Told, VmFlags};

use crate::area::anon_vma::AnonVma;
use crate::area::ops::PageProt;
use crate::area::vma::Vma;
use crate::core::current::Current;
use crate::core::file::File;
use crate::core::machine::Machine;
use crate::core::mm::mm_id;
use crate::core::slab::{Handle, Ref};
use crate::defects::defect;
use crate::design::Design;
use crate::page::frame::{Frame, SwapSlot};
use crate::page::pte::{Maps, Pte};
use crate::page::table::index;
use crate::sites as site;

impl<D: Design> Machine<D> {
    /// A new page is mapped for the first time (`page_add_new_anon_rmap`).
    /// `index`: where walks by its anon_vma look for it, in pages.
    pub fn page_add_new_anon_rmap(&self, page: Ref<'_, Frame>, anon: Handle<AnonVma>, index: u64) {
        page.anon().init(anon);
        page.index().init(index);
        page.mapcount().init(1);
    }

    /// An entry maps the frame no longer (`page_remove_rmap`).
    pub fn page_remove_rmap(&self, frame: Handle<crate::page::frame::Frame>) {
        let less = 1u64.wrapping_neg();
        self.frame(frame)
            .mapcount()
            .add(site::PAGE_REMOVE_RMAP__MAPCOUNT, less);
    }
}

/// What came of taking a page out of one place.
pub enum Unmapped {
    /// The page is not mapped there.
    NotThere,
    /// The area is locked: it stays.
    Locked,
    /// It was.
    Here,
}

impl<D: Design> Current<'_, D> {
    /// Shows each area that may map a page, with the address (`rmap_walk_anon`).
    pub fn rmap_walk_anon<'a>(
        &'a self,
        anon: Ref<'a, AnonVma>,
        page: Ref<'_, Frame>,
        mut see: impl FnMut(Ref<'a, Vma>, u64),
    ) {
        let index = page.index().peek();
        let mut link = anon.first().peek();
        while let Some(avc) = link.some().map(|link| self.avcs.get(link)) {
            link = avc.anon_next().peek();
            let vma = self.vma(avc.vma().peek());
            let at = index.wrapping_sub(vma.vm_pgoff().peek());
            if at < vma.pages() {
                see(vma, vma.start() + at * 4096);
            }
        }
    }

    /// Shows each area that may map a page of a file, with the address (`rmap_walk_file`), under the
    /// lock of the file's list.
    pub fn rmap_walk_file<'a>(
        &'a self,
        file: Ref<'_, File>,
        index: u64,
        mut see: impl FnMut(Ref<'a, Vma>, u64),
    ) {
        let mut next = self.vma_opt(file.i_mmap().peek());
        while let Some(vma) = next {
            next = self.vma_opt(vma.shared_next().peek());
            let at = index.wrapping_sub(vma.vm_pgoff().peek());
            if at < vma.pages() {
                see(vma, vma.start() + at * 4096);
            }
        }
    }

    /// Whether the entry of an address maps this page (`page_vma_mapped_walk`).
    pub fn maps_page(&self, vma: Ref<'_, Vma>, addr: u64, page: Maps) -> bool {
        let mm = self.mm(vma.vm_mm().peek());
        self.pte_table(mm, addr).is_some_and(|table| {
            let _ptl = table.lock_ptl(site::PAGE_VMA_MAPPED__PTL);
            let pte = table.pte(site::PAGE_VMA_MAPPED__PTE, index(addr, 12));
            pte.maps() == Some(page)
        })
    }

    /// Clears one entry that maps a page of a file (`try_to_unmap_one`); false if it does not.
    pub fn try_to_unmap_file_page(&self, vma: Ref<'_, Vma>, addr: u64, page: Maps) -> bool {
        let handle = vma.vm_mm().peek();
        let mm = self.mm(handle);
        let Some(table) = self.pte_table(mm, addr) else {
            self.mark_gap(StepKind::Pass, handle, addr, addr + 4096);
            return false;
        };
        let _ptl = table.lock_ptl(site::TRY_TO_UNMAP__PTL);
        let at = index(addr, 12);
        let pte = table.pte(site::TRY_TO_UNMAP__PTE, at);
        if pte.maps() != Some(page) {
            if pte.is_none() {
                self.mark_gap(StepKind::Pass, handle, addr, addr + 4096);
            } else {
                self.passed(table, at, pte);
            }
            return false;
        }
        self.set_pte(
            StepKind::Pass,
            site::TRY_TO_UNMAP__CLEAR,
            table,
            at,
            Pte::NONE,
        );
        self.flush_tlb_page(handle, addr);
        mm.rss_file.count(1u64.wrapping_neg());
        true
    }

    /// Makes one entry a swap entry (`try_to_unmap_one`), unless its area was locked meanwhile.
    pub fn try_to_unmap_one(
        &self,
        vma: Ref<'_, Vma>,
        addr: u64,
        page: Ref<'_, Frame>,
        slot: Ref<'_, SwapSlot>,
    ) -> Unmapped {
        let handle = vma.vm_mm().peek();
        let mm = self.mm(handle);
        let Some(table) = self.pte_table(mm, addr) else {
            return Unmapped::NotThere;
        };
        let _ptl = table.lock_ptl(site::TRY_TO_UNMAP__PTL);
        let at = index(addr, 12);
        let found = table.pte(site::TRY_TO_UNMAP__PTE, at);
        if found.anon() != Some(page.handle()) {
            return Unmapped::NotThere;
        }
        // Whoever has locked the area looks at its entries under this lock, and later.
        if vma.flags().contains(VmFlags::LOCKED) {
            let (mm, addr) = (mm_id(handle), addr & !4095);
            self.mark(StepKind::Decide, About::Entry { mm, addr }, Told::Refused);
            return Unmapped::Locked;
        }
        self.mark_entry(StepKind::Decide, table, at, (found, found));
        let write_out = || {
            slot.contents()
                .init_page(site::TRY_TO_UNMAP__WRITE_OUT, page.contents(), 0);
            self.mark_done(StepKind::Copy, page.about());
        };
        let early = defect!(self, WrittenOutEarly);
        if early {
            write_out();
        }
        self.set_pte(
            StepKind::Entry,
            site::TRY_TO_UNMAP__CLEAR,
            table,
            at,
            Pte::NONE,
        );
        self.flush_tlb_page(handle, addr);
        // No processor can store to it any more, unless another entry is writable: then this one
        // was the first to go, and the contents are taken again with that one.
        if !early {
            write_out();
        }
        self.swap_duplicate(site::TRY_TO_UNMAP__SWAP_DUPLICATE, slot.handle());
        mm.rss_anon.count(1u64.wrapping_neg());
        mm.swap_entries.count(1);
        let swapped = Pte::swap(slot.handle());
        self.set_pte(
            StepKind::Entry,
            site::TRY_TO_UNMAP__SET_SWAP,
            table,
            at,
            swapped,
        );
        self.page_remove_rmap(page.handle());
        self.put_page(site::TRY_TO_UNMAP__PUT_PAGE, page);
        Unmapped::Here
    }

    /// Sets an entry that was made a swap entry as it was, if it still is one: what faults would do by
    /// the swap cache. Several had the page, so none may be stored through. Linux has no such code: its
    /// counts and the entry are one step, by the area's flags of then.
    pub fn map_again(
        &self,
        vma: Ref<'_, Vma>,
        addr: u64,
        page: Ref<'_, Frame>,
        slot: Ref<'_, SwapSlot>,
    ) {
        let mm = self.mm(vma.vm_mm().peek());
        let Some(table) = self.pte_table(mm, addr) else {
            return;
        };
        let _ptl = table.lock_ptl(site::TRY_TO_UNMAP__PTL);
        let at = index(addr, 12);
        let found = table.pte(site::TRY_TO_UNMAP__PTE, at);
        if found.maps() != Some(Maps::Swap(slot.handle())) {
            return;
        }
        self.get_page(site::ISOLATE_PAGE__GET_PAGE, page);
        self.set_pte_by(
            StepKind::Entry,
            site::TRY_TO_UNMAP__SET_SWAP,
            table,
            at,
            || Pte::make(Maps::Anon(page.handle()), PageProt::of(vma.flags())).wrprotect(),
        );
        page.mapcount().init(page.mapcount().peek() + 1);
        mm.rss_anon.count(1);
        mm.swap_entries.count(1u64.wrapping_neg());
        slot.count().init(slot.count().peek() - 1);
    }
}
