//! A cheap guess at what is mapped where: fresh calls mostly mean something by it, and a log's
//! placements are told from those that the rules would make.
//!
//! Intervals only, no limits, no merging: what the guess misses is a call that fails, which is a
//! test too. It is never compared with a manager.

use vmadiff_contract::{
    Access, Call, Config, Fd, MAX_TASKS, MapFlags, MoveFlags, PAGE_SIZE, Prot, TaskId,
};

use crate::program::{Program, Step};

/// A mapped range.
#[derive(Clone, Copy, Debug)]
pub(super) struct Area {
    pub start: u64,
    pub end: u64,
    pub prot: Prot,
}

/// An open file.
#[derive(Clone, Copy, Debug)]
pub(super) struct File {
    pub fd: Fd,
    pub access: Access,
}

/// An address space and its descriptors.
#[derive(Clone, Debug, Default)]
pub(super) struct Space {
    /// In address order, not overlapping.
    pub areas: Vec<Area>,
    pub files: Vec<File>,
    pub brk: u64,
}

/// All tasks and their address spaces.
#[derive(Clone, Debug)]
pub(super) struct World {
    /// By task from 1: its address space, if it lives.
    tasks: Vec<Option<usize>>,
    spaces: Vec<Space>,
    limits: Limits,
}

/// Where anything can be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    floor: u64,
    mmap_base: u64,
    start_brk: u64,
    task_size: u64,
}

impl Limits {
    /// A range in whole pages; none for one that no call accepts.
    fn range(self, start: u64, len: u64) -> Option<(u64, u64)> {
        let end = start.checked_add(len.checked_next_multiple_of(PAGE_SIZE)?)?;
        let valid = start.is_multiple_of(PAGE_SIZE) && start < end && end <= self.task_size;
        valid.then_some((start, end))
    }
}

impl World {
    /// As it boots.
    pub fn new(config: &Config) -> Self {
        Self {
            tasks: vec![Some(0); config.tasks.into()],
            spaces: vec![Space {
                brk: config.start_brk,
                ..Space::default()
            }],
            limits: Limits {
                floor: config.mmap_min_addr,
                mmap_base: config.mmap_base,
                start_brk: config.start_brk,
                task_size: config.task_size,
            },
        }
    }

    /// After the first calls of a program.
    pub fn after(program: &Program, calls: usize) -> Self {
        let mut world = Self::new(&program.config);
        for step in &program.calls[..calls] {
            world.apply(step);
        }
        world
    }

    /// Tasks that live.
    pub fn live(&self) -> impl Iterator<Item = TaskId> {
        let live = self
            .tasks
            .iter()
            .enumerate()
            .filter(|(_, space)| space.is_some());
        live.map(|(i, _)| TaskId(i as u8 + 1))
    }

    /// The address space of a task; the first one for a task that does not live.
    pub fn space(&self, task: TaskId) -> &Space {
        &self.spaces[self.index(task).unwrap_or(0)]
    }

    fn index(&self, task: TaskId) -> Option<usize> {
        *self.tasks.get(usize::from(task.0).checked_sub(1)?)?
    }

    /// Where a call of mmap or mremap would put its memory.
    pub fn placed(&self, step: &Step) -> Option<u64> {
        let index = self.index(step.task)?;
        let mut space = self.spaces[index].clone();
        match step.call {
            Call::Mmap {
                addr, len, flags, ..
            } => space
                .place(addr, len, flags, self.limits)
                .map(|(start, _)| start),
            Call::Mremap {
                addr,
                old_len,
                new_len,
                flags,
                new_addr,
            } => {
                let old = self.limits.range(addr, old_len)?;
                let to = flags.contains(MoveFlags::FIXED).then_some(new_addr);
                space.resize(old, new_len, to, self.limits)
            }
            _ => None,
        }
    }

