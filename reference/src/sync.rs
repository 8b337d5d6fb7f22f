//! Asking about mappings: msync and mincore (section 27).

use vmadiff_contract::{About, Errno, PAGE_SIZE, SyncFlags, VmFlags};

use crate::area::page_up;
use crate::job::{Flow, List, Row, Sem, Step, rows};
use crate::world::{Answer, World};

/// What is asked of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Question {
    /// To write back, which files in memory need not; what remains are the errors.
    Msync(SyncFlags),
    /// Which pages are in memory: the sum of 2^(i mod 64) over pages i of the range.
    Mincore,
}

/// Asks about the areas or pages of a range.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Ask {
    m: usize,
    start: u64,
    end: u64,
    question: Question,
    at: u64,
    hole: bool,
    sum: u64,
}

const AREA: u8 = 0;
const WRITE_BACK: u8 = 1;

impl List for Ask {
    rows! { "msync, mincore"
        Decide Read "msync: find_vma under mmap_sem; mincore_pte_range: the page table's lock"
            next: "msync: the next area; mincore: the next entry, and the stretch without before it";
        Decide None "msync: vfs_fsync_range, mmap_sem is given up"
            write_back: "MS_SYNC: the file, which needs nothing";
    }

    /// Of nothing nothing is asked.
    fn sem(&self, _: &World, _: u8, row: &Row<Self>) -> Sem {
        if self.start == self.end {
            Sem::None
        } else {
            row.sem
        }
    }
}

impl Ask {
    pub fn msync(m: usize, start: u64, len: u64, flags: SyncFlags) -> Answer<Self> {
        let known = SyncFlags::ASYNC | SyncFlags::INVALIDATE | SyncFlags::SYNC;
        if !known.contains(flags) {
            return Err(Errno::EINVAL);
        }
        World::aligned(start)?;
        if flags.contains(SyncFlags::ASYNC | SyncFlags::SYNC) {
            return Err(Errno::EINVAL);
        }
        let end = start.checked_add(page_up(len)).ok_or(Errno::ENOMEM)?;
        Ok(Self::new(m, start, end, Question::Msync(flags)))
    }

    pub fn mincore(world: &World, m: usize, start: u64, len: u64) -> Answer<Self> {
        World::aligned(start)?;
        let end = start.checked_add(len);
        if end.is_none_or(|end| end > world.config.task_size) {
            return Err(Errno::ENOMEM);
        }
        Ok(Self::new(m, start, start + page_up(len), Question::Mincore))
    }

    fn new(m: usize, start: u64, end: u64, question: Question) -> Self {
        let (at, hole, sum) = (start, false, 0);
        Self {
            m,
            start,
            end,
            question,
            at,
            hole,
            sum,
        }
    }

    fn next(world: &mut World, it: &mut Self) -> Step {
        if it.at >= it.end {
            return if it.hole {
                Err(Errno::ENOMEM)
            } else {
                Ok(Flow::Done(it.sum))
            };
        }
        let mm = &world.mms[it.m];
        let area = mm
            .areas
            .get(mm.find(it.at))
            .filter(|area| area.start < it.end);
        let area = area.ok_or(Errno::ENOMEM)?;
        let from = area.start.max(it.at);
        it.hole |= from > it.at;
        let to = area.end.min(it.end);
        match it.question {
            Question::Msync(flags) => {
                if flags.contains(SyncFlags::INVALIDATE) && area.flags.contains(VmFlags::LOCKED) {
                    return Err(Errno::EBUSY);
                }
                let sync = flags.contains(SyncFlags::SYNC) && area.flags.contains(VmFlags::SHARED);
                it.at = to;
                let about = About::Area(area.id);
                world.about(about);
                Ok(Flow::To(if sync && world.driven {
                    WRITE_BACK
                } else {
                    AREA
                }))
            }
            Question::Mincore if it.hole => Err(Errno::ENOMEM),
            Question::Mincore => {
                let stop = world.next_stop(it.m, from, to);
                world.pass_over(it.m, from, stop, false);
                it.sum = it
                    .sum
                    .wrapping_add(world.resident(it.m, it.start, from, stop));
                it.at = stop;
                Ok(Flow::Again)
            }
        }
    }

    fn write_back(_: &mut World, _: &mut Self) -> Step {
        Ok(Flow::To(AREA))
    }
}

impl World {
    /// The bits of the resident pages of `from` up to `to`, in one area; bit 0 is the page at
    /// `start`.
    fn resident(&self, m: usize, start: u64, from: u64, to: u64) -> u64 {
        let mm = &self.mms[m];
        let area = &mm.areas[mm.find(from)];
        let index = |addr: u64| (addr - start) / PAGE_SIZE;
        let cached = area.file.map_or(from, |file| {
            let pages = self.files[file.0 as usize - 1].cached_pages();
            let behind = pages.saturating_sub(area.pgoff_at(from));
            from + behind.min(index(to) - index(from)) * PAGE_SIZE
        });
        let mut sum = sum_of_bits(index(from), index(cached));
        let absent = area
            .file
            .map_or(&[][..], |file| &self.files[file.0 as usize - 1].absent);
        let first = area.pgoff_at(from);
        for page in absent.iter().filter(|page| **page >= first) {
            let addr = from.saturating_add((page - first).saturating_mul(PAGE_SIZE));
            if addr < cached && self.page_at(m, addr).is_err() {
                sum = sum.wrapping_sub(1 << (index(addr) % 64));
            }
        }
        for page in &mm.pages[mm.pages_in(from, to)] {
            let bit = 1 << (index(page.addr) % 64);
            match (page.addr < cached, page.is_present()) {
                (true, false) => sum = sum.wrapping_sub(bit),
                (false, true) => sum = sum.wrapping_add(bit),
                _ => {}
            }
        }
        sum
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
