//! What happens in the story, call by call: what each changes, and the events of both sides.

use vmadiff_contract::{
    Access, AnonId, ByteState, Call, Event, Fd, FdState, FileByte, FileId, FileKind, FileState,
    MapFlags, MmId, Mode, Note, PolicyFlags, PolicyId, Snapshot,
};

use super::events::{
    alloc, anon, anon_free, close, file_free, file_put, frame, frame_free, free, get, link, open,
    policy, policy_free, put, table, table_free, unlink,
};
use super::states::{area, fork, page};
use super::{PAGE, PRIVATE, REASON, RW, SHARED, Story, W};

impl Story {
    pub(super) fn a_private_file_mapping(&mut self) {
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
                Event::Note(Note::GiveUp(&REASON)),
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

    pub(super) fn its_tail_is_unmapped(&mut self) {
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

    pub(super) fn shared_memory_and_a_fork(&mut self) {
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

    pub(super) fn a_page_goes_to_swap_and_back(&mut self) {
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

    pub(super) fn everyone_leaves(&mut self) {
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
