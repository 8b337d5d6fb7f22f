//! What can be seen from outside between calls.

use vmadiff_contract::{
    About, AbsentPage, ByteState, FdState, FileByte, FileId, FileState, LimitState, MmState,
    PAGE_SIZE, PageState, Snapshot, TaskId, TaskState, VmaState,
};

use crate::mm::Mm;
use crate::page::{Entry, Page};
use crate::world::World;

impl World {
    /// Writes the state of everything that lives.
    pub fn snapshot(&self, into: &mut Snapshot) {
        into.clear();
        for (number, task) in (1..).zip(&self.tasks).filter(|(_, task)| task.alive) {
            into.tasks.push(TaskState {
                task: TaskId(number),
                mm: self.mms[task.mm].id,
                minor_faults: task.minor,
                major_faults: task.major,
                policy: task.policy,
            });
        }
        for mm in self.mms[..self.mm_count].iter().filter(|mm| mm.users > 0) {
            self.show_mm(mm, into);
        }
        for (number, file) in (1..).zip(&self.files).filter(|(_, file)| file.refs > 0) {
            let id = FileId(number);
            into.files.push(FileState {
                file: id,
                kind: file.kind,
                refs: file.refs,
                size: file.size,
            });
            let bytes = file.bytes.iter();
            into.file_bytes
                .extend(bytes.map(|&(offset, value)| FileByte {
                    file: id,
                    offset,
                    value,
                }));
        }
        for (number, file) in (1..).zip(&self.files) {
            let file = (FileId(number), &file.absent);
            let pages = file.1.iter().map(|&index| AbsentPage {
                file: file.0,
                index,
            });
            into.absent.extend(pages);
        }
        into.committed = self.committed;
        into.anon_frames = self.live_frames;
        into.anons = self.live_anons;
    }

    /// Writes the state of what is named, and of nothing else.
    pub fn observe(&self, about: About, into: &mut Snapshot) {
        let mut all = Snapshot::default();
        self.snapshot(&mut all);
        into.clear();
        let Snapshot {
            tasks,
            mms,
            vmas,
            pages,
            bytes,
            fds,
            files,
            file_bytes,
            absent,
            limits,
            ..
        } = all;
        let page_of = |at: u64, addr: u64| addr <= at && at - addr < PAGE_SIZE;
        match about {
            About::Counters(mm) => {
                into.mms.extend(mms.iter().filter(|it| it.mm == mm));
                into.limits.extend(limits.iter().filter(|it| it.mm == mm));
            }
            About::Areas(mm) => into.vmas.extend(vmas.iter().filter(|it| it.mm == mm)),
            About::Area(vma) => into.vmas.extend(vmas.iter().filter(|it| it.vma == vma)),
            About::Entry { mm, addr } => {
                into.pages
                    .extend(pages.iter().filter(|it| it.mm == mm && it.addr == addr));
                into.bytes.extend(
                    bytes
                        .iter()
                        .filter(|it| it.mm == mm && page_of(it.addr, addr)),
                );
            }
            About::Range { mm, start, end } => {
                let of = |it: &&PageState| it.mm == mm && start <= it.addr && it.addr < end;
                into.pages.extend(pages.iter().filter(of));
            }
            About::Frame(frame) => {
                for mm in &self.mms[..self.mm_count] {
                    let maps = |page: &&Page| page.entry == Entry::Anon(frame);
                    mm.pages
                        .iter()
                        .filter(maps)
                        .for_each(|page| self.show_page(mm, page, into));
                }
            }
            About::File(file) => into.files.extend(files.iter().filter(|it| it.file == file)),
            About::FilePage { file, index } => {
                let of = |it: &&FileByte| it.file == file && it.offset / PAGE_SIZE == index;
                into.file_bytes.extend(file_bytes.iter().filter(of));
                let of = |it: &&AbsentPage| it.file == file && it.index == index;
                into.absent.extend(absent.iter().filter(of));
            }
            About::Descriptor { mm, fd } => {
                into.fds.extend(
                    fds.iter()
                        .filter(|it| it.mm == mm && (it.fd == fd || fd.0 < 0)),
                );
            }
            About::Task(task) => into.tasks.extend(tasks.iter().filter(|it| it.task == task)),
            About::Committed => into.committed = all.committed,
            About::Anon(_) => into.anons = all.anons,
            About::Policy(_) | About::Tlb(_) => {}
        }
    }

    fn show_mm(&self, mm: &Mm, into: &mut Snapshot) {
        into.mms.push(MmState {
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
        });
        into.limits.extend(mm.limits.iter().map(|limit| LimitState {
            mm: mm.id,
            resource: limit.resource,
            soft: limit.soft,
            hard: limit.hard,
        }));
        into.vmas.extend(mm.areas.iter().map(|area| VmaState {
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
        }));
        for page in &mm.pages {
            self.show_page(mm, page, into);
        }
        into.fds.extend(mm.fds.iter().map(|&(fd, file)| FdState {
            mm: mm.id,
            fd,
            file,
        }));
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
        let readable = page.is_readable();
        into.pages.push(PageState {
            mm: mm.id,
            addr: page.addr,
            present: page.is_present(),
            readable,
            writable: readable && page.writable,
            executable: readable && page.executable,
            anon: matches!(page.entry, Entry::Anon(_) | Entry::Swap(_)),
            zero: page.entry == Entry::Zero,
        });
    }
}
