//! Advice on the use of memory (section 11).

use vmadiff_contract::{Advice, Errno, PAGE_SIZE, VmFlags};

use crate::area::page_up;
use crate::merge::Wanted;
use crate::page::Entry;
use crate::world::{Answer, World};

impl World {
    /// Advises, area by area; holes are skipped and make the answer `ENOMEM` at the end.
    pub fn madvise(&mut self, m: usize, start: u64, len: u64, advice: Advice) -> Answer {
        if matches!(advice, Advice::Other(_)) {
            return Err(Errno::EINVAL);
        }
        Self::aligned(start)?;
        let rounded = page_up(len);
        if len != 0 && rounded == 0 {
            return Err(Errno::EINVAL);
        }
        let end = start.checked_add(rounded).ok_or(Errno::EINVAL)?;
        let mut at = start;
        let mut answer = Ok(0);
        let mut i = self.mms[m].find(start);
        while at < end {
            let area = self.mms[m].areas.get(i).ok_or(Errno::ENOMEM)?;
            if at < area.start {
                answer = Err(Errno::ENOMEM);
                at = area.start;
                continue;
            }
            let upto = area.end.min(end);
            i = self.advise_part(m, i, at, upto, advice)?;
            at = upto.max(self.mms[m].areas[i].end);
            i += 1;
        }
        answer
    }

    /// Advises on a part of area `i`, and answers the place of the area that holds it now.
    fn advise_part(
        &mut self,
        m: usize,
        i: usize,
        start: u64,
        end: u64,
        advice: Advice,
    ) -> Answer<usize> {
        let area = &self.mms[m].areas[i];
        let old = area.flags;
        let new = match advice {
            Advice::Normal => old - VmFlags::RAND_READ - VmFlags::SEQ_READ,
            Advice::Random => (old - VmFlags::SEQ_READ) | VmFlags::RAND_READ,
            Advice::Sequential => (old - VmFlags::RAND_READ) | VmFlags::SEQ_READ,
            Advice::DontFork => old | VmFlags::DONTCOPY,
            Advice::DoFork => old - VmFlags::DONTCOPY,
            Advice::DontDump => old | VmFlags::DONTDUMP,
            Advice::DoDump => old - VmFlags::DONTDUMP,
            Advice::WipeOnFork if area.file.is_some() => return Err(Errno::EINVAL),
            Advice::WipeOnFork => old | VmFlags::WIPEONFORK,
            Advice::KeepOnFork => old - VmFlags::WIPEONFORK,
            Advice::DontNeed | Advice::Free => return self.discard(m, i, start, end, advice),
            Advice::Remove => return self.punch_area(m, i, start, end),
            Advice::Other(_) => return Err(Errno::EINVAL),
        };
        if new == old {
            return Ok(i);
        }
        let wanted = Wanted::part(area, start, end, new);
        let full = self.map_is_full(m);
        let i = self.carve(m, i, &wanted);
        let i = i.map_err(|_| {
            if full || self.map_is_full(m) {
                Errno::ENOMEM
            } else {
                Errno::EAGAIN
            }
        })?;
        self.mms[m].areas[i].flags = new;
        Ok(i)
    }

    /// Throws pages away. FREE keeps those in memory: the kernel may drop them later, and the
    /// model never does (section 18).
    fn discard(
        &mut self,
        m: usize,
        i: usize,
        start: u64,
        end: u64,
        advice: Advice,
    ) -> Answer<usize> {
        let area = &self.mms[m].areas[i];
        if area.flags.contains(VmFlags::LOCKED) {
            return Err(Errno::EINVAL);
        }
        if advice == Advice::DontNeed {
            self.zap(m, start, end);
            return Ok(i);
        }
        if area.file.is_some() {
            return Err(Errno::EINVAL);
        }
        for at in self.mms[m].pages_in(start, end).rev() {
            let page = self.mms[m].pages[at];
            if matches!(page.entry, Entry::Swap(_)) {
                self.zap(m, page.addr, page.addr + PAGE_SIZE);
            }
        }
        Ok(i)
    }

    /// Punches what the part maps out of its file object (`madvise_remove`).
    fn punch_area(&mut self, m: usize, i: usize, start: u64, end: u64) -> Answer<usize> {
        let area = &self.mms[m].areas[i];
        let file = area
            .file
            .filter(|_| !area.flags.contains(VmFlags::LOCKED))
            .ok_or(Errno::EINVAL)?;
        if !area.flags.contains(VmFlags::SHARED | VmFlags::WRITE) {
            return Err(Errno::EACCES);
        }
        let offset = area.pgoff_at(start).saturating_mul(PAGE_SIZE);
        self.punch(file, offset, end - start)?;
        Ok(i)
    }
}
