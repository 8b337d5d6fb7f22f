//! Resizing and moving a mapping (section 9).

use vmadiff_contract::{Errno, MoveFlags, Note, PAGE_SIZE, VmFlags, VmaId};

use crate::area::page_up;
use crate::merge::Wanted;
use crate::page::Page;
use crate::world::{Answer, World};

/// The arguments of mremap; the lengths are rounded up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Remap {
    pub addr: u64,
    pub old_len: u64,
    pub new_len: u64,
    pub flags: MoveFlags,
    pub new_addr: u64,
}

/// Areas that a move may need for a moment: it stays so far below the limit.
const SPARE_AREAS: i64 = 3;

impl World {
    /// Resizes or moves, and populates the new tail of a locked area.
    pub fn mremap(&mut self, t: usize, ask: &Remap) -> Answer {
        let known = MoveFlags::MAYMOVE | MoveFlags::FIXED;
        let fixed = ask.flags.contains(MoveFlags::FIXED);
        if !known.contains(ask.flags) || (fixed && !ask.flags.contains(MoveFlags::MAYMOVE)) {
            return Err(Errno::EINVAL);
        }
        Self::aligned(ask.addr)?;
        let (old_len, new_len) = (page_up(ask.old_len), page_up(ask.new_len));
        let ask = Remap {
            old_len,
            new_len,
            ..*ask
        };
        if new_len == 0 {
            return Err(Errno::EINVAL);
        }
        let m = self.tasks[t].mm;
        let addr = if fixed {
            self.remap_to(m, ask)?
        } else if old_len >= new_len {
            self.cut_tail(m, &ask)?;
            return Ok(ask.addr);
        } else {
            self.grow(m, &ask)?
        };
        let locked = self.mms[m].at(addr).map(|i| self.mms[m].areas[i].flags);
        if new_len > old_len && locked.is_some_and(|flags| flags.contains(VmFlags::LOCKED)) {
            self.populate_quietly(t, addr + old_len, new_len - old_len);
        }
        Ok(addr)
    }

    /// Unmaps what lies between the new and the old end. With equal lengths there is nothing, and
    /// no error either.
    fn cut_tail(&mut self, m: usize, ask: &Remap) -> Answer<()> {
        let tail = ask.old_len - ask.new_len;
        let result = self.munmap(m, ask.addr.wrapping_add(ask.new_len), tail);
        if tail == 0 { Ok(()) } else { result }
    }

    /// Moves to a place that is made free (`mremap_to`). What is unmapped before an error stays so.
    ///
    /// A choice, as the kernel: an old range whose end wraps overlaps nothing that lies above the
    /// wrapped end, so the destination is gone before the range is refused.
    fn remap_to(&mut self, m: usize, mut ask: Remap) -> Answer {
        let task_size = self.config.task_size;
        let Remap {
            addr,
            old_len,
            new_len,
            new_addr,
            ..
        } = ask;
        Self::aligned(new_addr)?;
        if new_len > task_size || new_addr > task_size - new_len {
            return Err(Errno::EINVAL);
        }
        if addr.wrapping_add(old_len) > new_addr && new_addr + new_len > addr {
            return Err(Errno::EINVAL);
        }
        if self.lacks_spare_areas(m, 2) {
            return Err(Errno::ENOMEM);
        }
        self.munmap(m, new_addr, new_len)?;
        if old_len >= new_len {
            self.cut_tail(m, &ask)?;
            ask.old_len = new_len;
        }
        let (i, charged) = self.resizable(m, &ask)?;
        let moved = self.place(m, new_addr, new_len, true);
        let moved = moved.and_then(|_| self.move_area(m, i, &ask, new_addr));
        moved.inspect_err(|_| self.committed -= charged)
    }

    /// Whether the map, with so many areas more, is too near its limit for a move (section 14).
    fn lacks_spare_areas(&self, m: usize, more: i64) -> bool {
        let limit = i64::from(self.config.max_map_count) - SPARE_AREAS;
        self.mms[m].areas.len() as i64 + more >= limit
    }

    /// Grows in place if there is room behind the area, else at another place.
    fn grow(&mut self, m: usize, ask: &Remap) -> Answer {
        let (i, charged) = self.resizable(m, ask)?;
        if self.has_room_behind(m, i, ask) {
            let pages = (ask.new_len - ask.old_len) / PAGE_SIZE;
            let mm = &mut self.mms[m];
            let flags = mm.areas[i].flags;
            mm.areas[i].end = ask.addr + ask.new_len;
            mm.account(flags, pages);
            if flags.contains(VmFlags::LOCKED) {
                mm.locked += pages;
            }
            return Ok(ask.addr);
        }
        let moved = if ask.flags.contains(MoveFlags::MAYMOVE) {
            let place = self.place(m, 0, ask.new_len, false);
            place.and_then(|new_addr| self.move_area(m, i, ask, new_addr))
        } else {
            Err(Errno::ENOMEM)
        };
        moved.inspect_err(|_| self.committed -= charged)
    }

    /// Whether the old range reaches the area's end and the area can be extended there
    /// (`vma_expandable`). Guard gaps do not count.
    fn has_room_behind(&self, m: usize, i: usize, ask: &Remap) -> bool {
        let area = &self.mms[m].areas[i];
        let Some(end) = area.end.checked_add(ask.new_len - ask.old_len) else {
            return false;
        };
        ask.addr + ask.old_len == area.end
            && self.mms[m]
                .areas
                .get(i + 1)
                .is_none_or(|next| next.start >= end)
            && self.place(m, area.start, end - area.start, true).is_ok()
    }

