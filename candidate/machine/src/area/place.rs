//! Where a mapping goes (`get_unmapped_area`): Linux's generic top-down search, or bottom-up.
//!
//! The kernel finds gaps by the tree's subtree maxima; here the list is walked, from where
//! [`holes`](super::holes) says. The answer is the same, and no lookup without mmap_sem reads those.

use vmadiff_contract::{Errno, VmFlags};

use crate::area::holes::LONG;
use crate::area::vma::Vma;
use crate::core::current::Current;
use crate::core::slab::{Handle, Ref};
use crate::design::Design;

/// Limits of a search.
#[derive(Clone, Copy)]
struct Window {
    low: u64,
    high: u64,
    length: u64,
}

impl<D: Design> Current<'_, D> {
    /// A place for `len` bytes: `addr` itself if it is `fixed`, else where the hint says if there
    /// is room, else elsewhere.
    ///
    /// # Errors
    /// ENOMEM: no room, or beyond the task's memory. EINVAL: not page-aligned. EPERM: too low.
    pub fn get_unmapped_area(&self, addr: u64, len: u64, fixed: bool) -> Result<u64, Errno> {
        let task_size = self.config().task_size;
        if len > task_size {
            return Err(Errno::ENOMEM);
        }
        let addr = if fixed {
            addr
        } else {
            self.hinted(addr, len)
                .or_else(|| self.search(len))
                .ok_or(Errno::ENOMEM)?
        };
        if addr > task_size - len {
            return Err(Errno::ENOMEM);
        }
        if addr & 4095 != 0 {
            return Err(Errno::EINVAL);
        }
        if addr < self.config().mmap_min_addr {
            return Err(Errno::EPERM);
        }
        Ok(addr)
    }

    fn hinted(&self, addr: u64, len: u64) -> Option<u64> {
        if addr == 0 {
            return None;
        }
        let addr = addr.checked_add(4095)? & !4095;
        let room = self.config().task_size - len >= addr && addr >= self.config().mmap_min_addr;
        let next = self.find_vma(addr);
        (room && next.is_none_or(|next| addr + len <= self.vm_start_gap(next))).then_some(addr)
    }

    fn search(&self, length: u64) -> Option<u64> {
        let config = self.config();
        let window = |low, high| Window { low, high, length };
        if config.legacy_layout {
            return self.unmapped_area(window(config.mmap_base, config.task_size));
        }
        let low = config.mmap_min_addr.max(4096);
        self.unmapped_area_topdown(window(low, config.mmap_base))
            .or_else(|| {
                let low = (config.task_size / 3).next_multiple_of(4096);
                self.unmapped_area(window(low, config.task_size))
            })
    }

    /// The highest room (`unmapped_area_topdown`).
    fn unmapped_area_topdown(&self, window: Window) -> Option<u64> {
        let holes = &self.mm_struct().holes;
        let (mut gap_end, mut below) = match holes.none_from(window.length) {
            None => (u64::MAX, self.last_vma()),
            Some(from) => self.highest_gap_below(from),
        };
        let (mut passed, mut from) = (0, u64::MAX);
        loop {
            let gap_start = below.map_or(0, Ref::end);
            let fits = window.fits(gap_start, gap_end);
            if passed > LONG && (fits || below.is_none()) {
                holes.passed_down_to(window.length, from);
            }
            if fits {
                return Some(gap_end.min(window.high) - window.length);
            }
            (passed, from) = (passed + 1, gap_start);
            gap_end = self.vm_start_gap(below?);
            below = self.prev(below?);
        }
    }

    /// The highest gap that begins below an address: its end, and the area below it.
    fn highest_gap_below(&self, addr: u64) -> (u64, Option<Ref<'_, Vma>>) {
        match self.lowest_vma(|vma| vma.end() >= addr) {
            Some(above) => (self.vm_start_gap(above), self.prev(above)),
            None => (u64::MAX, self.last_vma()),
        }
    }

    /// The lowest room (`unmapped_area`).
    fn unmapped_area(&self, window: Window) -> Option<u64> {
        let holes = &self.mm_struct().holes;
        let (mut gap_start, mut next) = match holes.none_to(window.length) {
            None => (0, self.first_vma(self.mm_struct())),
            Some(to) => self.lowest_gap_above(to),
        };
        let (mut passed, mut to) = (0, 0);
        loop {
            let gap_end = next.map_or(u64::MAX, |next| self.vm_start_gap(next));
            let fits = window.fits(gap_start, gap_end);
            if passed > LONG && (fits || next.is_none()) {
                holes.passed_up_to(window.length, to);
            }
            if fits {
                return Some(gap_start.max(window.low));
            }
            (passed, to) = (passed + 1, next?.start());
            gap_start = next?.end();
            next = self.next(next?);
        }
    }

    /// The lowest gap under an area that starts above an address: where it begins, and that area; the last
    /// gap of all if there is none.
    fn lowest_gap_above(&self, addr: u64) -> (u64, Option<Ref<'_, Vma>>) {
        let next = self.lowest_vma(|vma| vma.start() > addr);
        let below = next.map_or_else(|| self.last_vma(), |next| self.prev(next));
        (below.map_or(0, Ref::end), next)
    }

    /// The lowest area from which on `all` are so.
    fn lowest_vma(&self, all: impl Fn(Ref<'_, Vma>) -> bool) -> Option<Ref<'_, Vma>> {
        let mut found = None;
        let mut next = self.vma_opt(self.mm_struct().mm_rb.peek());
        while let Some(vma) = next {
            next = if all(vma) {
                found = Some(vma);
                self.vma_opt(vma.rb_left().peek())
            } else {
                self.vma_opt(vma.rb_right().peek())
            };
        }
        found
    }

    /// Where an area begins for its neighbours: a stack keeps a gap below it (`vm_start_gap`).
    pub fn vm_start_gap(&self, vma: Ref<'_, Vma>) -> u64 {
        let start = vma.start();
        if vma.flags().contains(VmFlags::GROWSDOWN) {
            let gap = self.config().stack_guard_gap.saturating_mul(4096);
            return start.saturating_sub(gap);
        }
        start
    }

    /// The highest area.
    pub fn last_vma(&self) -> Option<Ref<'_, Vma>> {
        let mut last: Handle<Vma> = self.mm_struct().mm_rb.peek();
        while let Some(right) = self.vma_opt(last)?.rb_right().peek().some() {
            last = right;
        }
        self.vma_opt(last)
    }
}

impl Window {
    /// Whether the length fits both into the gap and into the window.
    fn fits(self, gap_start: u64, gap_end: u64) -> bool {
        let (Some(last), Some(lowest_end)) = (
            self.high.checked_sub(self.length),
            self.low.checked_add(self.length),
        ) else {
            return false;
        };
        self.low <= last
            && gap_start <= last
            && gap_end >= lowest_end
            && gap_end > gap_start
            && gap_end - gap_start >= self.length
    }
}
