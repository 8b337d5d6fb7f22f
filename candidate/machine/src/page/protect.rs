//! Giving the present entries of a range another protection (mm/mprotect.c).

use vmadiff_contract::StepKind;

use crate::area::ops::PageProt;
use crate::area::vma::Vma;
use crate::core::machine::Machine;
use crate::core::slab::Ref;
use crate::defects::defect;
use crate::design::Design;
use crate::page::pgtable::PteTable;
use crate::page::pte::{Maps, Pte};
use crate::sites as site;

/// What entries are to allow.
#[derive(Clone, Copy)]
pub enum NewProt {
    /// What their area allows (mprotect).
    Of(PageProt),
    /// Nothing, of pages that are worth a fault, to learn who uses them (`prot_numa`).
    Numa,
}

impl<D: Design> Machine<D> {
    /// Gives the present entries of a range a new protection and makes the TLBs forget the old
    /// one (`change_protection`).
    pub fn change_protection(&self, vma: Ref<'_, Vma>, start: u64, end: u64, to: NewProt) {
        let mm = vma.vm_mm().peek();
        let pending = &self.mm(mm).tlb_flush_pending;
        pending.add(site::CHANGE_PROTECTION__PENDING, 1);
        let mut changed = false;
        let mut addr = start;
        self.mm(mm).invalidate_range_start();
        while let Some(part) = self.pass_table(self.mm(mm), addr, end) {
            changed |= self.change_pte_range(part, to);
            addr = part.end;
        }
        self.mm(mm).invalidate_range_end();
        if changed {
            self.flush_tlb_range(mm, start, end);
        }
        pending.add(site::CHANGE_PROTECTION__DONE, 1u64.wrapping_neg());
    }

    /// The entries of one lowest table.
    fn change_pte_range(&self, part: PteTable<'_>, to: NewProt) -> bool {
        let table = part.table;
        let (lock, read, set) = match to {
            NewProt::Of(_) => (
                site::CHANGE_PTE_RANGE__PTL,
                site::CHANGE_PTE_RANGE__PTE,
                site::CHANGE_PTE_RANGE__SET,
            ),
            NewProt::Numa => (
                site::CHANGE_PROT_NUMA__PTL,
                site::CHANGE_PROT_NUMA__PTE,
                site::CHANGE_PROT_NUMA__SET,
            ),
        };
        let locked = matches!(to, NewProt::Of(_)) || !defect!(self, NumaScanUnlocked);
        let _ptl = locked.then(|| table.lock_ptl(lock));
        let mut changed = false;
        for at in self.pass(part) {
            let pte = table.pte(read, at);
            let new = match to {
                NewProt::Of(prot) => pte.present().then(|| pte.modify(prot)),
                NewProt::Numa => self.is_worth_a_fault(pte).then(|| pte.mknuma()),
            };
            if let Some(new) = new {
                self.set_pte(StepKind::Pass, set, table, at, new);
                changed = true;
            } else {
                self.passed(table, at, pte);
            }
        }
        changed
    }

    /// Not the zero page, nor a private page that others map too.
    fn is_worth_a_fault(&self, pte: Pte) -> bool {
        let page = match pte.maps() {
            Some(Maps::Anon(page)) => {
                let mapped = self.frame(page).mapcount();
                mapped.get(site::CHANGE_PROT_NUMA__MAPCOUNT) == 1
            }
            Some(Maps::File(..)) => true,
            Some(Maps::Zero | Maps::Swap(_)) | None => false,
        };
        page && !pte.protnone()
    }
}
