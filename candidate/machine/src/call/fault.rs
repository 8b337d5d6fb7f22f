//! A page fault: the architecture's handler, and the way under mmap_sem.

use vmadiff_contract::{Note, Reason, SegvCode, StepKind, Told, VmFlags};
use vmadiff_interleave::{ReadGuard, at};

use crate::area::ops::PageProt;
use crate::area::vma::Vma;
use crate::call::access::Unserved;
use crate::core::current::Current;
use crate::core::section::Section;
use crate::core::slab::{Handle, Ref};
use crate::defects::defect;
use crate::design::Design;
use crate::page::pte::{Need, Pte};
use crate::page::vmf::{Fault, Reads, Vmf};
use crate::sites as site;

/// How a fault holds mmap_sem.
enum Held<'a, D: Design> {
    Read(#[expect(dead_code, reason = "held, not read")] Option<ReadGuard<'a>>),
    Write(Section<'a, D>),
}

impl<D: Design> Held<'_, D> {
    /// Goes on as a reader, if it is none: the stack has grown.
    fn downgrade(&mut self) {
        *self = match std::mem::replace(self, Self::Read(None)) {
            Self::Write(write) => {
                Self::Read(write.downgrade(site::LOCK_MM_AND_FIND_VMA__DOWNGRADE))
            }
            read @ Self::Read(_) => read,
        };
    }
}