    /// The area to resize, by place, and the pages that its growth was charged for
    /// (`vma_to_resize`).
    fn resizable(&mut self, m: usize, ask: &Remap) -> Answer<(usize, u64)> {
        let Remap {
            addr,
            old_len,
            new_len,
            ..
        } = *ask;
        let i = self.mms[m].at(addr).ok_or(Errno::EFAULT)?;
        let area = &self.mms[m].areas[i];
        let flags = area.flags;
        if old_len == 0 && !flags.intersects(VmFlags::SHARED | VmFlags::MAYSHARE) {
            return Err(Errno::EINVAL);
        }
        if old_len > area.end - addr {
            return Err(Errno::EFAULT);
        }
        if new_len == old_len {
            return Ok((i, 0));
        }
        let pages = (new_len - old_len) / PAGE_SIZE;
        area.pgoff_at(addr)
            .checked_add(new_len / PAGE_SIZE)
            .ok_or(Errno::EINVAL)?;
        let locked = (self.mms[m].locked * PAGE_SIZE).saturating_add(new_len - old_len);
        let limit = self.config.rlimit_memlock;
        if flags.contains(VmFlags::LOCKED) && locked > limit && !self.config.cap_ipc_lock {
            return Err(Errno::EAGAIN);
        }
        if !self.may_expand(m, flags, pages) {
            return Err(Errno::ENOMEM);
        }
        let charged = if flags.contains(VmFlags::ACCOUNT) {
            pages
        } else {
            0
        };
        self.charge(charged)?;
        Ok((i, charged))
    }

    /// Moves a part of area `i` to a free place (`move_vma`).
    fn move_area(&mut self, m: usize, i: usize, ask: &Remap, new_addr: u64) -> Answer {
        if self.lacks_spare_areas(m, 0) {
            return Err(Errno::ENOMEM);
        }
        let flags = self.mms[m].areas[i].flags;
        let (old, new) = self.copy_to(m, i, ask, new_addr)?;
        self.move_pages(m, ask.addr, ask.old_len, new_addr);
        let new = self.by_name(m, new);
        self.mms[m].areas[new].flags -= VmFlags::UFFD_MISSING;
        self.unmap_moved(m, old, ask, flags.contains(VmFlags::ACCOUNT));
        if flags.contains(VmFlags::LOCKED) {
            self.mms[m].locked += ask.new_len / PAGE_SIZE;
        }
        Ok(new_addr)
    }

    /// The area at the new place, merged or made as a copy (`copy_vma`). Answers the names of the
    /// area that has the old range, which may have been merged with the new one, and of the new.
    fn copy_to(&mut self, m: usize, i: usize, ask: &Remap, addr: u64) -> Answer<(VmaId, VmaId)> {
        let area = &self.mms[m].areas[i];
        let (source, start) = (area.id, area.start);
        let unfaulted = area.file.is_none() && area.rmap.anon.is_none();
        let pgoff = if unfaulted {
            addr / PAGE_SIZE
        } else {
            area.pgoff_at(ask.addr)
        };
        let end = addr + ask.new_len;
        let wanted = Wanted {
            start: addr,
            end,
            pgoff,
            ..Wanted::part(area, ask.addr, ask.addr, area.flags)
        };
        let place = self.mms[m].find(addr);
        if let Some(merged) = self.merge(m, place.checked_sub(1), &wanted) {
            let merged = &self.mms[m].areas[merged];
            let source = if merged.holds(start) {
                merged.id
            } else {
                source
            };
            return Ok((source, merged.id));
        }
        let mut copy = self.copy_area(m, i)?;
        (copy.start, copy.end, copy.pgoff) = (addr, end, pgoff);
        let new = copy.id;
        self.open_area(copy.file, new);
        self.link(m, place, copy);
        Ok((source, new))
    }

    fn by_name(&self, m: usize, vma: VmaId) -> usize {
        let found = self.mms[m].areas.iter().position(|area| area.id == vma);
        found.expect("an area that was just named is linked")
    }

    /// Moves the entries of a range, swapped or not, as they are (`move_page_tables`).
    fn move_pages(&mut self, m: usize, start: u64, len: u64, to: u64) {
        let mm = &mut self.mms[m];
        let range = mm.pages_in(start, start + len);
        let moved: Vec<Page> = mm
            .pages
            .drain(range)
            .map(|page| Page {
                addr: page.addr - start + to,
                ..page
            })
            .collect();
        let at = mm.pages_in(to, to).start;
        mm.pages.splice(at..at, moved);
    }

    /// Counts the new range in and unmaps the old one, whose charge has gone with the pages: it is
    /// hidden, and stands again on what remains of the area. If the unmapping fails the old area
    /// stays without it (section 18).
    fn unmap_moved(&mut self, m: usize, old: VmaId, ask: &Remap, accounted: bool) {
        let i = self.by_name(m, old);
        let end = ask.addr + ask.old_len;
        let mm = &mut self.mms[m];
        let area = &mut mm.areas[i];
        let remaining = if accounted {
            area.end - area.start - ask.old_len
        } else {
            0
        };
        let in_two = area.start < ask.addr && end < area.end;
        area.flags.set(
            VmFlags::ACCOUNT,
            area.flags.contains(VmFlags::ACCOUNT) && !accounted,
        );
        let flags = area.flags;
        mm.account(flags, ask.new_len / PAGE_SIZE);
        if self.munmap(m, ask.addr, ask.old_len).is_err() {
            self.note(Note::Undo("mremap.unmap"));
            self.committed -= remaining / PAGE_SIZE;
        } else if remaining > 0 {
            let i = self.by_name(m, old);
            let pieces = if in_two { i..i + 2 } else { i..i + 1 };
            for area in &mut self.mms[m].areas[pieces] {
                area.flags |= VmFlags::ACCOUNT;
            }
        }
    }
}