    /// What a call probably does.
    pub fn apply(&mut self, step: &Step) {
        let Some(index) = self.index(step.task) else {
            return;
        };
        let limits = self.limits;
        let space = &mut self.spaces[index];
        match step.call {
            Call::Mmap {
                addr,
                len,
                prot,
                flags,
                ..
            } => {
                if let Some((start, end)) = space.place(addr, len, flags, limits) {
                    space.map(start, end, prot);
                }
            }
            Call::Munmap { addr, len } => {
                if let Some((start, end)) = limits.range(addr, len) {
                    space.unmap(start, end);
                }
            }
            Call::Mprotect { addr, len, prot } => {
                if let Some((start, end)) = limits.range(addr, len) {
                    space.protect(start, end, prot);
                }
            }
            Call::Brk { addr } if (limits.start_brk..limits.task_size).contains(&addr) => {
                space.set_brk(addr);
            }
            Call::Mremap {
                addr,
                old_len,
                new_len,
                flags,
                new_addr,
            } => {
                if let Some(old) = limits.range(addr, old_len) {
                    let to = flags.contains(MoveFlags::FIXED).then_some(new_addr);
                    space.resize(old, new_len, to, limits);
                }
            }
            Call::Open { access, .. } => space.open(access),
            Call::Close { fd } => space.files.retain(|file| file.fd != fd),
            Call::Fork if self.tasks.len() < MAX_TASKS.into() => {
                let child = space.clone();
                self.tasks.push(Some(self.spaces.len()));
                self.spaces.push(child);
            }
            Call::Exit => self.tasks[usize::from(step.task.0) - 1] = None,
            _ => {}
        }
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
    fn place(&self, addr: u64, len: u64, flags: MapFlags, limits: Limits) -> Option<(u64, u64)> {
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

    fn map(&mut self, start: u64, end: u64, prot: Prot) {
        self.unmap(start, end);
        let at = self.areas.partition_point(|area| area.start < start);
        self.areas.insert(at, Area { start, end, prot });
    }

    fn unmap(&mut self, start: u64, end: u64) {
        self.split(start);
        self.split(end);
        self.areas
            .retain(|area| area.end <= start || end <= area.start);
    }

    fn protect(&mut self, start: u64, end: u64, prot: Prot) {
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

    fn set_brk(&mut self, addr: u64) {
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
            self.map(old, end, Prot::READ | Prot::WRITE);
        }
        self.brk = addr;
    }

    /// Where mremap leaves the memory.
    fn resize(
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
        let Area { prot, .. } = self.areas[last];
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
        self.map(to, to_end, prot);
        Some(to)
    }

    fn open(&mut self, access: Access) {
        let taken = |fd| self.files.iter().any(|file| file.fd == Fd(fd));
        let fd = (3..).find(|&fd| !taken(fd)).expect("few files are open");
        self.files.push(File { fd: Fd(fd), access });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::Case;

    #[track_caller]
    fn check(text: &str, expected: &[(u64, u64, u32)]) {
        let case = Case::parse("case.vma", text).expect("a program");
        let program = case.program;
        let world = World::after(&program, program.calls.len());
        let areas = &world.space(TaskId(1)).areas;
        let found: Vec<_> = areas
            .iter()
            .map(|a| (a.start, a.end, a.prot.bits()))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn calls_change_the_intervals() {
        let text = "\
            mmap(0x10000, 0x4000, 3, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
            mprotect(0x11000, 0x1000, 1)\n\
            munmap(0x12000, 0x1000)\n";
        check(
            text,
            &[
                (0x10000, 0x11000, 3),
                (0x11000, 0x12000, 1),
                (0x13000, 0x14000, 3),
            ],
        );
        let more = format!("{text}mremap(0x13000, 0x1000, 0x3000, MREMAP_MAYMOVE, NULL)\n");
        check(
            &more,
            &[
                (0x10000, 0x11000, 3),
                (0x11000, 0x12000, 1),
                (0x13000, 0x16000, 3),
            ],
        );
        let noreplace = format!("{text}mmap(0x11000, 0x1000, 0, 0x100022, -1, 0)\n");
        check(
            &noreplace,
            &[
                (0x10000, 0x11000, 3),
                (0x11000, 0x12000, 1),
                (0x13000, 0x14000, 3),
            ],
        );
    }

    #[test]
    fn places_are_below_the_base_or_in_the_highest_gap() {
        let one = "mmap(NULL, 0x1000, 3, 0x22, -1, 0)\n";
        check(one, &[(0x20f000, 0x210000, 3)]);
        let two = format!("{one}mmap(NULL, 0x2000, 1, 0x22, -1, 0)\nmunmap(0x20f000, 1)\n{one}");
        check(&two, &[(0x20d000, 0x20f000, 1), (0x20f000, 0x210000, 3)]);
    }

    #[test]
    fn tasks_come_and_go() {
        let text = "fork() = 3\n[3] mmap(NULL, 0x1000, 3, 0x22, -1, 0)\n[2] exit()\n";
        let case = Case::parse("case.vma", text).expect("a program");
        let world = World::after(&case.program, 3);
        assert_eq!(world.live().collect::<Vec<_>>(), [TaskId(1), TaskId(3)]);
        assert!(world.space(TaskId(1)).areas.is_empty());
        assert_eq!(world.space(TaskId(3)).areas.len(), 1);
    }
}
