//! What can be seen from outside between calls.

use vmadiff_contract::{
    About, AbsentPage, ByteState, FdState, FileByte, FileId, FileState, LimitState, MmId, MmState,
    Moves, PAGE_SIZE, PageState, Parts, Snapshot, TaskId, TaskState, VmaState,
};

use crate::mm::Mm;
use crate::page::{Entry, Page};
use crate::world::{Task, World};

impl World {
    /// Writes the state of everything that lives.
    pub fn snapshot(&self, into: &mut Snapshot) {
        self.look_again(Parts::ALL, into);
    }

    /// How often each part of the state may have changed. An address space comes and goes with all of
    /// them.
    pub fn moves(&self) -> Moves {
        let mms = &self.mms;
        let gone = mms.iter().filter(|mm| mm.users == 0).count();
        let born_or_gone = (self.mms.len() + gone) as u64;
        let mut moves = Moves {
            areas: born_or_gone,
            pages: born_or_gone + self.frames.moves() + self.slots.moves(),
            files: born_or_gone + self.files.moves(),
        };
        for mm in mms {
            moves.areas += mm.areas.moves();
            moves.pages += mm.pages.moves();
            moves.files += mm.fds.moves() + mm.limits.moves();
        }
        moves
    }

    /// Writes the state of what lives, of its parts only these.
    pub fn look_again(&self, parts: Parts, into: &mut Snapshot) {
        into.clear_parts(parts);
        let living = (1..).zip(&self.tasks).filter(|(_, task)| task.alive);
        into.tasks
            .extend(living.map(|(number, task)| self.task_state(number, task)));
        for mm in self.living_mms() {
            self.show_mm(mm, parts, into);
        }
        if parts.files {
            for id in (1..=self.files.len() as u32).map(FileId) {
                into.files.extend(self.file_state(id));
                into.file_bytes.extend(self.bytes_of(id));
                into.absent.extend(self.absent_of(id));
            }
        }
        into.committed = self.committed;
        into.anon_frames = self.live_frames;
        into.anons = self.live_anons;
    }

    /// Writes the state of what is named, and of nothing else.
    pub fn observe(&self, about: About, into: &mut Snapshot) {
        into.clear();
        match about {
            About::Counters(mm) => {
                into.mms.extend(self.mm_of(mm).map(mm_state));
                into.limits
                    .extend(self.mm_of(mm).into_iter().flat_map(limit_states));
            }
            About::Areas(mm) => {
                let areas = self.mm_of(mm).into_iter().flat_map(area_states);
                into.vmas.extend(areas);
            }
            About::Area(vma) => {
                let areas = self.living_mms().flat_map(area_states);
                into.vmas.extend(areas.filter(|area| area.vma == vma));
            }
            About::Entry { mm, addr } => self.show_pages(mm, addr, addr.saturating_add(1), into),
            About::Range { mm, start, end } => {
                self.show_pages(mm, start, end, into);
                into.bytes.clear();
            }
            About::Frame(frame) => {
                for mm in self.living_mms() {
                    let maps = |page: &&Page| page.entry == Entry::Anon(frame);
                    mm.pages
                        .iter()
                        .filter(maps)
                        .for_each(|page| self.show_page(mm, page, into));
                }
            }
            About::File(file) => into.files.extend(self.file_state(file)),
            About::FilePage { file, index } => {
                let page = self.bytes_of(file);
                into.file_bytes
                    .extend(page.filter(|byte| byte.offset / PAGE_SIZE == index));
                let absent = self.absent_of(file);
                into.absent
                    .extend(absent.filter(|page| page.index == index));
            }
            About::Descriptor { mm, fd } => {
                let fds = self.mm_of(mm).into_iter().flat_map(fd_states);
                into.fds.extend(fds.filter(|it| it.fd == fd || fd.0 < 0));
            }
            About::Task(task) => {
                let t = usize::from(task.0).wrapping_sub(1);
                let living = self.tasks.get(t).filter(|task| task.alive);
                into.tasks
                    .extend(living.map(|living| self.task_state(task.0, living)));
            }
            About::Committed => into.committed = self.committed,
            About::Anon(_) => into.anons = self.live_anons,
            About::Policy(_) | About::Tlb(_) => {}
        }
    }

    fn living_mms(&self) -> impl Iterator<Item = &Mm> {
        self.mms.iter().filter(|mm| mm.users > 0)
    }

    /// An address space, also one that fork is still making.
    fn mm_of(&self, id: MmId) -> Option<&Mm> {
        let m = usize::from(id.0).wrapping_sub(1);
        self.mms.get(m)
    }

    fn show_pages(&self, mm: MmId, start: u64, end: u64, into: &mut Snapshot) {
        if let Some(mm) = self.mm_of(mm) {
            for page in &mm.pages[mm.pages_in(start, end)] {
                self.show_page(mm, page, into);
            }
        }
    }

