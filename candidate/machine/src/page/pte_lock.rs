//! How a fault finds its entry and takes the lock of its table, under mmap_sem and without.

use vmadiff_contract::{Misuse, Reason, TableId};
use vmadiff_interleave::{Site, SpinGuard, Word};

use crate::core::current::Current;
use crate::core::slab::Handle;
use crate::defects::defect;
use crate::design::Design;
use crate::page::table::{PGD_SHIFT, PMD_SHIFT, PUD_SHIFT, Table, index};
use crate::page::vmf::{Fault, Vmf};
use crate::reasons as reason;
use crate::sites as site;

impl<D: Design> Current<'_, D> {
    /// Finds the entry and takes its lock (`pte_map_lock`); false: the fault gives up.
    pub fn pte_map_lock<'a>(&'a self, vmf: &mut Vmf<'a, D>) -> bool {
        if vmf.optimistic() {
            return self.lock_optimistically(vmf);
        }
        let Some(table) = vmf.table else {
            return false;
        };
        vmf.ptl = Some(table.lock_ptl(site::PTE_MAP_LOCK__LOCK));
        table.alive()
    }

    /// Takes the lock of an entry that was found (`pte_spinlock`); false: the fault gives up.
    pub fn pte_spinlock<'a>(&'a self, vmf: &mut Vmf<'a, D>) -> bool {
        self.pte_map_lock(vmf)
    }

    /// Interrupts are off from the look at the VMA until the lock is held, so that its tables stay;
    /// on again before another try, since the lock's holder may be waiting for this processor.
    fn lock_optimistically<'a>(&'a self, vmf: &mut Vmf<'a, D>) -> bool {
        loop {
            let irq = self.irqs.disable(site::PTE_MAP_LOCK__IRQ);
            let locked = self.try_lock_optimistically(vmf);
            self.task.walking.init(Handle::NULL);
            drop(irq);
            match locked {
                Ok(None) => {
                    if let Some(table) = vmf.table {
                        table.ptl().relax(site::PTE_MAP_LOCK__RELAX);
                    }
                }
                Ok(Some(ptl)) => {
                    vmf.ptl = Some(ptl);
                    return true;
                }
                Err(why) => {
                    self.give_up(why);
                    return false;
                }
            }
        }
    }

    /// One try: none if somebody holds the lock.
    fn try_lock_optimistically<'a>(
        &'a self,
        vmf: &mut Vmf<'a, D>,
    ) -> Result<Option<SpinGuard<'a>>, &'static Reason> {
        D::still(self, vmf, false)?;
        self.task.walking.init(vmf.pmd.handle());
        let at = index(vmf.address, PMD_SHIFT);
        let changed = vmf.pmd.lower(site::PTE_MAP_LOCK__PMD, at) != vmf.orig_pmd;
        if changed && !defect!(self, CollapseUnnoticed) {
            return Err(&reason::PMD_CHANGED);
        }
        let pmd = if defect!(self, PmdReadAgain) {
            self.read_pmd_again(vmf)?
        } else {
            vmf.orig_pmd
        };
        self.task.walking.init(pmd);
        let table = self.table(pmd);
        vmf.table = Some(table);
        let ptl = table.try_lock_ptl(site::PTE_MAP_LOCK__TRYLOCK);
        if table.ptl_gone().peek() {
            self.misuse(Misuse::DeadLock(TableId(table.ordinal())));
        }
        let Some(ptl) = ptl else {
            return Ok(None);
        };
        D::still(self, vmf, true)?;
        self.tell_reads(vmf);
        Ok(Some(ptl))
    }

    /// The defect A29: the entry is believed to be what it just was.
    pub fn read_pmd_again(&self, vmf: &Vmf<'_, D>) -> Result<Handle<Table>, &'static Reason> {
        let pmd = vmf
            .pmd
            .lower(site::PTE_MAP_LOCK__PMD_AGAIN, index(vmf.address, PMD_SHIFT));
        if pmd.is_null() {
            let table = TableId(vmf.orig_pmd.ordinal());
            self.misuse(Misuse::DeadTable(table));
            return Err(&reason::PMD_CHANGED);
        }
        Ok(pmd)
    }

    /// Walks the page tables to the entry of a fault without mmap_sem. Interrupts are off, so that
    /// the tables on the way are not freed. No table is made: it could outlive the areas of its
    /// range.
    ///
    /// # Errors
    /// It gave up: a table is missing.
    pub fn walk_irqs_off<'a>(&'a self, vmf: &mut Vmf<'a, D>, at: &WalkSites) -> Result<(), Fault> {
        let mm = self.mm_struct();
        let _irq = self.irqs.disable(at.irq);
        let pgd = mm.pgd.get(at.pgd, index(vmf.address, PGD_SHIFT));
        let walked = self.walk_below(vmf, Handle::from_word(pgd), at);
        self.task.walking.init(Handle::NULL);
        walked
    }

    /// The table that an entry names, as it was found there.
    ///
    /// Deviation (N10): v12 reads the entry once to check it and once more to go down by it. What was
    /// cleared in between leads it to no table at all.
    fn once_more(
        &self,
        found: Handle<Table>,
        again: impl FnOnce() -> u64,
    ) -> Result<Handle<Table>, Fault> {
        if !defect!(self, UpperReadAgain) {
            return Ok(found);
        }
        let again = Handle::from_word(again()).some();
        again.ok_or_else(|| {
            self.misuse(Misuse::LostTable(TableId(found.ordinal())));
            self.give_up(&reason::NO_UPPER_TABLE)
        })
    }

    fn walk_below<'a>(
        &'a self,
        vmf: &mut Vmf<'a, D>,
        pud: Handle<Table>,
        at: &WalkSites,
    ) -> Result<(), Fault> {
        let addr = vmf.address;
        let walk_in = |table: Handle<Table>| {
            self.task.walking.init(table);
            self.table(table)
        };
        let missing = |why| move || self.give_up(why);
        let pud = pud.some().ok_or_else(missing(&reason::NO_UPPER_TABLE))?;
        let top = &self.mm_struct().pgd;
        let pud = walk_in(self.once_more(pud, || {
            top.get(site::PUD_OFFSET__PGD, index(addr, PGD_SHIFT))
        })?);
        let at_pud = index(addr, PUD_SHIFT);
        let pmd = pud.lower(at.pud, at_pud).some();
        let pmd = pmd.ok_or_else(missing(&reason::NO_UPPER_TABLE))?;
        let pmd =
            walk_in(self.once_more(pmd, || pud.lower(site::PMD_OFFSET__PUD, at_pud).to_word())?);
        vmf.pmd = pmd;
        let at_pmd = index(addr, PMD_SHIFT);
        vmf.orig_pmd = pmd.lower(at.pmd, at_pmd);
        let table = vmf.orig_pmd.some().ok_or_else(missing(&reason::NO_TABLE))?;
        let table = walk_in(self.once_more(table, || {
            pmd.lower(site::PTE_OFFSET_MAP__PMD, at_pmd).to_word()
        })?);
        vmf.table = Some(table);
        vmf.orig_pte = table.pte(at.pte, index(addr, 12));
        vmf.reads.entry = self.moment();
        Ok(())
    }
}

/// The sites of a walk, which are the design's.
pub struct WalkSites {
    /// Interrupts go off.
    pub irq: Site,
    /// The top table's entry.
    pub pgd: Site,
    /// The upper table's entry.
    pub pud: Site,
    /// The middle table's entry.
    pub pmd: Site,
    /// The page's entry.
    pub pte: Site,
}
