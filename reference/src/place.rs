//! Where a mapping goes (section 7).
//!
//! A choice: gaps are looked at one by one. Linux's tree walk stops at the first gap that ends too
//! low, which a stack's guard gap can make it do while a lower area still has room above it; what
//! it then answers depends on the shape of its tree.

use vmadiff_contract::{Errno, PAGE_SIZE};

use crate::area::{is_aligned, page_up};
use crate::world::{Answer, World};

impl World {
    /// The address for a mapping of `len` bytes (`get_unmapped_area`): `addr` itself if `fixed`,
    /// else `addr` as a hint, if it is not 0.
    pub fn place(&self, m: usize, addr: u64, len: u64, fixed: bool) -> Answer {
        let task_size = self.config.task_size;
        if len > task_size {
            return Err(Errno::ENOMEM);
        }
        let addr = if fixed {
            addr
        } else {
            self.search(m, addr, len).ok_or(Errno::ENOMEM)?
        };
        if addr > task_size - len {
            Err(Errno::ENOMEM)
        } else if !is_aligned(addr) {
            Err(Errno::EINVAL)
        } else if addr < self.config.mmap_min_addr {
            Err(Errno::EPERM)
        } else {
            Ok(addr)
        }
    }

    fn search(&self, m: usize, hint: u64, len: u64) -> Option<u64> {
        let config = &self.config;
        if hint != 0 && self.is_free(m, page_up(hint), len) {
            return Some(page_up(hint));
        }
        if config.legacy_layout {
            return self.lowest_gap(m, len, config.mmap_base, config.task_size);
        }
        self.highest_gap(
            m,
            len,
            config.mmap_min_addr.max(PAGE_SIZE),
            config.mmap_base,
        )
        .or_else(|| self.lowest_gap(m, len, page_up(config.task_size / 3), config.task_size))
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

    /// The gaps between areas, the one above the last included, lowest first: (end of the area
    /// below, start of the room's end).
    fn gaps(&self, m: usize) -> impl DoubleEndedIterator<Item = (u64, u64)> {
        let areas = &self.mms[m].areas;
        let guard = self.guard();
        (0..=areas.len()).map(move |i| {
            let start = if i == 0 { 0 } else { areas[i - 1].end };
            let end = areas.get(i).map_or(u64::MAX, |area| area.start_gap(guard));
            (start, end)
        })
    }

    /// The upper end of the highest gap that has room between `low` and `high`
    /// (`unmapped_area_topdown`).
    fn highest_gap(&self, m: usize, len: u64, low: u64, high: u64) -> Option<u64> {
        self.gaps(m).rev().find_map(|(start, end)| {
            let addr = end.min(high).checked_sub(len)?;
            (addr >= start.max(low)).then_some(addr)
        })
    }

    /// The lower end of the lowest gap that has room between `low` and `high` (`unmapped_area`).
    fn lowest_gap(&self, m: usize, len: u64, low: u64, high: u64) -> Option<u64> {
        self.gaps(m).find_map(|(start, end)| {
            let addr = start.max(low);
            (addr <= end.min(high).checked_sub(len)?).then_some(addr)
        })
    }
}
