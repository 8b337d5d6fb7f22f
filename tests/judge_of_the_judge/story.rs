//! An agreeing run, told by hand: every kind of life event occurs in it, on both sides.

use vmadiff::program::{Program, Step};
use vmadiff::run::{Observation, Observed};
use vmadiff_contract::{
    Access, AnonId, ByteState, Call, Config, Event, Fail, Fd, FdState, FileByte, FileId, FileKind,
    FileState, FrameId, MapFlags, MmId, MmState, Mode, Note, Outcome, PageState, PolicyFlags,
    PolicyId, Prot, Protocol, Retry, Snapshot, TableId, TaskId, TaskState, VmFlags, VmaId,
    VmaState,
};

const W: u64 = Config::WINDOW;
const PAGE: u64 = 4096;
const RW: Prot = Prot::READ.union(Prot::WRITE);
const PRIVATE: VmFlags = VmFlags::READ
    .union(VmFlags::WRITE)
    .union(VmFlags::MAYREAD)
    .union(VmFlags::MAYWRITE)
    .union(VmFlags::MAYEXEC);
const SHARED: VmFlags = PRIVATE.union(VmFlags::SHARED).union(VmFlags::MAYSHARE);

/// A program and what both managers made of it.
pub struct Story {
    pub program: Program,
    pub ours: Observation,
    pub theirs: Observation,
    state: Snapshot,
}

// Events by name and number, so that a chapter reads as a list.
pub fn alloc(vma: u32, copy_of: u32) -> Event {
    let copy_of = (copy_of != 0).then_some(VmaId(copy_of));
    Event::VmaAlloc {
        vma: VmaId(vma),
        copy_of,
    }
}
fn link(vma: u32, mm: u8) -> Event {
    Event::VmaLink {
        vma: VmaId(vma),
        mm: MmId(mm),
    }
}
fn unlink(vma: u32) -> Event {
    Event::VmaUnlink { vma: VmaId(vma) }
}
fn get(vma: u32, refs: u32) -> Event {
    Event::VmaGet {
        vma: VmaId(vma),
        refs,
    }
}
fn put(vma: u32, refs: u32) -> Event {
    Event::VmaPut {
        vma: VmaId(vma),
        refs,
    }
}
fn open(vma: u32) -> Event {
    Event::VmaOpen { vma: VmaId(vma) }
}
fn close(vma: u32) -> Event {
    Event::VmaClose { vma: VmaId(vma) }
}
fn free(vma: u32) -> Event {
    Event::VmaFree { vma: VmaId(vma) }
}
fn file_put(file: u32, vma: u32) -> Event {
    Event::FilePut {
        file: FileId(file),
        vma: VmaId(vma),
    }
}
fn file_free(file: u32) -> Event {
    Event::FileFree { file: FileId(file) }
}
fn anon(anon: u32) -> Event {
    Event::AnonAlloc { anon: AnonId(anon) }
}
fn anon_free(anon: u32) -> Event {
    Event::AnonFree { anon: AnonId(anon) }
}
fn policy(policy: u32) -> Event {
    Event::PolicyAlloc {
        policy: PolicyId(policy),
    }
}
fn policy_free(policy: u32) -> Event {
    Event::PolicyFree {
        policy: PolicyId(policy),
    }
}
fn frame(frame: u32) -> Event {
    Event::FrameAlloc {
        frame: FrameId(frame),
    }
}
fn frame_free(frame: u32) -> Event {
    Event::FrameFree {
        frame: FrameId(frame),
    }
}
fn table(table: u32) -> Event {
    Event::TableAlloc {
        table: TableId(table),
    }
}
fn table_free(table: u32) -> Event {
    Event::TableFree {
        table: TableId(table),
    }
}

impl Story {
    pub fn told() -> Self {
        let mut story = Self {
            program: Program::default(),
            ours: Observation {
                manager: "ours",
                ..Observation::default()
            },
            theirs: Observation {
                manager: "theirs",
                ..Observation::default()
            },
            state: boot(),
        };
        story.a_private_file_mapping();
        story.its_tail_is_unmapped();
        story.shared_memory_and_a_fork();
        story.a_page_goes_to_swap_and_back();
        story.everyone_leaves();
        story
    }

