//! Counting pages against limits: areas by kind, committed memory, locked memory.

use vmadiff_contract::{About, Errno, Resource, StepKind, Told, VmFlags};
use vmadiff_interleave::{Cell, Site};

use crate::core::current::Current;
use crate::core::machine::Machine;
use crate::core::mm::{Mm, mm_id};
use crate::design::Design;
use crate::sites as site;

/// Whether pages of such areas count against RLIMIT_DATA (`is_data_mapping`).
pub fn is_data_mapping(flags: VmFlags) -> bool {
    flags & (VmFlags::WRITE | VmFlags::SHARED | VmFlags::GROWSDOWN) == VmFlags::WRITE
}

fn is_exec_mapping(flags: VmFlags) -> bool {
    flags & (VmFlags::EXEC | VmFlags::WRITE | VmFlags::GROWSDOWN) == VmFlags::EXEC
}

/// The counter of such areas, beside that of all.
fn counter_of(mm: &Mm, flags: VmFlags) -> Option<&Cell<u64>> {
    if is_exec_mapping(flags) {
        Some(&mm.exec_vm)
    } else if flags.contains(VmFlags::GROWSDOWN) {
        Some(&mm.stack_vm)
    } else {
        is_data_mapping(flags).then_some(&mm.data_vm)
    }
}

/// Whether pages of such an area are charged as it is mapped (`accountable_mapping`).
pub fn accountable_mapping(flags: VmFlags) -> bool {
    flags & (VmFlags::NORESERVE | VmFlags::SHARED | VmFlags::WRITE) == VmFlags::WRITE
}

impl<D: Design> Machine<D> {
    /// So many pages more of such areas, or fewer if wrapped (`vm_stat_account`).
    pub fn vm_stat_account(&self, mm: &Mm, flags: VmFlags, pages: u64) {
        mm.total_vm.add(site::VM_STAT_ACCOUNT__TOTAL_VM, pages);
        if is_exec_mapping(flags) {
            mm.exec_vm.count(pages);
        } else if flags.contains(VmFlags::GROWSDOWN) {
            mm.stack_vm.count(pages);
        } else if is_data_mapping(flags) {
            mm.data_vm.add(site::VM_STAT_ACCOUNT__DATA_VM, pages);
        }
    }

    /// The same where others may count beside it, who hold mmap_sem for reading, too: the counters are
    /// plain, so that what another writes between a read and its write is lost. Each access is told, as
    /// a step of this kind.
    pub fn vm_stat_account_beside(&self, kind: StepKind, mm: &Mm, flags: VmFlags, pages: u64) {
        let count = |counter: &Cell<u64>, read: Site, write: Site| {
            let counters = About::Counters(mm_id(mm.name()));
            let before = counter.get(read);
            self.mark_done(kind, counters);
            counter.set(write, before.wrapping_add(pages));
            self.mark_done(kind, counters);
        };
        count(
            &mm.total_vm,
            site::VM_STAT_ACCOUNT__READ_TOTAL_VM,
            site::VM_STAT_ACCOUNT__WRITE_TOTAL_VM,
        );
        if let Some(of_kind) = counter_of(mm, flags) {
            count(
                of_kind,
                site::VM_STAT_ACCOUNT__READ_OF_KIND,
                site::VM_STAT_ACCOUNT__WRITE_OF_KIND,
            );
        }
    }

    /// Charges pages of committed memory (`security_vm_enough_memory_mm`).
    ///
    /// # Errors
    /// ENOMEM: the limit would be reached.
    pub fn vm_enough_memory(&self, pages: u64) -> Result<(), Errno> {
        if pages == 0 {
            // An area that is not accounted, shared memory without a reserve: nobody is asked.
            return Ok(());
        }
        let limit = self.config().commit_limit;
        let before = self.committed.add(site::VM_ENOUGH_MEMORY__COMMITTED, pages);
        if limit == u64::MAX || before.saturating_add(pages) < limit {
            let told = Told::Number(pages);
            self.mark(StepKind::Charge, About::Committed, told);
            return Ok(());
        }
        // Others see the charge until it is given back.
        self.mark(StepKind::Charge, About::Committed, Told::Refused);
        self.vm_unacct_memory(pages);
        Err(Errno::ENOMEM)
    }

    /// Gives a charge back as a part of another step.
    pub fn uncharge(&self, pages: u64) {
        let less = pages.wrapping_neg();
        self.committed.add(site::VM_UNACCT_MEMORY__COMMITTED, less);
    }

    /// Gives a charge back (`vm_unacct_memory`).
    pub fn vm_unacct_memory(&self, pages: u64) {
        if pages != 0 {
            self.uncharge(pages);
            self.mark(StepKind::Uncharge, About::Committed, Told::Number(pages));
        }
    }
}

impl<D: Design> Current<'_, D> {
    /// Whether so many pages more of such areas keep to RLIMIT_AS and RLIMIT_DATA
    /// (`may_expand_vm`). A soft data limit of 0 is for the heap alone; areas meet the hard one then.
    pub fn may_expand_vm(&self, flags: VmFlags, pages: u64) -> bool {
        let mm = self.mm_struct();
        let total = mm.total_vm.get(site::MAY_EXPAND_VM__TOTAL_VM);
        let limit = self.rlimit(Resource::As) >> 12;
        self.mark(StepKind::Decide, self.counters(), Told::Number(limit));
        if total.saturating_add(pages) > limit {
            return false;
        }
        if !is_data_mapping(flags) {
            return true;
        }
        let data = mm.data_vm.get(site::MAY_EXPAND_VM__DATA_VM);
        let limit = match self.rlimit(Resource::Data) {
            0 => self.rlimit_max(Resource::Data),
            soft => soft,
        };
        self.mark(StepKind::Decide, self.counters(), Told::Number(limit >> 12));
        data.saturating_add(pages) <= limit >> 12
    }

    /// Whether the task may lock memory at all (`can_do_mlock`).
    pub fn can_do_mlock(&self) -> bool {
        self.rlimit(Resource::MemLock) != 0 || self.config().cap_ipc_lock
    }

    /// Whether so many locked pages keep to RLIMIT_MEMLOCK.
    ///
    /// # Errors
    /// EAGAIN if they do not.
    pub fn locked_within_limit(&self, locked: u64) -> Result<(), Errno> {
        let limit = self.rlimit(Resource::MemLock) >> 12;
        self.mark(StepKind::Decide, self.counters(), Told::Number(limit));
        if locked <= limit || self.config().cap_ipc_lock {
            return Ok(());
        }
        Err(Errno::EAGAIN)
    }

    /// Whether a new area of such flags keeps to RLIMIT_MEMLOCK (`mlock_future_check`).
    ///
    /// # Errors
    /// EAGAIN if it does not.
    pub fn mlock_future_check(&self, flags: VmFlags, len: u64) -> Result<(), Errno> {
        if !flags.contains(VmFlags::LOCKED) {
            return Ok(());
        }
        let locked = self.mm_struct().locked_vm.peek().saturating_add(len >> 12);
        self.locked_within_limit(locked)
    }
}