    /// An entry as others see it; one that is cleared until it is replaced is empty.
    pub fn entry(&self, mm: MmId, addr: u64) -> Option<PageState> {
        let mm = self.mm_of(mm)?;
        let at = mm.pages.binary_search_by_key(&addr, |page| page.addr);
        let page = &mm.pages[at.ok()?];
        (!page.clearing).then(|| page_state(mm, page))
    }

    /// What a task's TLB holds of a page.
    pub fn held(&self, task: TaskId, addr: u64) -> Option<PageState> {
        let t = usize::from(task.0).wrapping_sub(1);
        let mm = &self.mms[self.tasks.get(t)?.mm];
        self.translation(t, addr).map(|page| page_state(mm, page))
    }

    /// Whether a task's TLB holds anything.
    pub fn holds_any(&self, task: TaskId) -> bool {
        let t = usize::from(task.0).wrapping_sub(1);
        self.tlbs.get(t).is_some_and(|tlb| !tlb.is_empty())
    }

    fn task_state(&self, number: u8, task: &Task) -> TaskState {
        TaskState {
            task: TaskId(number),
            mm: self.mms[task.mm].id,
            minor_faults: task.minor,
            major_faults: task.major,
            policy: task.policy,
        }
    }

    fn file_state(&self, id: FileId) -> Option<FileState> {
        let file = self.files.get((id.0 as usize).wrapping_sub(1))?;
        (file.refs > 0).then_some(FileState {
            file: id,
            kind: file.kind,
            refs: file.refs,
            size: file.size,
        })
    }

    fn absent_of(&self, id: FileId) -> impl Iterator<Item = AbsentPage> {
        let file = self.files.get((id.0 as usize).wrapping_sub(1));
        let absent = file.into_iter().flat_map(|file| &file.absent);
        absent.map(move |&index| AbsentPage { file: id, index })
    }

    fn bytes_of(&self, id: FileId) -> impl Iterator<Item = FileByte> {
        let file = self.files.get((id.0 as usize).wrapping_sub(1));
        let living = file.filter(|file| file.refs > 0);
        let bytes = living.into_iter().flat_map(|file| &file.bytes);
        bytes.map(move |&(offset, value)| FileByte {
            file: id,
            offset,
            value,
        })
    }

    fn show_mm(&self, mm: &Mm, parts: Parts, into: &mut Snapshot) {
        into.mms.push(mm_state(mm));
        if parts.areas {
            into.vmas.extend(area_states(mm));
        }
        if parts.pages {
            for page in &mm.pages {
                self.show_page(mm, page, into);
            }
        }
        if parts.files {
            into.limits.extend(limit_states(mm));
            into.fds.extend(fd_states(mm));
        }
    }

    fn show_page(&self, mm: &Mm, page: &Page, into: &mut Snapshot) {
        let bytes = match page.entry {
            Entry::Anon(frame) => &self.frames[frame.0 as usize - 1].bytes[..],
            Entry::Swap(slot) => &self.slots[slot as usize].bytes[..],
            Entry::Zero | Entry::File(..) => &[],
        };
        for &(offset, value) in bytes {
            into.bytes.push(ByteState {
                mm: mm.id,
                addr: page.addr + u64::from(offset),
                value,
            });
        }
        into.pages.push(page_state(mm, page));
    }
}

fn mm_state(mm: &Mm) -> MmState {
    MmState {
        mm: mm.id,
        map_count: mm.areas.len() as u32,
        total_pages: mm.total,
        locked_pages: mm.locked,
        data_pages: mm.data,
        stack_pages: mm.stack,
        exec_pages: mm.exec,
        rss_anon: mm.rss_anon,
        rss_file: mm.rss_file,
        swap_entries: mm.swap_entries,
        brk: mm.brk,
        def_flags: mm.def_flags,
    }
}

fn limit_states(mm: &Mm) -> impl Iterator<Item = LimitState> {
    mm.limits.iter().map(|limit| LimitState {
        mm: mm.id,
        resource: limit.resource,
        soft: limit.soft,
        hard: limit.hard,
    })
}

fn area_states(mm: &Mm) -> impl Iterator<Item = VmaState> {
    mm.areas.iter().map(|area| VmaState {
        mm: mm.id,
        start: area.start,
        end: area.end,
        vma: area.id,
        flags: area.flags,
        pgoff: area.pgoff,
        file: area.file,
        policy: area.policy,
        anon: area.rmap.anon,
        anon_chain: area.rmap.chain.len() as u32,
    })
}

fn fd_states(mm: &Mm) -> impl Iterator<Item = FdState> {
    let mm_id = mm.id;
    mm.fds.iter().map(move |&(fd, file)| FdState {
        mm: mm_id,
        fd,
        file,
    })
}

fn page_state(mm: &Mm, page: &Page) -> PageState {
    let readable = page.is_readable();
    PageState {
        mm: mm.id,
        addr: page.addr,
        present: page.is_present(),
        readable,
        writable: readable && page.writable,
        executable: readable && page.executable,
        anon: matches!(page.entry, Entry::Anon(_) | Entry::Swap(_)),
        zero: page.entry == Entry::Zero,
    }
}
