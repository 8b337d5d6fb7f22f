//! What a process has mapped, as far as its log tells; and where the rules would put more.

use vmadiff_contract::{Config, PAGE_SIZE};

use super::ranges::{Gaps, Ranges};

/// The memory of one process.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    /// What the program has mapped.
    mapped: Ranges,
    /// What a call that is left out did something to: nobody knows what is there.
    lost: Ranges,
    gaps: Gaps,
    /// The end of the heap.
    brk: u64,
    floor: u64,
    task_size: u64,
}

impl Memory {
    /// Nothing is mapped.
    pub fn new(config: &Config) -> Self {
        Self {
            mapped: Ranges::default(),
            lost: Ranges::default(),
            gaps: Gaps::new(config.mmap_min_addr, config.mmap_base),
            brk: config.start_brk,
            floor: config.mmap_min_addr,
            task_size: config.task_size,
        }
    }

    /// The pages of a range; none if they are no addresses of a process.
    pub fn pages(&self, addr: u64, len: u64) -> Option<(u64, u64)> {
        let start = addr - addr % PAGE_SIZE;
        let end = addr.checked_add(len)?.checked_next_multiple_of(PAGE_SIZE)?;
        (end <= self.task_size).then_some((start, end))
    }

    pub fn map(&mut self, (start, end): (u64, u64)) {
        self.mapped.insert(start, end);
        self.gaps.take(start, end);
        self.lost.remove(start, end);
    }

    pub fn unmap(&mut self, (start, end): (u64, u64)) {
        self.mapped.remove(start, end);
        self.gaps.give(start, end);
        self.lost.remove(start, end);
    }

    /// Something was done to a range that is not in the program.
    pub fn lose(&mut self, (start, end): (u64, u64)) {
        self.lost.insert(start, end);
    }

    /// The heap ends here now.
    pub fn set_brk(&mut self, brk: u64) {
        let page = |addr: u64| {
            addr.checked_next_multiple_of(PAGE_SIZE)
                .unwrap_or(self.task_size)
        };
        let (old, new) = (page(self.brk), page(brk));
        self.brk = brk;
        if new >= old {
            self.map((old, new));
        } else {
            self.unmap((new, old));
        }
    }

    pub fn covers(&self, (start, end): (u64, u64)) -> bool {
        self.mapped.covers(start, end)
    }

    pub fn meets(&self, (start, end): (u64, u64)) -> bool {
        self.mapped.meets(start, end)
    }

    /// The mapped parts of a range.
    pub fn parts(&self, (start, end): (u64, u64)) -> Vec<(u64, u64)> {
        self.mapped.parts(start, end)
    }

    pub fn is_lost(&self, (start, end): (u64, u64)) -> bool {
        self.lost.meets(start, end)
    }

    /// Where the rules would put `len` bytes if a place is asked for.
    pub fn place(&self, hint: u64, len: u64) -> Option<u64> {
        let (_, len) = self.pages(0, len)?;
        let hint = hint - hint % PAGE_SIZE;
        let wished = self.pages(hint, len).filter(|_| hint >= self.floor.max(1));
        match wished.filter(|&range| !self.meets(range)) {
            Some(_) => Some(hint),
            None => self.gaps.highest(len),
        }
    }

    /// Where the rules would put memory that is resized.
    pub fn resize(&self, addr: u64, old_len: u64, new_len: u64) -> Option<u64> {
        let (_, old_end) = self.pages(addr, old_len)?;
        let (_, new_end) = self.pages(addr, new_len)?;
        let fits = new_end <= old_end || !self.meets((old_end, new_end));
        match fits && old_len > 0 {
            true => Some(addr),
            false => self.gaps.highest(new_end - addr),
        }
    }
}
