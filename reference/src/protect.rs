//! Changing what may be done with memory (section 8).

use vmadiff_contract::{Errno, Note, PAGE_SIZE, POPULATE_MAX_PAGES, Prot, VmFlags};

use crate::area::{ACCESS, page_up};
use crate::merge::Wanted;
use crate::mmap::access_flags;
use crate::world::{Answer, World};

impl World {
    /// Changes the protection of a range, area by area; what was done before an error stays.
    pub fn mprotect(&mut self, t: usize, start: u64, len: u64, prot: Prot) -> Answer {
        let m = self.tasks[t].mm;
        let both = Prot::GROWSDOWN | Prot::GROWSUP;
        if prot.contains(both) {
            return Err(Errno::EINVAL);
        }
        Self::aligned(start)?;
        if len == 0 {
            return Ok(0);
        }
        let end = start.wrapping_add(page_up(len));
        if end <= start {
            return Err(Errno::ENOMEM);
        }
        if !(Prot::READ | Prot::WRITE | Prot::EXEC | Prot::SEM | both).contains(prot) {
            return Err(Errno::EINVAL);
        }
        let mut i = self.mms[m].find(start);
        let first = self.mms[m].areas.get(i).ok_or(Errno::ENOMEM)?;
        let mut at = start;
        if prot.contains(Prot::GROWSDOWN) {
            if first.start >= end {
                return Err(Errno::ENOMEM);
            }
            if !first.flags.contains(VmFlags::GROWSDOWN) {
                return Err(Errno::EINVAL);
            }
            at = first.start;
        } else if first.start > start {
            return Err(Errno::ENOMEM);
        } else if prot.contains(Prot::GROWSUP) {
            return Err(Errno::EINVAL);
        }
        loop {
            let upto = self.mms[m].areas[i].end.min(end);
            i = self.protect_part(t, i, at, upto, access_flags(prot))?;
            at = upto.max(self.mms[m].areas[i].end);
            if at >= end {
                return Ok(0);
            }
            i += 1;
            if self.mms[m].areas.get(i).is_none_or(|next| next.start != at) {
                return Err(Errno::ENOMEM);
            }
        }
    }

    /// Changes a part of area `i` (`mprotect_fixup`), and answers the place of the area that
    /// holds it now.
    fn protect_part(
        &mut self,
        t: usize,
        i: usize,
        start: u64,
        end: u64,
        access: VmFlags,
    ) -> Answer<usize> {
        let m = self.tasks[t].mm;
        let old = self.mms[m].areas[i].flags;
        let mut new = old.difference(ACCESS) | access;
        if !may(new).contains(access) {
            return Err(Errno::EACCES);
        }
        if new == old {
            return Ok(i);
        }
        let pages = (end - start) / PAGE_SIZE;
        let mut charged = 0;
        if new.contains(VmFlags::WRITE) {
            if !self.may_expand(m, new, pages) && self.may_expand(m, old, pages) {
                return Err(Errno::ENOMEM);
            }
            if !old.intersects(
                VmFlags::ACCOUNT | VmFlags::WRITE | VmFlags::SHARED | VmFlags::NORESERVE,
            ) {
                self.charge(pages)?;
                charged = pages;
                new |= VmFlags::ACCOUNT;
            }
        }
        let wanted = Wanted::part(&self.mms[m].areas[i], start, end, new);
        let i = self.carve(m, i, &wanted).inspect_err(|_| {
            self.note(Note::Undo("mprotect.split"));
            self.committed -= charged;
        })?;
        let mm = &mut self.mms[m];
        mm.areas[i].flags = new;
        self.protect_pages(m, start, end, new);
        let locked = old & (VmFlags::WRITE | VmFlags::SHARED | VmFlags::LOCKED) == VmFlags::LOCKED;
        if locked && new.contains(VmFlags::WRITE) {
            let mut budget = POPULATE_MAX_PAGES;
            // As for mlock, but nobody is told what could not be had.
            let _ = self.populate_area(t, i, start, end, &mut budget);
        }
        let mm = &mut self.mms[m];
        mm.discount(old, pages);
        mm.account(new, pages);
        Ok(i)
    }
}

/// The access that mprotect may give: each of R, W, X whose MAY flag is set.
fn may(flags: VmFlags) -> VmFlags {
    [
        (VmFlags::MAYREAD, VmFlags::READ),
        (VmFlags::MAYWRITE, VmFlags::WRITE),
        (VmFlags::MAYEXEC, VmFlags::EXEC),
    ]
    .into_iter()
    .filter(|(may, _)| flags.contains(*may))
    .fold(VmFlags::empty(), |all, (_, access)| all | access)
}
