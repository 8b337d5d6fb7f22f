//! The heap (section 13).

use vmadiff_contract::{Errno, PAGE_SIZE, VmFlags};

use crate::area::page_up;
use crate::merge::Wanted;
use crate::mmap::MAY;
use crate::world::{Answer, World};

impl World {
    /// Sets the end of the heap and answers it: the new one, or the old one where that is refused.
    pub fn brk(&mut self, t: usize, brk: u64) -> u64 {
        let m = self.tasks[t].mm;
        let old = self.mms[m].brk;
        let Some(size) = brk.checked_sub(self.config.start_brk) else {
            return old;
        };
        if size > self.config.rlimit_data {
            return old;
        }
        let (from, to) = (page_up(old), page_up(brk));
        let moved = if from == to {
            Ok(())
        } else if brk <= old {
            self.munmap(m, to, from - to)
        } else {
            self.grow_heap(m, from, to)
        };
        if moved.is_err() {
            return old;
        }
        self.mms[m].brk = brk;
        if to > from && self.mms[m].def_flags.contains(VmFlags::LOCKED) {
            self.populate_quietly(t, from, to - from);
        }
        brk
    }

    /// Maps the new part (`do_brk_flags`). It is charged whatever its flags.
    fn grow_heap(&mut self, m: usize, start: u64, end: u64) -> Answer<()> {
        let len = end.wrapping_sub(start);
        let mm = &self.mms[m];
        let next = mm.areas.get(mm.find(start));
        if next.is_some_and(|next| end.wrapping_add(PAGE_SIZE) > next.start_gap(self.guard())) {
            return Err(Errno::ENOMEM);
        }
        self.place(m, start, len, true)?;
        let access = VmFlags::READ | VmFlags::WRITE | VmFlags::ACCOUNT;
        let flags = access | MAY | mm.def_flags;
        if self.locks_past_limit(m, flags, len) {
            return Err(Errno::EAGAIN);
        }
        let pages = len / PAGE_SIZE;
        if !self.may_expand(m, flags, pages) || self.map_is_overfull(m) {
            return Err(Errno::ENOMEM);
        }
        self.charge(pages)?;
        let pgoff = start / PAGE_SIZE;
        let (file, anon, policy) = (None, None, None);
        self.map_vacant(
            m,
            Wanted {
                start,
                end,
                flags,
                pgoff,
                file,
                anon,
                policy,
            },
        )
    }
}
