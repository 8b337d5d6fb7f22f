//! A cheap guess at what is mapped where: fresh calls mostly mean something by it, and a log's
//! placements are told from those that the rules would make.
//!
//! Intervals only, no limits, no merging: what the guess misses is a call that fails, which is a
//! test too. It is never compared with a manager.

mod space;

use vmadiff_contract::{
    Advice, Call, Config, FileKind, MAX_TASKS, MapFlags, MoveFlags, PAGE_SIZE, TaskId,
};

use self::space::{Limits, Pages};
use super::{Program, Step};

pub(super) use space::{Area, File, Space};

/// All tasks and their address spaces.
#[derive(Clone, Debug)]
pub(super) struct World {
    /// By task from 1: its address space, if it lives.
    tasks: Vec<Option<usize>>,
    spaces: Vec<Space>,
    limits: Limits,
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
                descriptors: config.rlimit_nofile.min(1024) as i32,
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

    /// Whether a task lives.
    pub fn lives(&self, task: TaskId) -> bool {
        self.index(task).is_some()
    }

    /// Whether two tasks live in one address space.
    pub fn shares(&self, one: TaskId, other: TaskId) -> bool {
        self.index(one).is_some() && self.index(one) == self.index(other)
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
            // There are no huge pages.
            Call::Mmap { flags, .. } if flags.contains(MapFlags::HUGETLB) => {}
            Call::Mmap {
                addr,
                len,
                prot,
                flags,
                fd,
                off,
            } => {
                let file = space.file(fd).copied();
                let anonymous = flags.contains(MapFlags::ANONYMOUS);
                if !anonymous && file.is_none() {
                    return;
                }
                if let Some((start, end)) = space.place(addr, len, flags, limits) {
                    let served = match file.filter(|_| !anonymous) {
                        None => u64::MAX,
                        Some(file) if file.kind == FileKind::NoFault => 0,
                        Some(file) => file.size.saturating_sub(off),
                    };
                    let served = served.checked_next_multiple_of(PAGE_SIZE);
                    space.map(Area {
                        start,
                        end,
                        prot,
                        is_private: anonymous && flags.contains(MapFlags::PRIVATE),
                        grows_down: flags.contains(MapFlags::GROWSDOWN),
                        is_shared: flags.contains(MapFlags::SHARED),
                        is_written: false,
                        served_to: start.saturating_add(served.unwrap_or(u64::MAX)),
                    });
                }
            }
            Call::Load { addr } => space.read(addr),
            Call::Store { addr, .. } => space.write(addr),
            Call::Reclaim { addr } | Call::Evict { addr } => {
                let page = addr - addr % PAGE_SIZE;
                space.forget(page, page.saturating_add(PAGE_SIZE));
            }
            Call::Madvise {
                addr,
                len,
                advice: Advice::DontNeed,
            } => {
                if let Some((start, end)) = limits.range(addr, len) {
                    space.forget(start, end);
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
            Call::Open { kind, access, size } => space.open(kind, access, size, limits),
            Call::Ftruncate { fd, size } => {
                for file in space.files.iter_mut().filter(|file| file.fd == fd) {
                    file.size = size;
                }
            }
            Call::Close { fd } => space.files.retain(|file| file.fd != fd),
            Call::Fork if self.tasks.len() < MAX_TASKS.into() => {
                // Both copy a page before they write it.
                space.ready = Pages::default();
                let child = space.clone();
                self.tasks.push(Some(self.spaces.len()));
                self.spaces.push(child);
            }
            Call::Exit => self.tasks[usize::from(step.task.0) - 1] = None,
            _ => {}
        }
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
