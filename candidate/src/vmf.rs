//! A fault under way (`vm_fault`), and how it takes the page-table lock.

use vmadiff_contract::{Misuse, Reason, TableId, VmFlags};
use vmadiff_interleave::{Site, SpinGuard, at};

use crate::current::Current;
use crate::defects::defect;
use crate::policy::Policy;
use crate::pte::Pte;
use crate::reason;
use crate::sites as site;
use crate::slab::{Handle, Ref};
use crate::table::{PMD_SHIFT, Table, index};
use crate::vma::{PageProt, Vma};

/// What a fault came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It was served; `major`: by reading from a device (VM_FAULT_MAJOR).
    Served {
        /// A device was read.
        major: bool,
    },
    /// It gave up and is to be served under mmap_sem (VM_FAULT_RETRY).
    Retry,
    /// SIGBUS (VM_FAULT_SIGBUS).
    Bus,
    /// No memory (VM_FAULT_OOM).
    Oom,
    /// SIGSEGV (VM_FAULT_SIGSEGV).
    Segv,
}

impl Fault {
    /// Served from memory.
    pub const MINOR: Self = Self::Served { major: false };
    /// Served from a device.
    pub const MAJOR: Self = Self::Served { major: true };
}

/// A fault under way. What it uses of the VMA was copied while the sequence count stood
/// (series patch 13).
pub struct Vmf<'a> {
    /// The area.
    pub vma: Ref<'a, Vma>,
    /// The page's address.
    pub address: u64,
    /// A store.
    pub write: bool,
    /// Without mmap_sem.
    pub speculative: bool,
    /// The area's flags.
    pub vma_flags: VmFlags,
    /// What new entries allow.
    pub vma_page_prot: PageProt,
    /// The page's offset in what the area maps, in pages.
    pub pgoff: u64,
    /// The sequence count that all this was read under.
    pub sequence: u32,
    /// The middle table.
    pub pmd: Ref<'a, Table>,
    /// Its entry, as a speculative fault found it.
    pub orig_pmd: Handle<Table>,
    /// The policy that a speculative fault holds.
    pub policy: Handle<Policy>,
    /// The lowest table, if there is one.
    pub table: Option<Ref<'a, Table>>,
    /// The entry, as it was found.
    pub orig_pte: Pte,
    /// The lowest table's lock, while it is held.
    pub ptl: Option<SpinGuard<'a>>,
}

impl Vmf<'_> {
    /// Where the page stands in its lowest table.
    pub fn at(&self) -> usize {
        index(self.address, 12)
    }

    /// Reads the entry; its table's lock is held.
    pub fn pte(&self, site: Site) -> Pte {
        self.table
            .map_or(Pte::NONE, |table| table.pte(site, self.at()))
    }

    /// Writes the entry; its table's lock is held.
    pub fn set_pte(&self, site: Site, pte: Pte) {
        if let Some(table) = self.table {
            table.set_pte(site, self.at(), pte);
        }
    }

    /// Gives the page-table lock back.
    pub fn unlock(&mut self) {
        self.ptl = None;
    }

    /// The entry is as the fault needs it, by this fault or by another that was faster: marks it,
    /// and gives the page-table lock back.
    pub fn served(&mut self) {
        self.mark();
        self.unlock();
    }

    /// The fault has taken effect: others can go by its entry from here on, though what the entry
    /// replaced has still to be let go.
    pub fn mark(&self) {
        at::fault(self.address, self.write);
    }
}

impl Current<'_> {
    /// Finds the entry and takes its lock (`pte_map_lock`); false: the fault gives up.
    pub fn pte_map_lock<'a>(&'a self, vmf: &mut Vmf<'a>) -> bool {
        if vmf.speculative {
            return self.lock_speculatively(vmf);
        }
        let Some(table) = vmf.table else {
            return false;
        };
        vmf.ptl = Some(table.ptl().lock(site::PTE_MAP_LOCK__LOCK));
        table.alive()
    }

    /// Takes the lock of an entry that was found (`pte_spinlock`); false: the fault gives up.
    pub fn pte_spinlock<'a>(&'a self, vmf: &mut Vmf<'a>) -> bool {
        self.pte_map_lock(vmf)
    }

    /// Interrupts are off from the look at the VMA until the lock is held, so that its tables stay;
    /// on again before another try, since the lock's holder may be waiting for this processor.
    fn lock_speculatively<'a>(&'a self, vmf: &mut Vmf<'a>) -> bool {
        loop {
            let irq = self.irqs.disable(site::PTE_MAP_LOCK__IRQ);
            let locked = self.try_lock_speculatively(vmf);
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
    fn try_lock_speculatively<'a>(
        &'a self,
        vmf: &mut Vmf<'a>,
    ) -> Result<Option<SpinGuard<'a>>, &'static Reason> {
        if self.vma_has_changed(vmf) {
            return Err(&reason::CHANGED_BEFORE_LOCK);
        }
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
        let ptl = table.ptl().try_lock(site::PTE_MAP_LOCK__TRYLOCK);
        table.alive();
        let Some(ptl) = ptl else {
            return Ok(None);
        };
        if !defect!(self, SkipLastRecheck) && self.vma_has_changed(vmf) {
            return Err(&reason::CHANGED_AFTER_LOCK);
        }
        Ok(Some(ptl))
    }

    /// The defect A29: the entry is believed to be what it just was.
    pub fn read_pmd_again(&self, vmf: &Vmf<'_>) -> Result<Handle<Table>, &'static Reason> {
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

    /// Whether the VMA left its tree or was written to since the fault began (`vma_has_changed`).
    fn vma_has_changed(&self, vmf: &Vmf<'_>) -> bool {
        let gone = vmf.vma.rb_empty(site::VMA_HAS_CHANGED__RB_EMPTY_NODE);
        let changed = vmf
            .vma
            .vm_sequence()
            .changed(site::VMA_HAS_CHANGED__SEQUENCE, vmf.sequence);
        !vmf.vma.alive() || gone || changed
    }
}
