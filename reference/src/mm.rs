//! An address space: its areas in order, its page-table entries in order, and its counters.

use std::ops::Range;

use smallvec::SmallVec;
use vmadiff_contract::{Fd, FileId, MmId, VmFlags};

use crate::area::Area;
use crate::limits::Limit;
use crate::ordered::Ordered;
use crate::page::Page;
use crate::watched::Watched;

/// An address space, `mm_struct`.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Mm {
    pub id: MmId,
    /// Tasks that live in it; none: it was torn down.
    pub users: u32,
    /// By address; they never overlap. `map_count` is how many they are.
    pub areas: Ordered<Area>,
    /// By address; each lies in an area.
    pub pages: Watched<Vec<Page>>,
    /// Open descriptors, by number.
    pub fds: Watched<Vec<(Fd, FileId)>>,
    /// Numbers that were given out, and have no file yet.
    pub reserved: SmallVec<[Fd; 2]>,
    /// Pages of all areas, and of those by kind (section 25).
    pub total: u64,
    pub data: u64,
    pub stack: u64,
    pub exec: u64,
    /// Pages of LOCKED areas.
    pub locked: u64,
    pub rss_anon: u64,
    pub rss_file: u64,
    pub swap_entries: u64,
    /// The end of the heap.
    pub brk: u64,
    /// The task whose fork copies its entries and has not flushed yet; only driven.
    pub copying: Option<usize>,
    /// The lock flags of future areas.
    pub def_flags: VmFlags,
    /// Limits that the process has set, by resource.
    pub limits: Watched<Vec<Limit>>,
    /// Who holds mmap_sem: the task that writes, and a bit for each that reads. Only while calls
    /// are driven.
    pub writer: Option<usize>,
    pub readers: u32,
}

impl Mm {
    /// Empties it and keeps the memory.
    pub fn clear(&mut self, id: MmId) {
        let (mut areas, mut pages, mut fds) = (
            std::mem::take(&mut self.areas),
            std::mem::take(&mut self.pages),
            std::mem::take(&mut self.fds),
        );
        areas.clear();
        pages.clear();
        fds.clear();
        *self = Self {
            id,
            areas,
            pages,
            fds,
            ..Self::default()
        };
    }

    /// The first area that ends above `addr`, by place; one past the last if there is none
    /// (`find_vma`).
    pub fn find(&self, addr: u64) -> usize {
        self.areas.partition_point(|area| area.end <= addr)
    }

    /// The area that holds `addr`, by place.
    pub fn at(&self, addr: u64) -> Option<usize> {
        let i = self.find(addr);
        self.areas.get(i).filter(|area| area.holds(addr)).map(|_| i)
    }

    /// The areas that overlap a range, by place; an empty range overlaps none.
    pub fn overlap(&self, start: u64, end: u64) -> Range<usize> {
        let first = self.find(start);
        if start >= end {
            return first..first;
        }
        first..first + self.areas[first..].partition_point(|area| area.start < end)
    }

    /// The first area of a range that is locked, by place.
    pub fn locked(&self, start: u64, end: u64) -> Option<usize> {
        let locked = |i: &usize| self.areas[*i].flags.contains(VmFlags::LOCKED);
        self.overlap(start, end).find(locked)
    }

    /// The entries of a range, by place.
    pub fn pages_in(&self, start: u64, end: u64) -> Range<usize> {
        let first = self.pages.partition_point(|page| page.addr < start);
        first..first + self.pages[first..].partition_point(|page| page.addr < end)
    }

    /// Whether areas with these flags count as data (`is_data_mapping`).
    pub fn is_data(flags: VmFlags) -> bool {
        flags & (VmFlags::WRITE | VmFlags::SHARED | VmFlags::GROWSDOWN) == VmFlags::WRITE
    }

    /// The counter that areas with these flags belong to besides the total (`vm_stat_account`,
    /// section 25).
    fn kind(&mut self, flags: VmFlags) -> Option<&mut u64> {
        let code = flags & (VmFlags::EXEC | VmFlags::WRITE | VmFlags::GROWSDOWN) == VmFlags::EXEC;
        if code {
            Some(&mut self.exec)
        } else if flags.contains(VmFlags::GROWSDOWN) {
            Some(&mut self.stack)
        } else if Self::is_data(flags) {
            Some(&mut self.data)
        } else {
            None
        }
    }

    /// Counts pages of an area in.
    pub fn account(&mut self, flags: VmFlags, pages: u64) {
        self.total = self.total.wrapping_add(pages);
        if let Some(kind) = self.kind(flags) {
            *kind = kind.wrapping_add(pages);
        }
    }

    /// Counts pages of an area out. A counter that lost an update (section 18) wraps, as the kernel's.
    pub fn discount(&mut self, flags: VmFlags, pages: u64) {
        self.total = self.total.wrapping_sub(pages);
        if let Some(kind) = self.kind(flags) {
            *kind = kind.wrapping_sub(pages);
        }
    }
}

/// A count that goes in single accesses, since who holds mmap_sem for reading may count beside it: the
/// total is read, and written; then the counter of its kind is. What others write between is lost
/// (section 18).
#[derive(Clone, Copy, Debug, Default, Hash)]
pub(crate) struct Counting {
    made: u8,
    read: u64,
    /// locked_vm is counted.
    locked: bool,
}

impl Counting {
    /// Whether locked_vm has yet to be counted; counted from now on.
    pub fn locks_first(&mut self) -> bool {
        !std::mem::replace(&mut self.locked, true)
    }

    /// Makes the next access of counting so many pages, or fewer if wrapped; whether it was the last.
    pub fn step(&mut self, mm: &mut Mm, flags: VmFlags, pages: u64) -> bool {
        let total = self.made < 2;
        let kind = if total {
            Some(&mut mm.total)
        } else {
            mm.kind(flags)
        };
        if let Some(counter) = kind {
            if self.made.is_multiple_of(2) {
                self.read = *counter;
            } else {
                *counter = self.read.wrapping_add(pages);
            }
        }
        self.made += 1;
        let last = if mm.kind(flags).is_some() { 4 } else { 2 };
        self.made == last
    }
}
