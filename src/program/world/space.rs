//! One address space, as the guess has it.

use vmadiff_contract::{Access, Fd, MapFlags, PAGE_SIZE, Prot};

/// A mapped range.
#[derive(Clone, Copy, Debug)]
pub(in crate::program) struct Area {
    pub start: u64,
    pub end: u64,
    pub prot: Prot,
    /// Private and anonymous: faults in it may be served speculatively.
    pub is_private: bool,
    /// It has been written, so it has an anon_vma.
    pub is_written: bool,
}

/// An open file.
#[derive(Clone, Copy, Debug)]
pub(in crate::program) struct File {
    pub fd: Fd,
    pub access: Access,
}

/// An address space and its descriptors.
#[derive(Clone, Debug, Default)]
pub(in crate::program) struct Space {
    /// In address order, not overlapping.
    pub areas: Vec<Area>,
    pub files: Vec<File>,
    pub brk: u64,
}

/// Where anything can be.
#[derive(Clone, Copy, Debug)]
pub(in crate::program) struct Limits {
    pub floor: u64,
    pub mmap_base: u64,
    pub start_brk: u64,
    pub task_size: u64,
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

    pub(super) fn map(&mut self, area: Area) {
        let Area { start, end, .. } = area;
        self.unmap(start, end);
        let at = self.areas.partition_point(|area| area.start < start);
        self.areas.insert(at, area);
    }

    pub(super) fn unmap(&mut self, start: u64, end: u64) {
        self.split(start);
        self.split(end);
        self.areas
            .retain(|area| area.end <= start || end <= area.start);
    }

    pub(super) fn write(&mut self, addr: u64) {
        let covers = |area: &&mut Area| (area.start..area.end).contains(&addr);
        if let Some(area) = self.areas.iter_mut().find(covers) {
            area.is_written |= area.is_private && area.prot.contains(Prot::WRITE);
        }
    }

    pub(super) fn protect(&mut self, start: u64, end: u64, prot: Prot) {
        self.split(start);
        self.split(end);
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
                is_written: false,
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
            ..area
        });
        Some(to)
    }

    pub(super) fn open(&mut self, access: Access) {
        let taken = |fd| self.files.iter().any(|file| file.fd == Fd(fd));
        let fd = (3..).find(|&fd| !taken(fd)).expect("few files are open");
        self.files.push(File { fd: Fd(fd), access });
    }
}
