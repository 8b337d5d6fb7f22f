//! NUMA scanning: the present pages of a range are made to fault, to learn who uses them
//! (`change_prot_numa`).

use vmadiff_contract::VmFlags;
use vmadiff_interleave::at;

use crate::current::Current;
use crate::design::{Design, Why};
use crate::pgtable::PteTable;
use crate::pte::{Maps, Pte};
use crate::sites as site;
use crate::slab::Ref;
use crate::table::index;
use crate::vma::Vma;

impl<D: Design> Current<'_, D> {
    /// The step `numa_scan` (`task_numa_work`): 0.
    pub fn step_numa_scan(&self, addr: u64, len: u64) -> u64 {
        let end = addr.saturating_add(len);
        let _read = self.mm_struct().mmap_sem.read(site::NUMA_SCAN__MMAP_SEM);
        let mut next = self.find_vma(addr);
        while let Some(vma) = next.filter(|vma| vma.start() < end) {
            let rwx = VmFlags::READ | VmFlags::WRITE | VmFlags::EXEC;
            if vma.flags().intersects(rwx) {
                self.change_prot_numa(vma, addr.max(vma.start()), end.min(vma.end()));
            }
            next = self.next(vma);
        }
        at::section();
        0
    }

    fn change_prot_numa(&self, vma: Ref<'_, Vma>, start: u64, end: u64) {
        D::change(self, vma, Why::Numa);
        let mut changed = false;
        let mut addr = start;
        while let Some(part) = self.next_pte_table(self.mm_struct(), addr, end) {
            changed |= self.hide_pte_range(part);
            addr = part.end;
        }
        if changed {
            self.flush_tlb_range(self.mm, start, end);
        }
        D::changed(self, vma, Why::Numa);
    }

    /// Takes the permissions from a lowest table's entries (`change_pte_range` with `prot_numa`).
    fn hide_pte_range(&self, part: PteTable<'_>) -> bool {
        let last = index(part.end - 1, 12);
        let _ptl = part.table.ptl().lock(site::CHANGE_PROT_NUMA__PTL);
        let mut changed = false;
        let mut from = index(part.addr, 12);
        while let Some(at) = part.table.entries().next(from).filter(|&at| at <= last) {
            from = at + 1;
            let pte = part.table.pte(site::CHANGE_PROT_NUMA__PTE, at);
            if self.is_worth_a_fault(pte) {
                part.table
                    .set_pte(site::CHANGE_PROT_NUMA__SET, at, pte.mknuma());
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