    /// One more call: what it changes, and the events of both sides.
    fn call<const N: usize, const M: usize>(
        &mut self,
        (task, call, value): (u8, Call, u64),
        change: impl FnOnce(&mut Snapshot),
        ours: [Event; N],
        theirs: [Event; M],
    ) {
        self.program.calls.push(Step {
            task: TaskId(task),
            call,
            fail: Fail::NONE,
        });
        self.observed(value, change, &ours, &theirs);
    }

    fn observed(
        &mut self,
        value: u64,
        change: impl FnOnce(&mut Snapshot),
        ours: &[Event],
        theirs: &[Event],
    ) {
        change(&mut self.state);
        let outcome = Outcome::Value(value);
        let state = self.state.clone();
        let protocol = state.vmas.iter().map(|v| Protocol {
            vma: v.vma,
            refs: 2,
            sequence: 4,
        });
        let mut counted = Snapshot {
            protocol: protocol.collect(),
            ..state.clone()
        };
        counted.protocol.sort_by_key(|p| p.vma);
        self.ours.calls.push(Observed {
            outcome,
            events: ours.to_vec(),
            state,
        });
        self.theirs.calls.push(Observed {
            outcome,
            events: theirs.to_vec(),
            state: counted,
        });
    }

    fn a_private_file_mapping(&mut self) {
        let (kind, access) = (FileKind::WithClose, Access::READ | Access::WRITE);
        self.call(
            (
                1,
                Call::Open {
                    kind,
                    access,
                    size: PAGE,
                },
                3,
            ),
            |s| {
                let file = FileId(1);
                s.fds.push(FdState {
                    mm: MmId(1),
                    fd: Fd(3),
                    file,
                });
                s.files.push(FileState {
                    file,
                    kind: Some(kind),
                    refs: 1,
                    size: PAGE,
                });
                s.file_bytes.push(FileByte {
                    file,
                    offset: 0,
                    value: 0xa0,
                });
            },
            [],
            [],
        );
        let flags = MapFlags::PRIVATE | MapFlags::FIXED;
        let mmap = Call::Mmap {
            addr: W,
            len: 2 * PAGE,
            prot: RW,
            flags,
            fd: Fd(3),
            off: 0,
        };
        self.call(
            (1, mmap, W),
            |s| {
                s.vmas.push(area(1, W, 2, PRIVATE, 1));
                s.files[0].refs = 2;
                (
                    s.mms[0].map_count,
                    s.mms[0].total_pages,
                    s.mms[0].data_pages,
                ) = (1, 2, 2);
            },
            [alloc(1, 0), link(1, 1)],
            [alloc(1, 0), get(1, 2), link(1, 1)],
        );
        self.call(
            (1, Call::Store { addr: W, value: 7 }, 0),
            |s| {
                (s.vmas[0].anon, s.vmas[0].anon_chain) = (Some(AnonId(1)), 1);
                s.pages.push(page(1));
                s.bytes.push(ByteState {
                    mm: MmId(1),
                    addr: W,
                    value: 7,
                });
                s.mms[0].rss_anon = 1;
                s.tasks[0].minor_faults = 1;
                (s.anon_frames, s.anons) = (1, 1);
            },
            [anon(1), frame(1), Event::Note(Note::Classic)],
            [
                get(1, 3),
                Event::Note(Note::GiveUp(Retry::NoAnonVma)),
                put(1, 2),
                table(1),
                table(2),
                anon(1),
                frame(1),
            ],
        );
        let (mode, flags) = (Mode::Bind, PolicyFlags::empty());
        self.call(
            (
                1,
                Call::Mbind {
                    addr: W,
                    len: 2 * PAGE,
                    mode,
                    nodes: 1,
                    flags,
                },
                0,
            ),
            |s| s.vmas[0].policy = Some(PolicyId(1)),
            [policy(1)],
            [policy(1)],
        );
    }

