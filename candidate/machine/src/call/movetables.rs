//! Moving page-table entries from one range of an address space to another (`move_page_tables`).
//!
//! Whoever looks for the mappings of a page by its anon_vma or file must meet an entry at one of
//! its two places. The lists of areas have no order that would see to it, as the kernel's trees do
//! for most moves, so the locks of these lists are always held (`take_rmap_locks`): Deviation
//! (move-locks-lists).

use vmadiff_contract::{StepKind, VmFlags};
use vmadiff_interleave::{Word, WriteGuard};

use crate::area::vma::Vma;
use crate::call::mremap::Remap;
use crate::core::current::Current;
use crate::core::slab::Ref;
use crate::defects::defect;
use crate::design::Design;
use crate::page::pgtable::PteTable;
use crate::page::pte::Pte;
use crate::page::table::{PMD_SHIFT, Table, index};
use crate::sites as site;

/// What a lowest table covers, bytes.
const PMD_SIZE: u64 = 1 << PMD_SHIFT;

impl<D: Design> Current<'_, D> {
    /// Moves the entries of the old range, swap entries too. Both areas are under change.
    pub fn move_page_tables(&self, vma: Ref<'_, Vma>, new: Ref<'_, Vma>, asked: &Remap) {
        debug_assert_eq!(vma.flags() ^ new.flags(), VmFlags::empty());
        let mm = self.mm_struct();
        let old_end = asked.addr + asked.old_len;
        let mut addr = asked.addr;
        mm.invalidate_range_start();
        while let Some(part) = self.pass_table(mm, addr, old_end) {
            let new_addr = asked.new_addr + (part.addr - asked.addr);
            let whole = part.end - part.addr == PMD_SIZE && new_addr & (PMD_SIZE - 1) == 0;
            if whole && self.move_normal_pmd(vma, part, new_addr) {
                addr = part.end;
                continue;
            }
            // No further than the end of the new table.
            let room = PMD_SIZE - (new_addr & (PMD_SIZE - 1));
            let end = part.end.min(part.addr + room);
            self.move_ptes(vma, PteTable { end, ..part }, new_addr);
            addr = end;
        }
        mm.invalidate_range_end();
    }

    /// Moves a whole table (`move_normal_pmd`); false if there is one already at the new place.
    ///
    /// Deviation (A12): v12 does so without the lock of the table's entries, which a speculative
    /// fault may hold that has just looked at the area for the last time. Copying a page, it would
    /// then clear the entry at the new address and flush the old one.
    fn move_normal_pmd(&self, vma: Ref<'_, Vma>, part: PteTable<'_>, new_addr: u64) -> bool {
        let mm = self.mm_struct();
        let Some(old_pmd) = self.pmd_table(mm, part.addr) else {
            return false;
        };
        let new_pmd = self.pmd_alloc(mm, new_addr);
        let (old_at, new_at) = (index(part.addr, PMD_SHIFT), index(new_addr, PMD_SHIFT));
        if !new_pmd.lower(site::MOVE_NORMAL_PMD__NEW, new_at).is_null() {
            return false;
        }
        let _rmap = self.take_rmap_locks(vma);
        let _ptl = (!defect!(self, TableMovedUnlocked))
            .then(|| part.table.lock_ptl(site::MOVE_NORMAL_PMD__PTL));
        {
            let _lock = mm.page_table_lock.lock(site::MOVE_NORMAL_PMD__LOCK);
            let table = part.table.handle().to_word();
            old_pmd
                .entries()
                .set(site::MOVE_NORMAL_PMD__CLEAR, old_at, 0);
            self.table_left(part);
            new_pmd
                .entries()
                .set(site::MOVE_NORMAL_PMD__SET, new_at, table);
            self.table_came(part, new_addr);
        }
        self.flush_tlb_range(self.mm, part.addr, part.end);
        true
    }

    /// Tells that the entries of a table that is moved are no longer at their old place.
    fn table_left(&self, part: PteTable<'_>) {
        if self.listens() {
            part.table.left().init(self.moment());
            for at in self.pass(part) {
                let pte = part.table.peek_pte(at);
                let old = part.addr + (at as u64) * 4096;
                self.tell_pte(None, StepKind::Pass, self.mm, old, (pte, Pte::NONE));
            }
        }
        part.table.unhang();
    }

    /// Tells where they are now.
    fn table_came(&self, part: PteTable<'_>, new_addr: u64) {
        let (mm, table) = (self.mm, part.table);
        if self.listens() {
            for (at, _) in table.entries().iter() {
                let pte = table.peek_pte(at);
                let new = new_addr + (at as u64) * 4096;
                self.tell_pte(None, StepKind::Pass, mm, new, (Pte::NONE, pte));
            }
        }
        table.hang(mm, new_addr);
    }

    /// Moves entries of one table to one other (`move_ptes`). The TLBs are flushed before the locks
    /// are given back: nobody may use an entry at its old place once it can be changed at the new.
    fn move_ptes(&self, vma: Ref<'_, Vma>, part: PteTable<'_>, new_addr: u64) {
        let mm = self.mm_struct();
        let pmd = self.pmd_alloc(mm, new_addr);
        let to = self.pte_alloc(mm, pmd, new_addr);
        let rmap = self.take_rmap_locks(vma);
        let from: Ref<'_, Table> = part.table;
        let old_ptl = from.lock_ptl(site::MOVE_PTES__OLD_PTL);
        let new_ptl = (to != from).then(|| to.lock_ptl(site::MOVE_PTES__NEW_PTL));
        let (first, new_first) = (index(part.addr, 12), index(new_addr, 12));
        let mut present = false;
        for at in self.pass(part) {
            let pte = from.pte(site::MOVE_PTES__PTE, at);
            self.set_pte(StepKind::Pass, site::MOVE_PTES__CLEAR, from, at, Pte::NONE);
            present |= pte.present();
            let at = new_first + (at - first);
            self.set_pte(StepKind::Pass, site::MOVE_PTES__SET, to, at, pte);
        }
        let locks = (new_ptl, old_ptl, rmap);
        if defect!(self, MoveFlushedLate) {
            drop(locks);
        }
        if present {
            self.flush_tlb_range(self.mm, part.addr, part.end);
        }
    }

    /// The locks of the lists by which an area's pages are found, its file's and its anon_vma's.
    fn take_rmap_locks(&self, vma: Ref<'_, Vma>) -> [Option<WriteGuard<'_>>; 2] {
        let file = vma.vm_file().peek().some().map(|file| self.files.get(file));
        let i_mmap = file.map(|file| file.i_mmap_rwsem().write(site::TAKE_RMAP_LOCKS__I_MMAP));
        let anon = vma.anon_vma().peek().some();
        [i_mmap, anon.map(|anon| self.anon_vma_lock(anon))]
    }
}
