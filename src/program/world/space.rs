//! One address space, as the guess has it.

use vmadiff_contract::{Access, Config, Fd, FileKind, MapFlags, PAGE_SIZE, Prot};

/// A mapped range.
#[derive(Clone, Copy, Debug)]
pub(in crate::program) struct Area {
    pub start: u64,
    pub end: u64,
    pub prot: Prot,
    /// Private and anonymous: faults in it may be served speculatively.
    pub is_private: bool,
    /// Stores reach all who share it.
    pub is_shared: bool,
    /// A stack: an access below it makes it grow.
    pub grows_down: bool,
    /// It has been written, so it has an anon_vma.
    pub is_written: bool,
    /// Where its file ends, if it has one that ends before it does: behind is SIGBUS.
    pub served_to: u64,
}

/// An open file.
#[derive(Clone, Copy, Debug)]
pub(in crate::program) struct File {
    pub fd: Fd,
    pub access: Access,
    pub kind: FileKind,
    pub size: u64,
}

/// An address space and its descriptors.
#[derive(Clone, Debug, Default)]
pub(in crate::program) struct Space {
    /// In address order, not overlapping.
    pub areas: Vec<Area>,
    pub files: Vec<File>,
    pub brk: u64,
    /// Pages that have been touched.
    pub present: Pages,
    /// Pages that a store would not fault on.
    pub ready: Pages,
}

/// A set of pages of the window and of as many above it, where the heap is; others are in no set.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::program) struct Pages(u64);

impl Pages {
    /// The pages from `start` to `end`.
    fn of(start: u64, end: u64) -> Self {
        let bit = |addr: u64| (addr.saturating_sub(Config::WINDOW) / PAGE_SIZE).min(64);
        let below = |bit: u64| 1_u64.checked_shl(bit as u32).unwrap_or(0).wrapping_sub(1);
        Self(below(bit(end)) & !below(bit(start)))
    }

    /// Those of a range that are not in the set.
    pub fn missing(self, start: u64, end: u64) -> impl Iterator<Item = u64> + Clone {
        let missing = Self::of(start, end).0 & !self.0;
        let pages = (0..64).filter(move |bit| missing >> bit & 1 != 0);
        pages.map(|bit| Config::WINDOW + bit * PAGE_SIZE)
    }

    /// Those of a range that are in the set.
    pub fn there(self, start: u64, end: u64) -> impl Iterator<Item = u64> + Clone {
        Self(!self.0).missing(start, end)
    }

    /// Whether the page of this address is in the set.
    pub fn contains(self, addr: u64) -> bool {
        self.0 & Self::at(addr).0 != 0
    }

    fn at(addr: u64) -> Self {
        Self::of(addr, addr.saturating_add(PAGE_SIZE))
    }

    pub(super) fn add(&mut self, addr: u64) {
        self.0 |= Self::at(addr).0;
    }

    pub(super) fn remove(&mut self, start: u64, end: u64) {
        self.0 &= !Self::of(start, end).0;
    }
}

/// Where anything can be.
#[derive(Clone, Copy, Debug)]
pub(in crate::program) struct Limits {
    pub floor: u64,
    pub mmap_base: u64,
    pub start_brk: u64,
    pub task_size: u64,
    pub descriptors: i32,
}

impl Limits {
    /// A range in whole pages; none for one that no call accepts.
    pub(super) fn range(self, start: u64, len: u64) -> Option<(u64, u64)> {
        let end = start.checked_add(len.checked_next_multiple_of(PAGE_SIZE)?)?;
        let valid = start.is_multiple_of(PAGE_SIZE) && start < end && end <= self.task_size;
        valid.then_some((start, end))
    }
}

impl Space {
    /// The area that covers an address.
    pub fn area_at(&self, addr: u64) -> Option<&Area> {
        self.areas
            .iter()
            .find(|area| (area.start..area.end).contains(&addr))
    }

    /// Whether all of a range is mapped.
    pub fn covers(&self, start: u64, end: u64) -> bool {
        let mut reached = start;
        for area in self.areas.iter().filter(|area| area.end > start) {
            if area.start > reached || reached >= end {
                break;
            }
            reached = area.end;
        }
        reached >= end
    }

    /// Whether none of a range is mapped.
    pub fn is_free(&self, start: u64, end: u64) -> bool {
        self.areas
            .iter()
            .all(|area| area.end <= start || end <= area.start)
    }