    fn its_tail_is_unmapped(&mut self) {
        self.call(
            (
                2,
                Call::Munmap {
                    addr: W + PAGE,
                    len: PAGE,
                },
                0,
            ),
            |s| {
                s.vmas[0].end = W + PAGE;
                (s.mms[0].total_pages, s.mms[0].data_pages) = (1, 1);
            },
            [
                alloc(2, 1),
                policy(2),
                open(2),
                link(2, 1),
                unlink(2),
                close(2),
                file_put(1, 2),
                policy_free(2),
                free(2),
            ],
            [
                alloc(2, 1),
                policy(2),
                open(2),
                get(2, 2),
                link(2, 1),
                unlink(2),
                close(2),
                file_put(1, 2),
                put(2, 1),
            ],
        );
        self.call(
            (1, Call::Softirq, 0),
            |_| {},
            [],
            [put(2, 0), policy_free(2), free(2)],
        );
    }

    fn shared_memory_and_a_fork(&mut self) {
        let addr = W + 4 * PAGE;
        let flags = MapFlags::SHARED | MapFlags::ANONYMOUS | MapFlags::FIXED;
        self.call(
            (
                1,
                Call::Mmap {
                    addr,
                    len: PAGE,
                    prot: RW,
                    flags,
                    fd: Fd(-1),
                    off: 0,
                },
                addr,
            ),
            |s| {
                s.vmas.push(area(3, addr, 1, SHARED, 2));
                s.files.push(FileState {
                    file: FileId(2),
                    kind: None,
                    refs: 1,
                    size: PAGE,
                });
                (s.mms[0].map_count, s.mms[0].total_pages) = (2, 2);
                s.committed = 1;
            },
            [alloc(3, 0), link(3, 1)],
            [alloc(3, 0), get(3, 2), link(3, 1)],
        );
        self.call(
            (1, Call::Fork, 3),
            fork,
            [
                alloc(4, 1),
                policy(3),
                anon(2),
                link(4, 2),
                open(4),
                alloc(5, 3),
                link(5, 2),
                Event::Note(Note::Undo("none")),
            ],
            [
                alloc(4, 1),
                policy(3),
                anon(2),
                get(4, 2),
                link(4, 2),
                table(3),
                open(4),
                alloc(5, 3),
                get(5, 2),
                link(5, 2),
            ],
        );
        self.call(
            (2, Call::Munmap { addr, len: PAGE }, 0),
            |s| {
                s.vmas.remove(1);
                s.files[1].refs = 1;
                (s.mms[0].map_count, s.mms[0].total_pages) = (1, 1);
            },
            [unlink(3), file_put(2, 3), free(3)],
            [unlink(3), file_put(2, 3), put(3, 1)],
        );
        let (mode, flags) = (Mode::Bind, PolicyFlags::empty());
        self.call(
            (
                1,
                Call::SetMempolicy {
                    mode,
                    nodes: 1,
                    flags,
                },
                0,
            ),
            |s| s.tasks[0].policy = Some(PolicyId(4)),
            [policy(4)],
            [policy(4), put(3, 0), free(3)],
        );
    }

    fn a_page_goes_to_swap_and_back(&mut self) {
        self.call(
            (1, Call::Reclaim { addr: W }, 1),
            |s| {
                for (page, mm) in s.pages.iter_mut().zip(&mut s.mms) {
                    (page.present, page.readable, page.writable) = (false, false, false);
                    (mm.rss_anon, mm.swap_entries) = (0, 1);
                }
            },
            [frame_free(1)],
            [frame_free(1)],
        );
        self.call(
            (1, Call::Load { addr: W }, 7),
            |s| {
                (s.pages[0].present, s.pages[0].readable) = (true, true);
                (s.mms[0].rss_anon, s.mms[0].swap_entries) = (1, 0);
                s.tasks[0].major_faults = 1;
                s.anon_frames = 2;
            },
            [frame(2)],
            [
                get(1, 3),
                frame(2),
                Event::Note(Note::Speculative),
                put(1, 2),
            ],
        );
        self.call(
            (3, Call::Exit, 0),
            |s| {
                let gone = MmId(2);
                s.tasks.retain(|t| t.mm != gone);
                s.mms.retain(|m| m.mm != gone);
                s.vmas.retain(|v| v.mm != gone);
                s.pages.retain(|p| p.mm != gone);
                s.bytes.retain(|b| b.mm != gone);
                s.fds.retain(|d| d.mm != gone);
                s.files = vec![FileState {
                    refs: 2,
                    ..s.files[0]
                }];
                (s.committed, s.anon_frames, s.anons) = (0, 1, 1);
            },
            [
                close(4),
                file_put(1, 4),
                policy_free(3),
                free(4),
                file_put(2, 5),
                file_free(2),
                free(5),
                anon_free(2),
            ],
            [
                table_free(3),
                anon_free(2),
                put(4, 1),
                close(4),
                file_put(1, 4),
                put(4, 0),
                policy_free(3),
                free(4),
                put(5, 1),
                file_put(2, 5),
                file_free(2),
                put(5, 0),
                free(5),
            ],
        );
    }

