//! A fault under way (`vm_fault`), and how it takes the page-table lock.

use vmadiff_contract::{Misuse, Reason, TableId, VmFlags};
use vmadiff_interleave::{Site, SpinGuard, Word, at};

use crate::anon::AnonVma;
use crate::candidate::Machine;
use crate::current::Current;
use crate::defects::defect;
use crate::design::Design;
use crate::policy::Policy;
use crate::pte::Pte;
use crate::reason;
use crate::sites as site;
use crate::slab::{Handle, Ref};
use crate::table::{PGD_SHIFT, PMD_SHIFT, PUD_SHIFT, Table, index};
use crate::vma::{Ops, PageProt, Vma};

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

/// A fault under way. What it uses of the VMA was copied when the fault found it (series patch 13).
pub struct Vmf<'a, D: Design> {
    /// The area. Under mmap_sem, or as long as the design holds it, page work may ask it.
    pub vma: Ref<'a, Vma>,
    /// What page work must not ask the area any more; none: it may.
    pub copied: Option<Copied>,
    /// What the design holds; none: mmap_sem is held.
    pub hold: Option<D::Hold<'a>>,
    /// The page's address.
    pub address: u64,
    /// A store.
    pub write: bool,
    /// The area's flags.
    pub vma_flags: VmFlags,
    /// What new entries allow.
    pub vma_page_prot: PageProt,
    /// The page's offset in what the area maps, in pages.
    pub pgoff: u64,
    /// The middle table.
    pub pmd: Ref<'a, Table>,
    /// Its entry, as a walk without mmap_sem found it.
    pub orig_pmd: Handle<Table>,
    /// The policy to allocate by, which the design holds.
    pub policy: Handle<Policy>,
    /// The lowest table, if there is one.
    pub table: Option<Ref<'a, Table>>,
    /// The entry, as it was found.
    pub orig_pte: Pte,
    /// The lowest table's lock, while it is held.
    pub ptl: Option<SpinGuard<'a>>,
}

/// What a design has copied of an area that it does not keep.
#[derive(Clone, Copy, Debug)]
pub struct Copied {
    /// It is private anonymous memory (`vma_is_anonymous`).
    pub anonymous: bool,
    /// Its anon_vma.
    pub anon_vma: Handle<AnonVma>,
}

/// What a design has found for a fault without mmap_sem.
pub struct Found<'a, D: Design> {
    /// The area.
    pub vma: Ref<'a, Vma>,
    /// What the design holds of it.
    pub hold: D::Hold<'a>,
    /// What page work must not ask it; none: it may, until the design gives up its hold.
    pub copied: Option<Copied>,
    /// Its flags.
    pub flags: VmFlags,
    /// What new entries allow.
    pub page_prot: PageProt,
    /// The page's offset in what the area maps, in pages.
    pub pgoff: u64,
    /// The policy to allocate by, held, or none.
    pub policy: Handle<Policy>,
}

impl<'a, D: Design> Vmf<'a, D> {
    /// A fault without mmap_sem in this area.
    pub fn new(m: &'a Machine<D>, found: Found<'a, D>, addr: u64, write: bool) -> Self {
        Self {
            vma: found.vma,
            copied: found.copied,
            hold: Some(found.hold),
            address: addr & !4095,
            write,
            vma_flags: found.flags,
            vma_page_prot: found.page_prot,
            pgoff: found.pgoff,
            pmd: m.table(Handle::NULL),
            orig_pmd: Handle::NULL,
            policy: found.policy,
            table: None,
            orig_pte: Pte::NONE,
            ptl: None,
        }
    }

    /// Whether it makes no table, waits for no lock, and asks the design before it writes.
    #[inline]
    pub fn optimistic(&self) -> bool {
        D::OPTIMISTIC && self.hold.is_some()
    }

    /// Whether the area is private anonymous memory.
    pub fn is_anonymous(&self) -> bool {
        match self.copied {
            Some(copied) => copied.anonymous,
            None => self.vma.ops() == Ops::Anonymous,
        }
    }

    /// The area's anon_vma.
    pub fn anon_vma(&self) -> Handle<AnonVma> {
        match self.copied {
            Some(copied) => copied.anon_vma,
            None => self.vma.anon_vma().peek(),
        }
    }
}

impl<D: Design> Vmf<'_, D> {
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

impl<D: Design> Current<'_, D> {
    /// Finds the entry and takes its lock (`pte_map_lock`); false: the fault gives up.
    pub fn pte_map_lock<'a>(&'a self, vmf: &mut Vmf<'a, D>) -> bool {
        if vmf.optimistic() {
            return self.lock_optimistically(vmf);
        }
        let Some(table) = vmf.table else {
            return false;
        };
        vmf.ptl = Some(table.ptl().lock(site::PTE_MAP_LOCK__LOCK));
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
        let ptl = table.ptl().try_lock(site::PTE_MAP_LOCK__TRYLOCK);
        table.alive();
        let Some(ptl) = ptl else {
            return Ok(None);
        };
        D::still(self, vmf, true)?;
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
        let pud = pud.some().map(walk_in);
        let pud = pud.ok_or_else(missing(&reason::NO_UPPER_TABLE))?;
        let pmd = pud.lower(at.pud, index(addr, PUD_SHIFT));
        let pmd = pmd.some().map(walk_in);
        let pmd = pmd.ok_or_else(missing(&reason::NO_UPPER_TABLE))?;
        vmf.pmd = pmd;
        vmf.orig_pmd = pmd.lower(at.pmd, index(addr, PMD_SHIFT));
        let table = vmf.orig_pmd.some().map(walk_in);
        let table = table.ok_or_else(missing(&reason::NO_TABLE))?;
        vmf.table = Some(table);
        vmf.orig_pte = table.pte(at.pte, index(addr, 12));
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