    /// Where mmap puts `len` bytes.
    pub(super) fn place(
        &self,
        addr: u64,
        len: u64,
        flags: MapFlags,
        limits: Limits,
    ) -> Option<(u64, u64)> {
        if flags.contains(MapFlags::SHARED_VALIDATE | MapFlags::ANONYMOUS) {
            return None;
        }
        if flags.intersects(MapFlags::FIXED | MapFlags::FIXED_NOREPLACE) {
            let (start, end) = limits.range(addr, len)?;
            let taken = flags.contains(MapFlags::FIXED_NOREPLACE) && !self.is_free(start, end);
            return (start >= limits.floor && !taken).then_some((start, end));
        }
        let hint = limits.range(addr - addr % PAGE_SIZE, len);
        if let Some((start, end)) = hint
            && start >= limits.floor.max(1)
            && self.is_free(start, end)
        {
            return Some((start, end));
        }
        let (_, len) = limits.range(0, len)?;
        let mut top = limits.mmap_base;
        for area in self
            .areas
            .iter()
            .rev()
            .filter(|area| area.start < limits.mmap_base)
        {
            if area.end < top && top - area.end >= len {
                break;
            }
            top = top.min(area.start);
        }
        let start = top
            .checked_sub(len)
            .filter(|&start| start >= limits.floor)?;
        Some((start, top))
    }

    /// The open file of this number.
    pub fn file(&self, fd: Fd) -> Option<&File> {
        self.files.iter().find(|file| file.fd == fd)
    }

    pub(super) fn map(&mut self, area: Area) {
        let Area { start, end, .. } = area;
        self.unmap(start, end);
        let at = self.areas.partition_point(|area| area.start < start);
        self.areas.insert(at, area);
    }

    pub(super) fn unmap(&mut self, start: u64, end: u64) {
        self.split(start);
        self.split(end);
        self.forget(start, end);
        self.areas
            .retain(|area| area.end <= start || end <= area.start);
    }

    pub(super) fn read(&mut self, addr: u64) {
        if self.area_at(addr).is_some_and(|area| !area.prot.is_empty()) {
            self.present.add(addr);
        }
    }

    pub(super) fn write(&mut self, addr: u64) {
        let covers = |area: &&mut Area| (area.start..area.end).contains(&addr);
        if let Some(area) = self.areas.iter_mut().find(covers)
            && area.prot.contains(Prot::WRITE)
        {
            area.is_written |= area.is_private;
            self.present.add(addr);
            self.ready.add(addr);
        }
    }

    /// The pages of a range have gone.
    pub(super) fn forget(&mut self, start: u64, end: u64) {
        self.present.remove(start, end);
        self.ready.remove(start, end);
    }

    pub(super) fn protect(&mut self, start: u64, end: u64, prot: Prot) {
        self.split(start);
        self.split(end);
        self.ready.remove(start, end);
        for area in &mut self.areas {
            if start <= area.start && area.end <= end {
                area.prot = prot;
            }
        }
    }

    fn split(&mut self, at: u64) {
        let inside = |area: &Area| area.start < at && at < area.end;
        if let Some(i) = self.areas.iter().position(inside) {
            let upper = Area {
                start: at,
                ..self.areas[i]
            };
            self.areas[i].end = at;
            self.areas.insert(i + 1, upper);
        }
    }

    pub(super) fn set_brk(&mut self, addr: u64) {
        let old = self.brk.next_multiple_of(PAGE_SIZE);
        let Some(end) = addr.checked_next_multiple_of(PAGE_SIZE) else {
            return;
        };
        if end < old {
            self.unmap(end, old);
        } else if end > old {
            if !self.is_free(old, end) {
                return;
            }
            self.map(Area {
                start: old,
                end,
                prot: Prot::READ | Prot::WRITE,
                is_private: true,
                grows_down: false,
                is_shared: false,
                is_written: false,
                served_to: u64::MAX,
            });
        }
        self.brk = addr;
    }

    /// Where mremap leaves the memory.
    pub(super) fn resize(
        &mut self,
        old: (u64, u64),
        new_len: u64,
        to: Option<u64>,
        limits: Limits,
    ) -> Option<u64> {
        let (start, old_end) = old;
        let (_, end) = limits.range(start, new_len)?;
        let last = self
            .areas
            .iter()
            .position(|area| area.start < old_end && old_end <= area.end);
        let last = last.filter(|_| self.covers(start, old_end))?;
        let area = self.areas[last];
        if to.is_none() && end <= old_end {
            self.unmap(end, old_end);
            return Some(start);
        }
        if to.is_none() && old_end == self.areas[last].end && self.is_free(old_end, end) {
            self.areas[last].end = end;
            return Some(start);
        }
        let (to, to_end) = match to {
            Some(to) => limits.range(to, new_len)?,
            None => self.place(0, new_len, MapFlags::PRIVATE, limits)?,
        };
        self.unmap(start, old_end);
        self.map(Area {
            start: to,
            end: to_end,
            served_to: area.served_to.saturating_sub(start).saturating_add(to),
            ..area
        });
        Some(to)
    }

    pub(super) fn open(&mut self, kind: FileKind, access: Access, size: u64, limits: Limits) {
        let fd = (3..limits.descriptors).find(|&fd| self.file(Fd(fd)).is_none());
        if let Some(fd) = fd.filter(|_| !access.is_empty()) {
            self.files.push(File {
                fd: Fd(fd),
                access,
                kind,
                size,
            });
        }
    }
}
