//! Locking areas into memory: mlock, mlock2, munlock, mlockall, munlockall.

use vmadiff_contract::{Errno, LockAllFlags, LockFlags, Resource, StepKind, Told, VmFlags};
use vmadiff_interleave::Site;

use crate::area::merge::Range;
use crate::area::split::SplitError;
use crate::area::vma::Vma;
use crate::call::mmap::page_align;
use crate::core::current::Current;
use crate::core::machine::Machine;
use crate::core::mm::Mm;
use crate::core::section::Section;
use crate::core::slab::Ref;
use crate::design::{Design, Why};
use crate::sites as site;

/// The flags of locking (those that VM_LOCKED_CLEAR_MASK clears).
const LOCKS: VmFlags = VmFlags::LOCKED.union(VmFlags::LOCKONFAULT);

impl<D: Design> Current<'_, D> {
    /// `mlock`.
    pub fn sys_mlock(&self, start: u64, len: u64) -> Result<u64, Errno> {
        self.do_mlock(start, len, VmFlags::LOCKED)
    }

    /// `mlock2`.
    pub fn sys_mlock2(&self, start: u64, len: u64, flags: LockFlags) -> Result<u64, Errno> {
        if !(flags - LockFlags::ONFAULT).is_empty() {
            return Err(Errno::EINVAL);
        }
        let locks = if flags.contains(LockFlags::ONFAULT) {
            LOCKS
        } else {
            VmFlags::LOCKED
        };
        self.do_mlock(start, len, locks)
    }

    fn do_mlock(&self, start: u64, len: u64, locks: VmFlags) -> Result<u64, Errno> {
        self.may_lock_at_all()?;
        let len = page_align(len.wrapping_add(start & 4095));
        let start = start & !4095;
        let limit = self.memlock_limit(site::DO_MLOCK__RLIM);
        {
            let mm = self.mm_struct();
            let _write = Section::enter(self, mm, site::MLOCK__MMAP_SEM);
            let mut locked = (len >> 12).saturating_add(mm.locked_vm.peek());
            if locked > limit {
                locked =
                    locked.wrapping_sub_signed(self.count_mm_mlocked_page_nr(start, len).into());
            }
            let fits = locked <= limit || self.config().cap_ipc_lock;
            self.decided(self.counters(), fits.then_some(()).ok_or(Errno::ENOMEM))?;
            self.apply_vma_lock_flags(start, len, locks)?;
        }
        // As POSIX has it (`__mlock_posix_error_return`).
        self.populate(start, len, false)
            .map_err(|errno| match errno {
                Errno::EFAULT => Errno::ENOMEM,
                Errno::ENOMEM => Errno::EAGAIN,
                other => other,
            })?;
        Ok(0)
    }

    /// `munlock`.
    pub fn sys_munlock(&self, start: u64, len: u64) -> Result<u64, Errno> {
        let len = page_align(len.wrapping_add(start & 4095));
        let _write = Section::enter(self, self.mm_struct(), site::MUNLOCK__MMAP_SEM);
        self.mark_done(StepKind::Decide, self.counters());
        self.apply_vma_lock_flags(start & !4095, len, VmFlags::empty())?;
        Ok(0)
    }

    /// `mlockall`. MCL_ONFAULT alone is let through and unlocks; mended in 5.2.
    pub fn sys_mlockall(&self, flags: LockAllFlags) -> Result<u64, Errno> {
        let known = LockAllFlags::CURRENT | LockAllFlags::FUTURE | LockAllFlags::ONFAULT;
        if flags.is_empty() || !(flags - known).is_empty() {
            return Err(Errno::EINVAL);
        }
        self.may_lock_at_all()?;
        let limit = self.memlock_limit(site::MLOCKALL__RLIM);
        let current = flags.contains(LockAllFlags::CURRENT);
        {
            let mm = self.mm_struct();
            let _write = Section::enter(self, mm, site::MLOCKALL__MMAP_SEM);
            let fits = mm.total_vm.peek() <= limit;
            if current && !fits && !self.config().cap_ipc_lock {
                self.mark(StepKind::Decide, self.counters(), Told::Refused);
                return Err(Errno::ENOMEM);
            }
            self.apply_mlockall_flags(mm, flags);
        }
        if current {
            self.mm_populate(0, self.config().task_size);
        }
        Ok(0)
    }

    /// `munlockall`.
    pub fn sys_munlockall(&self) -> Result<u64, Errno> {
        let mm = self.mm_struct();
        let _write = Section::enter(self, mm, site::MUNLOCKALL__MMAP_SEM);
        self.apply_mlockall_flags(mm, LockAllFlags::empty());
        Ok(0)
    }

    /// Refuses who may lock nothing (`can_do_mlock`).
    fn may_lock_at_all(&self) -> Result<(), Errno> {
        let may = self.can_do_mlock().then_some(()).ok_or(Errno::EPERM);
        self.decided(self.counters(), may)
    }

    /// How many pages may be locked: read before mmap_sem is there, so that it may have changed when
    /// it counts.
    fn memlock_limit(&self, site: Site) -> u64 {
        let limit = self.rlimit_at(site, Resource::MemLock) >> 12;
        self.mark_done(StepKind::Decide, self.counters());
        limit
    }

    /// Gives the areas of a range these lock flags and no others. A hole ends it; the areas before
    /// stay locked.
    fn apply_vma_lock_flags(&self, start: u64, len: u64, locks: VmFlags) -> Result<(), Errno> {
        let end = start.checked_add(len).ok_or(Errno::EINVAL)?;
        if end == start {
            return Ok(());
        }
        let first = self.find_vma(start).filter(|vma| vma.start() <= start);
        if first.is_none() {
            self.mark(StepKind::Decide, self.areas(), Told::Refused);
        }
        let first = first.ok_or(Errno::ENOMEM)?;
        self.change_pieces(first, start, end, |vma, prev, from, to| {
            let flags = (vma.flags() - LOCKS) | locks;
            self.mlock_fixup(vma, prev, from, to, flags)
                .map_err(|_| Errno::ENOMEM)
        })
    }

    /// Replaces the lock flags of areas to come, and, unless only those are meant, of all that are
    /// there; what fails in single areas is ignored.
    fn apply_mlockall_flags(&self, mm: &Mm, flags: LockAllFlags) {
        let (current, future) = (
            flags.contains(LockAllFlags::CURRENT),
            flags.contains(LockAllFlags::FUTURE),
        );
        let asked = if flags.contains(LockAllFlags::ONFAULT) {
            LOCKS
        } else {
            VmFlags::LOCKED
        };
        let given = |to: bool| if to { asked } else { VmFlags::empty() };
        let defaults = (mm.default_flags() - LOCKS) | given(future);
        self.mark_done(StepKind::Decide, self.counters());
        mm.def_flags
            .set(site::APPLY_MLOCKALL__DEF_FLAGS, defaults.bits());
        if future && !current {
            return;
        }
        let mut prev = None;
        let mut next = self.first_vma(mm);
        while let Some(vma) = next {
            let flags = (vma.flags() - LOCKS) | given(current);
            let done = self
                .mlock_fixup(vma, prev, vma.start(), vma.end(), flags)
                .unwrap_or(vma);
            prev = Some(done);
            next = self.next(done);
        }
    }

    /// Gives a piece of an area new lock flags (`mlock_fixup`); answers the area that it is in then.
    fn mlock_fixup<'a>(
        &'a self,
        vma: Ref<'a, Vma>,
        prev: Option<Ref<'a, Vma>>,
        start: u64,
        end: u64,
        flags: VmFlags,
    ) -> Result<Ref<'a, Vma>, SplitError> {
        let old = vma.flags();
        if flags == old {
            return Ok(vma);
        }
        let range = Range {
            flags,
            ..Range::of(vma, start, end)
        };
        let vma = self.merge_or_split(vma, prev, &range)?;
        let pages = (end - start) >> 12;
        let lock = flags.contains(VmFlags::LOCKED);
        let mm = self.mm_struct();
        if !lock {
            mm.locked_vm.count(pages.wrapping_neg());
        } else if !old.contains(VmFlags::LOCKED) {
            mm.locked_vm.count(pages);
        }
        if lock {
            D::change(self, vma, Why::Lock);
            vma.set_flags(site::MLOCK_FIXUP__VM_FLAGS, flags);
            self.mark(StepKind::Flags, vma.about(), Told::Flags(flags));
            D::changed(self, vma, Why::Lock);
        } else {
            self.munlock_vma_pages_range(vma);
        }
        Ok(vma)
    }

    /// Pages of a range that are locked already (`count_mm_mlocked_page_nr`): an int, as its bytes are.
    fn count_mm_mlocked_page_nr(&self, start: u64, len: u64) -> i32 {
        // It may wrap: that is refused later, and counted as it comes here.
        let end = start.wrapping_add(len);
        let mut count = 0_i32;
        let mut next = self.find_vma(start);
        while let Some(vma) = next.filter(|vma| vma.start() < end) {
            if vma.flags().contains(VmFlags::LOCKED) {
                count = count.wrapping_sub(start.saturating_sub(vma.start()) as i32);
                if end < vma.end() {
                    count = count.wrapping_add((end - vma.start()) as i32);
                    break;
                }
                count = count.wrapping_add((vma.end() - vma.start()) as i32);
            }
            next = self.next(vma);
        }
        count >> 12
    }
}

impl<D: Design> Machine<D> {
    /// Takes an area's lock flags away (`munlock_vma_pages_range`). Its pages are
    /// where they were: the model has no list of pages that cannot be evicted.
    pub fn munlock_vma_pages_range(&self, vma: Ref<'_, Vma>) {
        D::change(self, vma, Why::Unlock);
        let flags = vma.flags() - LOCKS;
        vma.set_flags(site::MUNLOCK_VMA_PAGES__VM_FLAGS, flags);
        self.mark(StepKind::Flags, vma.about(), Told::Flags(flags));
        D::changed(self, vma, Why::Unlock);
    }
}
