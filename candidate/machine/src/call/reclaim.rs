//! Writing a private page out to the swap device (`shrink_page_list`, `try_to_unmap`).

use vmadiff_contract::{About, StepKind, Told, VmFlags};
use vmadiff_interleave::at;

use crate::area::anon_vma::AnonVma;
use crate::core::current::Current;
use crate::core::mm::mm_id;
use crate::core::slab::{Handle, Ref};
use crate::design::Design;
use crate::page::frame::Frame;
use crate::page::pte::{Maps, Pte};
use crate::page::rmap::Unmapped;
use crate::page::table::{Table, index};
use crate::sites as site;

/// A page and the root of its anon_vmas, both held, if there is one to write out.
type Isolated<'a> = Option<(Ref<'a, Frame>, Ref<'a, AnonVma>)>;

/// Somebody else has the lock of this table's entries.
struct LockTaken<'a>(Ref<'a, Table>);

impl<D: Design> Current<'_, D> {
    /// The step `reclaim`: 1 if the page was written out.
    pub fn step_reclaim(&self, addr: u64) -> u64 {
        let Some((page, root)) = self.isolate_page(addr) else {
            return 0;
        };
        let locked = page.locked();
        let done = !locked.swap(site::SHRINK_PAGE__LOCK_PAGE, true) && {
            let done = self.shrink_page(page, root);
            locked.set(site::SHRINK_PAGE__UNLOCK_PAGE, false);
            done
        };
        self.put_page(site::SHRINK_PAGE__PUT_PAGE, page);
        self.put_anon_vma(root);
        done.into()
    }

    /// The private page at an address, held, with the root of its anon_vmas, held too.
    ///
    /// The kernel comes upon it by its own lists, whatever happens to its address meanwhile. So no
    /// area is asked for here: the page may be one of a range that munmap has detached and, mmap_sem
    /// downgraded, takes out right now, tables included. As for other walks without an area
    /// (`get_user_pages_fast`), interrupts are off so that the tables stay; on again before another
    /// try, since the lock's holder may be waiting for this processor. The walks that follow go by
    /// the page's anon_vma, under its lock, which areas leave before their tables go.
    ///
    /// Deviation (reclaim-reads): mmap_sem is held for reading.
    fn isolate_page(&self, addr: u64) -> Isolated<'_> {
        // Tables are found by the lower bits of an address; access_ok keeps such walks from others.
        if addr >= self.config().task_size {
            self.mark_looked_for(addr, Pte::NONE);
            return None;
        }
        let _read = self.mm_struct().mmap_sem.read(site::ISOLATE_PAGE__MMAP_SEM);
        loop {
            let irq = self.irqs.disable(site::ISOLATE_PAGE__IRQ);
            let table = self.pte_table_irqs_off(self.mm_struct(), addr);
            let tried = match table {
                Some(table) => self.try_isolate_page(table, addr),
                None => {
                    self.mark_looked_for(addr, Pte::NONE);
                    Ok(None)
                }
            };
            self.task.walking.init(Handle::NULL);
            drop(irq);
            match tried {
                Ok(isolated) => return isolated,
                Err(LockTaken(table)) => table.ptl().relax(site::ISOLATE_PAGE__RELAX),
            }
        }
    }

    /// One try, with interrupts off.
    fn try_isolate_page<'a>(
        &'a self,
        table: Ref<'a, Table>,
        addr: u64,
    ) -> Result<Isolated<'a>, LockTaken<'a>> {
        let ptl = table.try_lock_ptl(site::ISOLATE_PAGE__PTL);
        let _ptl = ptl.ok_or(LockTaken(table))?;
        let pte = table.pte(site::ISOLATE_PAGE__PTE, index(addr, 12));
        self.mark_looked_for(addr, pte);
        let Some(page) = pte.anon().map(|page| self.frame(page)) else {
            return Ok(None);
        };
        // While the page is mapped the areas that map it keep their anon_vmas.
        let anon = self.anon(page.anon().peek());
        let root = self.anon(anon.root().peek());
        if !root.alive() || root.refcount().get(site::ISOLATE_PAGE__GET_ANON).is_err() {
            return Ok(None);
        }
        self.get_page(site::ISOLATE_PAGE__GET_PAGE, page);
        Ok(Some((page, root)))
    }

    /// Tells which entry was found.
    fn mark_looked_for(&self, addr: u64, pte: Pte) {
        if !self.listens() {
            return;
        }
        self.tell_pte(None, StepKind::Decide, self.mm, addr, (pte, pte));
        if pte.anon().is_none() {
            let entry = About::Entry {
                mm: mm_id(self.mm),
                addr: addr & !4095,
            };
            self.mark(StepKind::Decide, entry, Told::Refused);
        }
    }

    /// Makes every entry that maps the page a swap entry, unless a locked area maps it.
    ///
    /// Deviation (no-batched-flush): each entry's TLBs are flushed at once.
    fn shrink_page(&self, page: Ref<'_, Frame>, root: Ref<'_, AnonVma>) -> bool {
        let _tree = self.anon_vma_lock(root.handle());
        // Mapped no longer: its own anon_vma may be gone, too.
        let Some(anon) = self.anons.find(page.anon().peek()) else {
            return false;
        };
        let maps = Maps::Anon(page.handle());
        let mut locked = None;
        self.rmap_walk_anon(anon, page, |vma, addr| {
            if locked.is_some() {
                return;
            }
            let (is, moment) = (vma.flags().contains(VmFlags::LOCKED), self.moment());
            if self.maps_page(vma, addr, maps) && is {
                locked = Some(moment);
            }
        });
        if let Some(moment) = locked {
            self.mark_since(moment, StepKind::Decide, page.about(), Told::Refused);
            return false;
        }
        // Areas were looked at one by one; that none is locked is known with the last.
        self.mark_done(StepKind::Decide, page.about());
        let slot = self.get_swap_page();
        page.swap().set(site::SHRINK_PAGE__SWAP, slot.handle());
        let (mut unmapped, mut locked) = (false, false);
        self.rmap_walk_anon(anon, page, |vma, addr| {
            if locked {
                return;
            }
            let mm = self.mm(vma.vm_mm().peek());
            mm.invalidate_range_start();
            let unmapped_one = self.try_to_unmap_one(vma, addr, page, slot);
            mm.invalidate_range_end();
            match unmapped_one {
                Unmapped::NotThere => {}
                Unmapped::Locked => locked = true,
                Unmapped::Here => unmapped = true,
            }
        });
        if locked && std::mem::take(&mut unmapped) {
            self.rmap_walk_anon(anon, page, |vma, addr| {
                self.map_again(vma, addr, page, slot);
            });
        }
        page.swap().set(site::SHRINK_PAGE__SWAP, Handle::NULL);
        slot.held().init(false);
        at::section();
        if slot.count().get(site::SHRINK_PAGE__SWAP_COUNT) == 0 {
            self.swap.free(slot.handle());
        }
        unmapped
    }
}
