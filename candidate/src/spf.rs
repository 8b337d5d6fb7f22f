//! The speculative page fault: without mmap_sem, on what a VMA's sequence count vouches for
//! (series patches 21 to 23).
//!
//! It may give up at any step, and does so by a reason of its own; the fault is then served under
//! mmap_sem. Deviations from v12, each restorable as the defect of that name: a lookup that does
//! not ask the task's cache (A23, in `find`), flags that refuse lead to the classic way instead of
//! a SIGSEGV that nothing vouches for (A25; v12 also makes MAPERR of it), instruction fetches are
//! checked (A26), policies are held (A22), a page-table entry that was checked is not read again
//! (A29, in `vmf`), and a new page's index is what the sequence count vouched for (A30, in `memory`).

use vmadiff_contract::{Mode, Note, Reason, VmFlags};
use vmadiff_interleave::Word;

use crate::current::Current;
use crate::defects::defect;
use crate::policy::Policy;
use crate::pte::{Need, Pte};
use crate::reason;
use crate::sites as site;
use crate::slab::{Handle, Ref};
use crate::table::{PGD_SHIFT, PMD_SHIFT, PUD_SHIFT, Table, index};
use crate::vma::{Ops, PageProt, Vma};
use crate::vmf::{Fault, Vmf};

