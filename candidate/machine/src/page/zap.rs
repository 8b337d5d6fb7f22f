//! Taking pages out of page tables (`unmap_vmas`, `unmap_mapping_range`).
//!
//! The design is told ([`Why::Zap`]), also where mmap_sem is held for reading or not at all (madvise,
//! truncation). A VMA that is being unmapped has left the tree; one that stays may be faulted in
//! again at any time.

use vmadiff_contract::StepKind;

use crate::area::vma::Vma;
use crate::core::machine::Machine;
use crate::core::mm::Mm;
use crate::core::slab::{Handle, Ref};
use crate::defects::defect;
use crate::design::{Design, Why};
use crate::page::gather::Gather;
use crate::page::pgtable::{Pass, PteTable};
use crate::page::pte::{Maps, Pte};
use crate::sites as site;

/// Which pages are taken out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// All of them, swap entries too.
    All,
    /// Those of the file itself; private copies stay.
    FileOnly,
}

impl<D: Design> Machine<D> {
    /// Takes out the pages of a list of areas in a range (`unmap_vmas`).
    pub fn unmap_vmas(
        &self,
        gather: &mut Gather<'_, D>,
        first: Ref<'_, Vma>,
        start: u64,
        end: u64,
    ) {
        gather.mm().invalidate_range_start();
        let mut next = Some(first);
        while let Some(vma) = next.filter(|vma| vma.start() < end) {
            self.unmap_single_vma(gather, vma, start, end, Which::All);
            next = self.next(vma);
        }
        gather.mm().invalidate_range_end();
    }

    /// Takes out the pages of an area in a range (`unmap_single_vma`, `unmap_page_range`).
    pub fn unmap_single_vma(
        &self,
        gather: &mut Gather<'_, D>,
        vma: Ref<'_, Vma>,
        start: u64,
        end: u64,
        which: Which,
    ) {
        D::change(self, vma, Why::Zap);
        let (mut addr, end) = (vma.start().max(start), vma.end().min(end));
        while let Some(part) = self.pass_table(gather.mm(), addr, end) {
            self.zap_pte_range(gather, part, which);
            addr = part.end;
        }
        D::changed(self, vma, Why::Zap);
    }

    /// Takes out the pages of a lowest table in a range. When a batch is full, the TLBs are flushed under
    /// the lock, which is given up while its frames are put.
    fn zap_pte_range(&self, gather: &mut Gather<'_, D>, part: PteTable<'_>, which: Which) {
        let mut pass = self.pass(part);
        loop {
            let ptl = part.table.lock_ptl(site::ZAP_PTE_RANGE__PTL);
            let force_flush = self.zap_ptes(gather, part, &mut pass, which);
            if force_flush {
                gather.flush_tlbs();
            }
            drop(ptl);
            if !force_flush {
                return;
            }
            gather.free();
        }
    }

    /// Takes out what a pass comes by, until it is over or, which is answered, a batch is full.
    fn zap_ptes(
        &self,
        gather: &mut Gather<'_, D>,
        part: PteTable<'_>,
        pass: &mut Pass<'_, D>,
        which: Which,
    ) -> bool {
        let PteTable { addr, table, .. } = part;
        let mm = gather.mm();
        let base = addr >> 21 << 21;
        for at in pass {
            let pte = table.pte(site::ZAP_PTE_RANGE__PTE, at);
            let Some(maps) = pte.maps() else { continue };
            if which == Which::FileOnly && !matches!(maps, Maps::File(..)) {
                self.passed(table, at, pte);
                continue;
            }
            self.set_pte(
                StepKind::Pass,
                site::ZAP_PTE_RANGE__CLEAR,
                table,
                at,
                Pte::NONE,
            );
            if pte.present() {
                gather.cleared(base + (at as u64) * 4096);
            }
            match maps {
                Maps::Anon(frame) => {
                    mm.rss_anon.count(1u64.wrapping_neg());
                    self.page_remove_rmap(frame);
                    if gather.remove_page(frame) {
                        return true;
                    }
                }
                Maps::File(..) => mm.rss_file.count(1u64.wrapping_neg()),
                Maps::Zero => {}
                Maps::Swap(slot) => {
                    mm.swap_entries.count(1u64.wrapping_neg());
                    self.swap_free(site::ZAP_PTE_RANGE__SWAP_FREE, slot);
                }
            }
        }
        false
    }

    /// Takes out the pages of a range of one area, TLBs included (`zap_page_range`).
    pub fn zap_page_range(&self, vma: Ref<'_, Vma>, start: u64, end: u64, which: Which) {
        let mm = vma.vm_mm().peek();
        let mut gather = Gather::new(self, mm, start, end);
        self.mm(mm).invalidate_range_start();
        self.unmap_single_vma(&mut gather, vma, start, end, which);
        self.mm(mm).invalidate_range_end();
        gather.finish();
    }

    /// Takes out and frees the pages and tables of areas that left their tree (`unmap_region`).
    /// `prev` and `next` are the areas that remain beside the gap.
    pub fn unmap_region(
        &self,
        mm: Handle<Mm>,
        first: Ref<'_, Vma>,
        prev: Option<Ref<'_, Vma>>,
        next: Option<Ref<'_, Vma>>,
        start: u64,
        end: u64,
    ) {
        let mut gather = Gather::new(self, mm, start, end);
        self.unmap_vmas(&mut gather, first, start, end);
        let floor = prev.map_or(0, Ref::end);
        let ceiling = next.map_or(0, |next| next.vm_start().get(site::UNMAP_REGION__CEILING));
        self.free_pgtables(&mut gather, first, floor, ceiling);
        gather.finish();
        self.unlink_behind_tables(first);
    }

    /// Frees the page tables of a list of areas (`free_pgtables`), and takes the areas off the
    /// lists by which their pages are found. Each area's links go as a change.
    pub fn free_pgtables(
        &self,
        gather: &mut Gather<'_, D>,
        first: Ref<'_, Vma>,
        floor: u64,
        ceiling: u64,
    ) {
        let near = |a: u64, b: u64| b <= a.saturating_add(1 << 21);
        let mut vma = first;
        loop {
            let addr = vma.start();
            self.unlink_before_tables(vma);
            let mut next = self.next(vma);
            while let Some(close) = next.filter(|next| near(vma.end(), next.start())) {
                vma = close;
                self.unlink_before_tables(vma);
                next = self.next(vma);
            }
            let ceiling = next.map_or(ceiling, Ref::start);
            self.free_pgd_range(gather, addr, vma.end(), floor, ceiling);
            match next {
                Some(next) => vma = next,
                None => return,
            }
        }
    }

    /// What [`Self::free_pgtables`] has left on the lists, with a defect.
    pub fn unlink_behind_tables(&self, first: Ref<'_, Vma>) {
        let mut next = Some(first).filter(|_| defect!(self, TablesFreedBeforeUnlink));
        while let Some(vma) = next {
            self.unlink_from_rmap(vma);
            next = self.next(vma);
        }
    }

    fn unlink_before_tables(&self, vma: Ref<'_, Vma>) {
        if !defect!(self, TablesFreedBeforeUnlink) {
            self.unlink_from_rmap(vma);
        }
    }

    fn unlink_from_rmap(&self, vma: Ref<'_, Vma>) {
        D::change(self, vma, Why::Unlink);
        self.unlink_anon_vmas(vma, true);
        D::changed(self, vma, Why::Unlink);
        self.unlink_file_vma(vma);
    }
}