    fn everyone_leaves(&mut self) {
        self.call(
            (1, Call::Close { fd: Fd(3) }, 0),
            |s| {
                s.fds.clear();
                s.files[0].refs = 1;
            },
            [],
            [],
        );
        self.observed(0, |s| s.tasks.truncate(1), &[], &[]);
        self.observed(
            0,
            |s| *s = Snapshot::default(),
            &[
                frame_free(2),
                anon_free(1),
                close(1),
                file_put(1, 1),
                file_free(1),
                policy_free(1),
                free(1),
                policy_free(4),
            ],
            &[
                frame_free(2),
                anon_free(1),
                table_free(2),
                put(1, 1),
                close(1),
                file_put(1, 1),
                file_free(1),
                put(1, 0),
                policy_free(1),
                free(1),
            ],
        );
        self.theirs.deferred = vec![policy_free(4), table_free(1)];
    }
}

fn boot() -> Snapshot {
    let tasks = [1, 2].map(|task| TaskState {
        task: TaskId(task),
        mm: MmId(1),
        minor_faults: 0,
        major_faults: 0,
        policy: None,
    });
    let mm = MmState {
        mm: MmId(1),
        map_count: 0,
        total_pages: 0,
        locked_pages: 0,
        data_pages: 0,
        stack_pages: 0,
        exec_pages: 0,
        rss_anon: 0,
        rss_file: 0,
        swap_entries: 0,
        brk: Config::default().start_brk,
        def_flags: VmFlags::empty(),
    };
    Snapshot {
        tasks: tasks.to_vec(),
        mms: vec![mm],
        ..Snapshot::default()
    }
}

fn area(vma: u32, start: u64, pages: u64, flags: VmFlags, file: u32) -> VmaState {
    VmaState {
        mm: MmId(1),
        start,
        end: start + pages * PAGE,
        vma: VmaId(vma),
        flags,
        pgoff: 0,
        file: Some(FileId(file)),
        policy: None,
        anon: None,
        anon_chain: 0,
    }
}

fn page(mm: u8) -> PageState {
    PageState {
        mm: MmId(mm),
        addr: W,
        present: true,
        readable: true,
        writable: true,
        executable: false,
        anon: true,
        zero: false,
    }
}

fn fork(s: &mut Snapshot) {
    let mm = MmId(2);
    s.tasks.push(TaskState {
        task: TaskId(3),
        mm,
        minor_faults: 0,
        major_faults: 0,
        policy: None,
    });
    s.mms.push(MmState { mm, ..s.mms[0] });
    let [first, second] = [s.vmas[0], s.vmas[1]];
    let (policy, anon) = (Some(PolicyId(3)), Some(AnonId(2)));
    s.vmas.push(VmaState {
        mm,
        vma: VmaId(4),
        policy,
        anon,
        anon_chain: 2,
        ..first
    });
    s.vmas.push(VmaState {
        mm,
        vma: VmaId(5),
        ..second
    });
    s.pages[0].writable = false;
    s.pages.push(PageState { mm, ..s.pages[0] });
    s.bytes.push(ByteState { mm, ..s.bytes[0] });
    s.fds.push(FdState { mm, ..s.fds[0] });
    s.files[0].refs = 4;
    s.files[1].refs = 2;
    s.anons = 2;
}
