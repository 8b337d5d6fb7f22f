//! Where a mapping goes (section 7).
//!
//! A choice: gaps are looked at one by one. Linux's tree walk stops at the first gap that ends too
//! low, which a stack's guard gap can make it do while a lower area still has room above it; what
//! it then answers depends on the shape of its tree.
//!
//! Among tens of thousands of areas each search would pass all of them. After a long search from the
//! top the list of areas has a note: how much had no room among the last of them. As long as those are
//! unchanged, the next search for as much begins below.

use vmadiff_contract::{Errno, PAGE_SIZE};

use crate::area::{is_aligned, page_up};
use crate::world::{Answer, World};

/// Gaps that a search passes before it is worth a note.
const LONG: usize = 64;

impl World {
    /// The address for a mapping of `len` bytes (`get_unmapped_area`): `addr` as a hint, if it is
    /// not 0, or wherever there is room.
    pub fn place(&mut self, m: usize, addr: u64, len: u64) -> Answer {
        if len > self.config.task_size {
            return Err(Errno::ENOMEM);
        }
        let addr = self.search(m, addr, len).ok_or(Errno::ENOMEM)?;
        self.place_fixed(addr, len)
    }

    /// The same for a mapping that is to be at `addr` and nowhere else.
    pub fn place_fixed(&self, addr: u64, len: u64) -> Answer {
        let task_size = self.config.task_size;
        if len > task_size || addr > task_size - len {
            Err(Errno::ENOMEM)
        } else if !is_aligned(addr) {
            Err(Errno::EINVAL)
        } else if addr < self.config.mmap_min_addr {
            Err(Errno::EPERM)
        } else {
            Ok(addr)
        }
    }

    fn search(&mut self, m: usize, hint: u64, len: u64) -> Option<u64> {
        if hint != 0 && self.is_free(m, page_up(hint), len) {
            return Some(page_up(hint));
        }
        let (base, task_size) = (self.config.mmap_base, self.config.task_size);
        if self.config.legacy_layout {
            return self.lowest_gap(m, len, base, task_size);
        }
        let low = self.config.mmap_min_addr.max(PAGE_SIZE);
        self.highest_gap(m, len, low, base)
            .or_else(|| self.lowest_gap(m, len, page_up(task_size / 3), task_size))
    }

    /// Whether a hint can be taken.
    fn is_free(&self, m: usize, addr: u64, len: u64) -> bool {
        let mm = &self.mms[m];
        addr <= self.config.task_size - len
            && addr >= self.config.mmap_min_addr
            && mm
                .areas
                .get(mm.find(addr))
                .is_none_or(|next| addr + len <= next.start_gap(self.guard()))
    }

    /// The gap below the area at this place, or above the last one: where the area below it ends, and
    /// where its room ends.
    fn gap(&self, m: usize, i: usize) -> (u64, u64) {
        let areas = &self.mms[m].areas;
        let start = if i == 0 { 0 } else { areas[i - 1].end };
        let end = areas
            .get(i)
            .map_or(u64::MAX, |area| area.start_gap(self.guard()));
        (start, end)
    }

    /// The upper end of the highest gap that has room between `low` and `high`
    /// (`unmapped_area_topdown`).
    fn highest_gap(&mut self, m: usize, len: u64, low: u64, high: u64) -> Option<u64> {
        let areas = self.mms[m].areas.len();
        // invariant: no gap between those of the last areas that are noted has room for `noted`.
        let (last, noted) = self.mms[m].areas.noted();
        let first = if len >= noted { areas - last } else { areas };
        let found = (0..=first).rev().find_map(|i| {
            let (start, end) = self.gap(m, i);
            let addr = end.min(high).checked_sub(len)?;
            (addr >= start.max(low)).then_some((i, addr))
        });
        let passed_to = found.map_or(0, |(i, _)| i);
        if first - passed_to > LONG {
            self.mms[m].areas.note(areas - passed_to, len);
        }
        found.map(|(_, addr)| addr)
    }

    /// The lower end of the lowest gap that has room between `low` and `high` (`unmapped_area`).
    fn lowest_gap(&self, m: usize, len: u64, low: u64, high: u64) -> Option<u64> {
        (0..=self.mms[m].areas.len()).find_map(|i| {
            let (start, end) = self.gap(m, i);
            let addr = start.max(low);
            (addr <= end.min(high).checked_sub(len)?).then_some(addr)
        })
    }
}
