//! mlock and its family (section 10).

use vmadiff_contract::{Errno, LockAllFlags, LockFlags, PAGE_SIZE, VmFlags};

use crate::area::{LOCKS, page_down, page_up};
use crate::merge::Wanted;
use crate::world::{Answer, NoMemory, World};

impl World {
    /// Locks a range (mlock2; mlock has no flags), and populates it.
    pub fn mlock(&mut self, t: usize, start: u64, len: u64, flags: LockFlags) -> Answer {
        if !LockFlags::ONFAULT.contains(flags) {
            return Err(Errno::EINVAL);
        }
        if !self.may_lock() {
            return Err(Errno::EPERM);
        }
        let m = self.tasks[t].mm;
        let (start, len) = whole_pages(start, len);
        let pages = len / PAGE_SIZE;
        let mm = &self.mms[m];
        let locked = pages + mm.locked;
        if self.locks_too_much(locked)
            && self.locks_too_much(locked - self.locked_in(m, start, len))
        {
            return Err(Errno::ENOMEM);
        }
        let mut wanted = VmFlags::LOCKED;
        wanted.set(VmFlags::LOCKONFAULT, flags.contains(LockFlags::ONFAULT));
        self.lock_range(m, start, len, wanted)?;
        match self.populate(t, start, len) {
            Ok(()) => Ok(0),
            Err(Errno::EFAULT) => Err(Errno::ENOMEM),
            Err(_) => Err(Errno::EAGAIN),
        }
    }

    /// Unlocks a range.
    pub fn munlock(&mut self, m: usize, start: u64, len: u64) -> Answer {
        let (start, len) = whole_pages(start, len);
        self.lock_range(m, start, len, VmFlags::empty()).map(|()| 0)
    }

    /// Pages of a range that are locked already (`count_mm_mlocked_page_nr`). A range that wraps
    /// is found out later and counts none.
    fn locked_in(&self, m: usize, start: u64, len: u64) -> u64 {
        let Some(end) = start.checked_add(len) else {
            return 0;
        };
        let mm = &self.mms[m];
        mm.areas[mm.overlap(start, end)]
            .iter()
            .filter(|area| area.flags.contains(VmFlags::LOCKED))
            .map(|area| (area.end.min(end) - area.start.max(start)) / PAGE_SIZE)
            .sum()
    }

    /// Gives the areas of a range these lock flags (`apply_vma_lock_flags`). Those before an error
    /// keep them.
    fn lock_range(&mut self, m: usize, start: u64, len: u64, locks: VmFlags) -> Answer<()> {
        let end = start.checked_add(len).ok_or(Errno::EINVAL)?;
        if len == 0 {
            return Ok(());
        }
        let mut i = self.mms[m].at(start).ok_or(Errno::ENOMEM)?;
        let mut at = start;
        loop {
            let upto = self.mms[m].areas[i].end.min(end);
            i = self.lock_part(m, i, at, upto, locks)?;
            at = upto.max(self.mms[m].areas[i].end);
            if at >= end {
                return Ok(());
            }
            i += 1;
            if self.mms[m].areas.get(i).is_none_or(|next| next.start != at) {
                return Err(Errno::ENOMEM);
            }
        }
    }

    /// Gives a part of area `i` these lock flags (`mlock_fixup`), and answers the place of the
    /// area that holds it now.
    fn lock_part(
        &mut self,
        m: usize,
        i: usize,
        start: u64,
        end: u64,
        locks: VmFlags,
    ) -> Result<usize, NoMemory> {
        let area = &self.mms[m].areas[i];
        let old = area.flags;
        let new = old.difference(LOCKS) | locks;
        if new == old {
            return Ok(i);
        }
        let wanted = Wanted::part(area, start, end, new);
        let i = self.carve(m, i, &wanted)?;
        let pages = (end - start) / PAGE_SIZE;
        let mm = &mut self.mms[m];
        mm.areas[i].flags = new;
        match (old.contains(VmFlags::LOCKED), new.contains(VmFlags::LOCKED)) {
            (false, true) => mm.locked += pages,
            (true, false) => mm.locked -= pages,
            _ => {}
        }
        Ok(i)
    }

    /// Locks everything, what is there or what will come or both. MCL_ONFAULT alone unlocks
    /// everything (section 18).
    pub fn mlockall(&mut self, t: usize, flags: LockAllFlags) -> Answer {
        if flags.is_empty() || !LockAllFlags::from_bits_retain(7).contains(flags) {
            return Err(Errno::EINVAL);
        }
        if !self.may_lock() {
            return Err(Errno::EPERM);
        }
        let m = self.tasks[t].mm;
        let current = flags.contains(LockAllFlags::CURRENT);
        if current && self.locks_too_much(self.mms[m].total) {
            return Err(Errno::ENOMEM);
        }
        self.lock_all(m, flags);
        if current {
            self.populate_quietly(t, 0, self.config.task_size);
        }
        Ok(0)
    }

    /// Unlocks everything.
    pub fn munlockall(&mut self, m: usize) -> Answer {
        self.lock_all(m, LockAllFlags::empty());
        Ok(0)
    }

    /// Replaces the lock flags of future areas and, unless only those were meant, of all areas,
    /// whose errors nobody is told (`apply_mlockall_flags`).
    fn lock_all(&mut self, m: usize, flags: LockAllFlags) {
        let mut locks = VmFlags::LOCKED;
        locks.set(VmFlags::LOCKONFAULT, flags.contains(LockAllFlags::ONFAULT));
        let chosen = |flag| {
            if flags.contains(flag) {
                locks
            } else {
                VmFlags::empty()
            }
        };
        let (now, future) = (chosen(LockAllFlags::CURRENT), chosen(LockAllFlags::FUTURE));
        self.mms[m].def_flags = future;
        if now.is_empty() && !future.is_empty() {
            return;
        }
        let mut i = 0;
        while let Some(area) = self.mms[m].areas.get(i) {
            i = self.lock_part(m, i, area.start, area.end, now).unwrap_or(i) + 1;
        }
    }
}

/// The pages that a range touches.
fn whole_pages(start: u64, len: u64) -> (u64, u64) {
    (
        page_down(start),
        page_up(len.wrapping_add(start % PAGE_SIZE)),
    )
}