impl<D: Design> Current<'_, D> {
    /// The handler (`do_user_addr_fault`): as the design has it first, and then under mmap_sem.
    /// `refused` is the entry that refused the access.
    pub fn do_page_fault(&self, addr: u64, need: Need, refused: Pte) -> Result<(), Unserved> {
        match D::fault(self, addr, need, refused) {
            Fault::Served { major } => {
                self.note(Note::Speculative);
                self.count_fault(major);
                return Ok(());
            }
            Fault::Retry => {}
            refused => {
                at::access();
                return Err(unserved(refused));
            }
        }
        let served = {
            let mut held = self.lock_mm_for_fault(addr);
            self.do_classic_fault(addr, need, refused, &mut held)
                .inspect_err(|_| at::access())
        };
        let major = served?;
        self.note(Note::Classic);
        self.count_fault(major);
        Ok(())
    }

    /// Takes mmap_sem for reading; for writing if a stack has to grow and the design wants it so
    /// (`lock_mm_and_find_vma`).
    fn lock_mm_for_fault(&self, addr: u64) -> Held<'_, D> {
        let mm = self.mm_struct();
        let read = mm.mmap_sem.read(site::DO_PAGE_FAULT__MMAP_SEM);
        let below_stack = |vma: Ref<'_, Vma>| {
            let starts = vma.vm_start().get(site::DO_PAGE_FAULT__VM_START);
            starts > addr && vma.flags().contains(VmFlags::GROWSDOWN)
        };
        if !D::STACKS_GROW_WRITTEN || !self.find_vma(addr).is_some_and(below_stack) {
            return Held::Read(Some(read));
        }
        drop(read);
        let write = Section::enter_fault(self, mm, site::LOCK_MM_AND_FIND_VMA__MMAP_SEM);
        Held::Write(write)
    }

    /// The fault under mmap_sem; whether a device was read.
    fn do_classic_fault<'a>(
        &'a self,
        addr: u64,
        need: Need,
        refused: Pte,
        held: &mut Held<'a, D>,
    ) -> Result<bool, Unserved> {
        let (vma, grown) = self.area_for_fault(addr)?;
        held.downgrade();
        let flags = vma.flags();
        let wrong = access_error(flags, need, refused);
        // Of a stack that grew they were told before it did.
        if !grown {
            let told = if wrong {
                Told::Refused
            } else {
                Told::Flags(flags)
            };
            self.mark(StepKind::Decide, vma.about(), told);
        }
        if wrong {
            return Err(Unserved::Segv(SegvCode::AccErr));
        }
        match self.handle_mm_fault(vma, addr, need == Need::Write) {
            Fault::Served { major } => Ok(major),
            refused => Err(unserved(refused)),
        }
    }

    /// Gives a fault without mmap_sem up, for this reason.
    pub fn give_up(&self, why: &'static Reason) -> Fault {
        self.note(Note::GiveUp(why));
        Fault::Retry
    }

    /// Answers SIGSEGV without mmap_sem, by what was read of an area at `moment`.
    pub fn refuse(&self, vma: Ref<'_, Vma>, moment: u64) -> Fault {
        self.mark_since(moment, StepKind::Decide, vma.about(), Told::Refused);
        Fault::Segv
    }

    /// Counts a fault that was served.
    pub fn count_fault(&self, major: bool) {
        if major {
            self.task.maj_flt.count(1);
        } else {
            self.task.min_flt.count(1);
        }
    }

    /// The area that holds an address, a stack that can grow to it included; whether it grew.
    fn area_for_fault(&self, addr: u64) -> Result<(Ref<'_, Vma>, bool), Unserved> {
        let bad_area = Unserved::Segv(SegvCode::MapErr);
        let Some(vma) = self.find_vma(addr) else {
            self.mark(StepKind::Decide, self.areas(), Told::Refused);
            return Err(bad_area);
        };
        if vma.vm_start().get(site::DO_PAGE_FAULT__VM_START) <= addr {
            return Ok((vma, false));
        }
        let flags = vma.flags();
        if !flags.contains(VmFlags::GROWSDOWN) {
            self.mark(StepKind::Decide, self.areas(), Told::Refused);
            return Err(bad_area);
        }
        self.mark(StepKind::Decide, vma.about(), Told::Flags(flags));
        self.expand_downwards(vma, addr).map_err(|_| bad_area)?;
        Ok((vma, true))
    }

    /// Serves a fault in an area that allows it, mmap_sem held (`__handle_mm_fault`).
    pub fn handle_mm_fault(&self, vma: Ref<'_, Vma>, addr: u64, write: bool) -> Fault {
        let pmd = self.pmd_alloc(self.mm_struct(), addr);
        let (flags, prot) = (vma.flags(), vma.vm_page_prot().peek());
        let pgoff = self.fault_pgoff(vma, addr);
        D::classic(self, vma);
        let mut vmf = Vmf {
            vma,
            address: addr & !4095,
            write,
            copied: None,
            hold: None,
            vma_flags: flags,
            vma_page_prot: PageProt::from_bits(prot),
            pgoff,
            pmd,
            orig_pmd: Handle::NULL,
            policy: Handle::NULL,
            table: None,
            orig_pte: Pte::NONE,
            ptl: None,
            reads: Reads::default(),
        };
        self.handle_pte_fault(&mut vmf)
    }

    /// Serves a fault in an area that the design holds by a lock ([`Design::OPTIMISTIC`] is false), as
    /// one under mmap_sem: makes the tables that are missing, and waits for locks.
    pub fn handle_held_fault<'a>(&'a self, vmf: &mut Vmf<'a, D>) -> Fault {
        self.tell_reads(vmf);
        vmf.pmd = self.pmd_alloc(self.mm_struct(), vmf.address);
        self.handle_pte_fault(vmf)
    }

    /// The offset of a fault in its area, in pages.
    ///
    /// Deviation (A31): 5.1 asks the area without a lock. A stack that another task's fault grows has its
    /// new start first and its new offset then, both under page_table_lock; an index taken in between
    /// is that of another page, which no walk by the anon_vma asks for.
    fn fault_pgoff(&self, vma: Ref<'_, Vma>, addr: u64) -> u64 {
        let grows = vma.flags().contains(VmFlags::GROWSDOWN);
        let mm = self.mm_struct();
        let _lock = (grows && !defect!(self, IndexWhileGrowing)).then(|| {
            mm.page_table_lock
                .lock(site::HANDLE_MM_FAULT__PAGE_TABLE_LOCK)
        });
        vma.pgoff_of(addr)
    }
}

/// What the task gets for a fault that was not served.
fn unserved(fault: Fault) -> Unserved {
    match fault {
        Fault::Bus => Unserved::Bus,
        Fault::Oom => Unserved::Oom,
        Fault::SegvMapErr => Unserved::Segv(SegvCode::MapErr),
        Fault::Segv | Fault::Retry | Fault::Served { .. } => Unserved::Segv(SegvCode::AccErr),
    }
}

/// Whether the processor's error code refuses an access alone, whatever the area allows by now: a page was
/// there, and a fetch or a read was refused all the same (`access_error`, X86_PF_PROT).
pub fn refused_by_code(need: Need, refused: Pte) -> bool {
    need != Need::Write && refused.present() && refused.readable()
}

/// Whether the area's flags refuse the access (`access_error`). A read that a present entry
/// refuses is an instruction fetch from a page that is not executable.
fn access_error(flags: VmFlags, need: Need, refused: Pte) -> bool {
    match need {
        Need::Write => !flags.contains(VmFlags::WRITE),
        Need::Read | Need::Exec => {
            let rwx = VmFlags::READ | VmFlags::WRITE | VmFlags::EXEC;
            refused_by_code(need, refused) || !flags.intersects(rwx)
        }
    }
}
