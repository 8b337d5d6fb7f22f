//! NUMA scanning: the present pages of a range are made to fault, to learn who uses them
//! (`change_prot_numa`).

use vmadiff_contract::{StepKind, VmFlags};
use vmadiff_interleave::at;

use crate::area::vma::Vma;
use crate::core::current::Current;
use crate::core::slab::Ref;
use crate::design::{Design, Why};
use crate::page::protect::NewProt;
use crate::sites as site;

impl<D: Design> Current<'_, D> {
    /// The step `numa_scan` (`task_numa_work`): 0.
    pub fn step_numa_scan(&self, addr: u64, len: u64) -> u64 {
        let end = addr.saturating_add(len);
        let _read = self.mm_struct().mmap_sem.read(site::NUMA_SCAN__MMAP_SEM);
        let mut next = self.find_vma(addr);
        while let Some(vma) = next.filter(|vma| vma.start() < end) {
            let rwx = VmFlags::READ | VmFlags::WRITE | VmFlags::EXEC;
            if vma.flags().intersects(rwx) {
                self.mark_done(StepKind::Decide, self.areas());
                self.change_prot_numa(vma, addr.max(vma.start()), end.min(vma.end()));
            }
            next = self.next(vma);
        }
        self.mark_done(StepKind::Decide, self.areas());
        at::section();
        0
    }

    /// Takes the permissions from a range's entries (`change_prot_numa`).
    fn change_prot_numa(&self, vma: Ref<'_, Vma>, start: u64, end: u64) {
        D::change(self, vma, Why::Numa);
        self.change_protection(vma, start, end, NewProt::Numa);
        D::changed(self, vma, Why::Numa);
    }
}