impl Current<'_> {
    /// Tries to serve a fault without mmap_sem (`handle_speculative_fault`).
    pub fn handle_speculative_fault(&self, addr: u64, need: Need) -> Fault {
        let users = self
            .mm_struct()
            .mm_users
            .get(site::HANDLE_SPECULATIVE_FAULT__MM_USERS);
        if users == 1 {
            return self.give_up(&reason::ONE_USER);
        }
        let Some(vma) = self.find_vma_rcu(addr) else {
            return self.give_up(&reason::NO_VMA);
        };
        let fault = match self.check_vma(vma, addr, need) {
            Ok(mut vmf) => {
                let fault = self.speculate(&mut vmf);
                self.put_fault_policy(vmf.policy);
                fault
            }
            Err(fault) => fault,
        };
        self.put_vma_rcu(site::HANDLE_SPECULATIVE_FAULT__PUT_VMA, vma);
        fault
    }

    /// Gives up, for this reason.
    pub fn give_up(&self, why: &'static Reason) -> Fault {
        self.note(Note::GiveUp(why));
        Fault::Retry
    }

    /// Samples the sequence count and checks all that it has to vouch for.
    fn check_vma<'a>(&'a self, vma: Ref<'a, Vma>, addr: u64, need: Need) -> Result<Vmf<'a>, Fault> {
        let outside = || {
            addr < vma.vm_start().get(site::HANDLE_SPECULATIVE_FAULT__VM_START)
                || vma.vm_end().get(site::HANDLE_SPECULATIVE_FAULT__VM_END) <= addr
        };
        let outside_before = defect!(self, BoundsBeforeCount).then(outside);
        let faulted = || {
            let anon = vma.anon_vma();
            !anon.get(site::HANDLE_SPECULATIVE_FAULT__ANON_VMA).is_null()
        };
        let faulted_before = defect!(self, AnonBeforeCount).then(faulted);
        let sequence = vma
            .vm_sequence()
            .read(site::HANDLE_SPECULATIVE_FAULT__SEQUENCE);
        if !vma.alive() || sequence & 1 != 0 {
            return Err(self.give_up(&reason::SEQUENCE_ODD));
        }
        let ops = Ops::from_number(vma.vm_ops().get(site::HANDLE_SPECULATIVE_FAULT__VM_OPS));
        if ops.fault() {
            return Err(self.give_up(&reason::VM_OPS));
        }
        if !faulted_before.unwrap_or_else(faulted) {
            return Err(self.give_up(&reason::NO_ANON_VMA));
        }
        let flags = vma.read_flags(site::HANDLE_SPECULATIVE_FAULT__VM_FLAGS);
        let page_prot = vma
            .vm_page_prot()
            .get(site::HANDLE_SPECULATIVE_FAULT__PAGE_PROT);
        if flags.contains(VmFlags::UFFD_MISSING) && !defect!(self, UserfaultUnchecked) {
            return Err(self.give_up(&reason::USERFAULT));
        }
        if flags.contains(VmFlags::GROWSDOWN) {
            return Err(self.give_up(&reason::GROWS));
        }
        if outside_before.unwrap_or_else(outside) {
            return Err(self.give_up(&reason::OUTSIDE));
        }
        self.check_access(vma, flags, need)?;
        let pgoff = vma.linear_page_index(
            addr,
            site::HANDLE_SPECULATIVE_FAULT__INDEX_START,
            site::HANDLE_SPECULATIVE_FAULT__INDEX_PGOFF,
        );
        let policy = self.get_fault_policy(vma)?;
        Ok(Vmf {
            vma,
            address: addr & !4095,
            write: need == Need::Write,
            speculative: true,
            vma_flags: flags,
            vma_page_prot: PageProt::from_bits(page_prot),
            pgoff,
            sequence,
            pmd: self.table(Handle::NULL),
            orig_pmd: Handle::NULL,
            policy,
            table: None,
            orig_pte: Pte::NONE,
            ptl: None,
        })
    }

    fn check_access(&self, vma: Ref<'_, Vma>, flags: VmFlags, need: Need) -> Result<(), Fault> {
        let rwx = VmFlags::READ | VmFlags::WRITE | VmFlags::EXEC;
        let refused = match need {
            Need::Write => !flags.contains(VmFlags::WRITE),
            Need::Read | Need::Exec => !flags.intersects(rwx),
        };
        if refused {
            if defect!(self, WrongSegv) {
                return Err(Fault::Segv);
            }
            if defect!(self, PutTooMany) {
                self.put_vma(site::HANDLE_SPECULATIVE_FAULT__PUT_VMA_AGAIN, vma);
            }
            return Err(self.give_up(&reason::ACCESS));
        }
        let fetch = need == Need::Exec && !flags.contains(VmFlags::EXEC);
        if fetch && !defect!(self, ExecUnchecked) {
            return Err(self.give_up(&reason::NOT_EXECUTABLE));
        }
        Ok(())
    }

    /// The policy by which a page is to be allocated, held until the fault has ended
    /// (`__get_vma_policy`); none: the task's own, which nobody else changes.
    fn get_fault_policy(&self, vma: Ref<'_, Vma>) -> Result<Handle<Policy>, Fault> {
        let _rcu = self.rcu.read_lock(site::GET_VMA_POLICY__RCU);
        let policy = vma.vm_policy().get(site::GET_VMA_POLICY__VM_POLICY);
        let own = self.task.mempolicy.peek();
        let Some(effective) = policy.some().or(own.some()) else {
            return Ok(Handle::NULL);
        };
        let held = self.policies.get(effective);
        let mode = Mode::from_number(held.mode().get(site::GET_VMA_POLICY__MODE));
        if mode == Mode::Interleave {
            return Err(self.give_up(&reason::INTERLEAVE));
        }
        if policy.is_null() || defect!(self, PolicyWithoutReference) {
            return Ok(policy);
        }
        match held.refs().get_unless_zero(site::GET_VMA_POLICY__REFS) {
            Some(_) => Ok(policy),
            // It is being replaced.
            None => Err(self.give_up(&reason::UNSERVED)),
        }
    }

    fn put_fault_policy(&self, policy: Handle<Policy>) {
        if !defect!(self, PolicyWithoutReference) {
            self.mpol_put(site::HANDLE_SPECULATIVE_FAULT__MPOL_PUT, policy);
        }
    }

    /// Walks the page tables, checks that the VMA is still as it was, and serves the fault.
    fn speculate<'a>(&'a self, vmf: &mut Vmf<'a>) -> Fault {
        if let Err(fault) = self.walk_speculatively(vmf) {
            return fault;
        }
        // The bounds that were checked, and what was read since, belong to one state of the VMA.
        let changed = vmf
            .vma
            .vm_sequence()
            .changed(site::HANDLE_SPECULATIVE_FAULT__RETRY, vmf.sequence);
        if !vmf.vma.alive() || changed {
            return self.give_up(&reason::CHANGED_IN_WALK);
        }
        self.handle_pte_fault(vmf)
    }

    /// Interrupts are off, so that the tables on the way are not freed. No table is made: it could
    /// outlive the areas of its range.
    fn walk_speculatively<'a>(&'a self, vmf: &mut Vmf<'a>) -> Result<(), Fault> {
        let addr = vmf.address;
        let mm = self.mm_struct();
        let _irq = self.irqs.disable(site::HANDLE_SPECULATIVE_FAULT__IRQ);
        let walked = {
            let pgd = mm
                .pgd
                .get(site::HANDLE_SPECULATIVE_FAULT__PGD, index(addr, PGD_SHIFT));
            self.walk_below(vmf, Handle::from_word(pgd))
        };
        self.task.walking.init(Handle::NULL);
        walked
    }

    fn walk_below<'a>(&'a self, vmf: &mut Vmf<'a>, pud: Handle<Table>) -> Result<(), Fault> {
        let addr = vmf.address;
        let walk_in = |table: Handle<Table>| {
            self.task.walking.init(table);
            self.table(table)
        };
        let Some(pud) = pud.some().map(walk_in) else {
            return Err(self.give_up(&reason::NO_UPPER_TABLE));
        };
        let pmd = pud.lower(site::HANDLE_SPECULATIVE_FAULT__PUD, index(addr, PUD_SHIFT));
        let Some(pmd) = pmd.some().map(walk_in) else {
            return Err(self.give_up(&reason::NO_UPPER_TABLE));
        };
        vmf.pmd = pmd;
        vmf.orig_pmd = pmd.lower(site::HANDLE_SPECULATIVE_FAULT__PMD, index(addr, PMD_SHIFT));
        let Some(table) = vmf.orig_pmd.some().map(walk_in) else {
            return Err(self.give_up(&reason::NO_TABLE));
        };
        vmf.table = Some(table);
        vmf.orig_pte = table.pte(site::HANDLE_SPECULATIVE_FAULT__PTE, index(addr, 12));
        Ok(())
    }
}
