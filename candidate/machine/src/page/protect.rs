//! Giving the present entries of a range another protection (mm/mprotect.c).

use crate::area::ops::PageProt;
use crate::area::vma::Vma;
use crate::core::machine::Machine;
use crate::core::slab::Ref;
use crate::design::Design;
use crate::page::pgtable::PteTable;
use crate::page::pte::{Maps, Pte};
use crate::page::table::index;
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
        let mut changed = false;
        let mut addr = start;
        while let Some(part) = self.next_pte_table(self.mm(mm), addr, end) {
            changed |= self.change_pte_range(part, to);
            addr = part.end;
        }
        if changed {
            self.flush_tlb_range(mm, start, end);
        }
    }

    /// The entries of one lowest table.
    fn change_pte_range(&self, part: PteTable<'_>, to: NewProt) -> bool {
        let PteTable { addr, end, table } = part;
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
        let last = index(end - 1, 12);
        let _ptl = table.ptl().lock(lock);
        let mut changed = false;
        let mut from = index(addr, 12);
        while let Some(at) = table.entries().next(from).filter(|&at| at <= last) {
            from = at + 1;
            let pte = table.pte(read, at);
            let new = match to {
                NewProt::Of(prot) => pte.present().then(|| pte.modify(prot)),
                NewProt::Numa => self.is_worth_a_fault(pte).then(|| pte.mknuma()),
            };
            if let Some(new) = new {
                table.set_pte(set, at, new);
                changed = true;
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
