//! The states of the story: how it begins, an area, a page, and what a fork adds.

use vmadiff_contract::{
    AnonId, ByteState, Config, FdState, FileId, MmId, MmState, PageState, PolicyId, Snapshot,
    TaskId, TaskState, VmFlags, VmaId, VmaState,
};

use super::{PAGE, W};

pub fn boot() -> Snapshot {
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

pub fn area(vma: u32, start: u64, pages: u64, flags: VmFlags, file: u32) -> VmaState {
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

pub fn page(mm: u8) -> PageState {
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

pub fn fork(s: &mut Snapshot) {
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
