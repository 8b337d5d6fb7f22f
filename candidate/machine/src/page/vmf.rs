//! A fault under way (`vm_fault`), and how it takes the page-table lock.

use vmadiff_contract::{StepKind, Told, VmFlags};
use vmadiff_interleave::{Site, SpinGuard, at};

use crate::area::anon_vma::AnonVma;
use crate::area::ops::{Ops, PageProt};
use crate::area::vma::Vma;
use crate::core::current::Current;
use crate::core::machine::Machine;
use crate::core::policy::Policy;
use crate::core::slab::{Handle, Ref};
use crate::design::Design;
use crate::page::pte::Pte;
use crate::page::table::{Table, index};

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
    /// SIGSEGV (VM_FAULT_SIGSEGV), with ACCERR.
    Segv,
    /// SIGSEGV with MAPERR, whatever the reason (`bad_area_nosemaphore`).
    SegvMapErr,
}

impl Fault {
    /// Served from memory.
    pub const MINOR: Self = Self::Served { major: false };
    /// Served from a device.
    pub const MAJOR: Self = Self::Served { major: true };
}

/// A fault under way, with a copy of what it uses of its area most.
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
    /// What it went by, which is told once it is confirmed.
    pub reads: Reads,
}

/// When a fault without mmap_sem has read what it goes by.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reads {
    /// The area ([`Found::moment`]).
    pub area: u64,
    /// The entry.
    pub entry: u64,
    /// It was told.
    pub told: bool,
}

impl<D: Design> Current<'_, D> {
    /// Writes a fault's entry; its table's lock is held.
    pub fn set_fault_pte(&self, vmf: &Vmf<'_, D>, site: Site, pte: Pte) {
        if let Some(table) = vmf.table {
            self.set_pte(StepKind::Entry, site, table, vmf.at(), pte);
            if table.is_gone(vmf.at()) {
                self.leave_pte(vmf);
            }
        }
    }

    /// Tells what a fault without mmap_sem went by, now that it is confirmed.
    pub fn tell_reads(&self, vmf: &mut Vmf<'_, D>) {
        let told = std::mem::replace(&mut vmf.reads.told, true);
        if !self.listens() || told {
            return;
        }
        let flags = Told::Flags(vmf.vma_flags);
        self.mark_since(vmf.reads.area, StepKind::Decide, vmf.vma.about(), flags);
        if vmf.optimistic() {
            let (since, pte) = (Some(vmf.reads.entry), vmf.orig_pte);
            self.tell_pte(since, StepKind::Decide, self.mm, vmf.address, (pte, pte));
        }
    }

    /// A fault leaves its entry: it needs nothing, or is not as it was found any more. In a table
    /// that was taken out of the tree (collapse) there is none for others.
    pub fn leave_pte(&self, vmf: &Vmf<'_, D>) {
        self.leave_pte_since(vmf, None);
    }

    /// The same, by what was read at `since`; its lock was held ever since.
    pub fn leave_pte_since(&self, vmf: &Vmf<'_, D>, since: Option<u64>) {
        if self.listens()
            && let Some(table) = vmf.table
        {
            let gone = table.is_gone(vmf.at());
            let pte = if gone {
                Pte::NONE
            } else {
                table.peek_pte(vmf.at())
            };
            self.tell_pte(since, StepKind::Entry, self.mm, vmf.address, (pte, pte));
        }
    }
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
    /// The moment ([`Machine::moment`]) right behind the read that vouches for all this, so that it
    /// is so then if it is still so when the entry is written: a count that was sampled, a lock that
    /// was taken.
    pub moment: u64,
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
            reads: Reads {
                area: found.moment,
                ..Reads::default()
            },
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
