//! Bringing a page back from the swap device (`do_swap_page`), which answers at once like zram.
//!
//! There is no swap cache, so a page that several entries name is read into a frame for each. A
//! fault without mmap_sem reads only what one entry names; Linux would have to read ahead otherwise,
//! under mmap_sem.

use vmadiff_contract::{StepKind, Told};

use crate::core::current::Current;
use crate::core::slab::Handle;
use crate::design::Design;
use crate::page::frame::SwapSlot;
use crate::page::memory::writable_entry;
use crate::page::pte::{Maps, Pte};
use crate::page::vmf::{Fault, Vmf};
use crate::reasons as reason;
use crate::sites as site;

impl<D: Design> Current<'_, D> {
    /// A page that was swapped out.
    pub fn do_swap_page<'a>(&'a self, vmf: &mut Vmf<'a, D>, slot: Handle<SwapSlot>) -> Fault {
        if vmf.optimistic() {
            // Deviation (swap-vouched): pte_unmap_same compares nothing on 64 bits. Whoever swapped
            // it in meanwhile served this fault.
            if !self.pte_spinlock(vmf) {
                return Fault::Retry;
            }
            let same = vmf.pte(site::DO_SWAP_PAGE__PTE_UNMAP_SAME) == vmf.orig_pte;
            if !same {
                self.leave_pte(vmf);
            }
            vmf.unlock();
            if !same {
                vmf.mark();
                return Fault::MINOR;
            }
        }
        let from = self.swap.get(slot);
        let alone = from.count().get(site::DO_SWAP_PAGE__SWAP_COUNT) == 1;
        if vmf.optimistic() && (!alone || from.held().peek()) {
            return self.give_up(&reason::SWAP_READ);
        }
        if from.held().peek() {
            // The page is locked until all its entries are gone and it is written out: contents may
            // still change (`lock_page_or_retry`). Here who writes it out has the anon_vma's lock.
            drop(self.anon_vma_lock(vmf.anon_vma()));
        }
        let Some(page) = self.alloc_page_for(vmf) else {
            return self.out_of_memory(vmf);
        };
        page.contents()
            .init_page(site::DO_SWAP_PAGE__READ, from.contents(), 0);
        let read = self.moment();
        if !self.pte_map_lock(vmf) {
            self.put_page(site::DO_SWAP_PAGE__PUT_PAGE, page);
            return Fault::Retry;
        }
        self.mark_since(read, StepKind::Copy, page.about(), Told::Done);
        if vmf.pte(site::DO_SWAP_PAGE__PTE_SAME) != vmf.orig_pte {
            self.leave_pte(vmf);
            vmf.served();
            self.put_page(site::DO_SWAP_PAGE__PUT_PAGE, page);
            return Fault::MAJOR;
        }
        let mm = self.mm_struct();
        mm.rss_anon.count(1);
        mm.swap_entries.count(1u64.wrapping_neg());
        self.page_add_new_anon_rmap(page, vmf.anon_vma(), self.index_of(vmf));
        let pte = if vmf.write {
            writable_entry(vmf, page)
        } else {
            Pte::make(Maps::Anon(page.handle()), vmf.vma_page_prot).wrprotect()
        };
        self.set_fault_pte(vmf, site::DO_SWAP_PAGE__SET_PTE, pte);
        vmf.mark();
        self.swap_free(site::DO_SWAP_PAGE__SWAP_FREE, slot);
        vmf.unlock();
        Fault::MAJOR
    }
}
