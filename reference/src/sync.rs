//! Asking about mappings: msync and mincore (section 27).

use vmadiff_contract::{Errno, PAGE_SIZE, SyncFlags, VmFlags};

use crate::area::page_up;
use crate::world::{Answer, World};

impl World {
    /// Writes back, which files in memory need not; what remains are the errors.
    pub fn msync(&self, m: usize, start: u64, len: u64, flags: SyncFlags) -> Answer {
        let known = SyncFlags::ASYNC | SyncFlags::INVALIDATE | SyncFlags::SYNC;
        if !known.contains(flags) {
            return Err(Errno::EINVAL);
        }
        Self::aligned(start)?;
        if flags.contains(SyncFlags::ASYNC | SyncFlags::SYNC) {
            return Err(Errno::EINVAL);
        }
        let end = start.checked_add(page_up(len)).ok_or(Errno::ENOMEM)?;
        let mut at = start;
        let mut answer = Ok(0);
        for area in &self.mms[m].areas[self.mms[m].overlap(start, end)] {
            if at < area.start {
                answer = Err(Errno::ENOMEM);
            }
            if flags.contains(SyncFlags::INVALIDATE) && area.flags.contains(VmFlags::LOCKED) {
                return Err(Errno::EBUSY);
            }
            at = area.end;
        }
        if at < end { Err(Errno::ENOMEM) } else { answer }
    }

    /// Which pages of a range are in memory: the sum of 2^(i mod 64) over pages i of the range.
    pub fn mincore(&self, m: usize, start: u64, len: u64) -> Answer {
        Self::aligned(start)?;
        if start
            .checked_add(len)
            .is_none_or(|end| end > self.config.task_size)
        {
            return Err(Errno::ENOMEM);
        }
        let end = start + page_up(len);
        let mm = &self.mms[m];
        let mut at = start;
        let mut sum = 0_u64;
        for area in &mm.areas[mm.overlap(start, end)] {
            if at < area.start {
                return Err(Errno::ENOMEM);
            }
            let (from, to) = (area.start.max(start), area.end.min(end));
            let index = |addr: u64| (addr - start) / PAGE_SIZE;
            let cached = area.file.map_or(from, |file| {
                let pages = self.files[file.0 as usize - 1].size.div_ceil(PAGE_SIZE);
                let behind = pages.saturating_sub(area.pgoff_at(from));
                from + behind.min(index(to) - index(from)) * PAGE_SIZE
            });
            sum = sum.wrapping_add(sum_of_bits(index(from), index(cached)));
            for page in &mm.pages[mm.pages_in(from, to)] {
                let bit = 1 << (index(page.addr) % 64);
                match (page.addr < cached, page.is_present()) {
                    (true, false) => sum = sum.wrapping_sub(bit),
                    (false, true) => sum = sum.wrapping_add(bit),
                    _ => {}
                }
            }
            at = area.end;
        }
        if at < end {
            Err(Errno::ENOMEM)
        } else {
            Ok(sum)
        }
    }
}

/// The sum of 2^(i mod 64) for i from `first` up to `last`, modulo 2^64.
fn sum_of_bits(first: u64, last: u64) -> u64 {
    let count = last - first;
    let rest = (1_u64 << (count % 64)) - 1;
    rest.rotate_left((first % 64) as u32)
        .wrapping_sub(count / 64)
}

#[cfg(test)]
mod tests {
    use super::sum_of_bits;

    #[test]
    fn sums_as_one_by_one() {
        for first in [0, 1, 5, 63, 64, 100] {
            for count in [0, 1, 2, 63, 64, 65, 130, 1000] {
                let one_by_one =
                    (first..first + count).fold(0_u64, |sum, i| sum.wrapping_add(1 << (i % 64)));
                assert_eq!(
                    sum_of_bits(first, first + count),
                    one_by_one,
                    "{first} {count}"
                );
            }
        }
    }
}
