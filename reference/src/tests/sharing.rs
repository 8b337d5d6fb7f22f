//! Sections 16, 17, 23, 24 and 26: fork, exit, descriptors and the anon_vmas of families.

use vmadiff_contract::{Access, Advice, Call, Errno::*, FileKind, VmFlags};

use super::*;

fn exit(task: u8) -> Step {
    Step::new(Call::Exit).by(task)
}

fn advise(page: u64, pages: u64, advice: Advice) -> Step {
    Step::new(Call::Madvise {
        addr: at(page),
        len: pages * 4096,
        advice,
    })
}

fn in_child(program: &[Step], drawn: &str) -> Snapshot {
    check_in(&Config::default(), 2, program, drawn)
}

/// Both write to copies of their own; who is left alone with a page keeps it.
#[test]
fn copy_on_write() {
    let program = [
        map(0, 1),
        store(0, 1),
        fork(3),
        store(0, 2),
        load(0, 1).by(3),
        store(0, 3).by(3),
        load(0, 2),
    ];
    let seen = in_child(&program, "B");
    assert_eq!(seen.anon_frames, 2);
    let seen = in_child(
        &[
            map(0, 1),
            store(0, 1),
            fork(3),
            store(0, 3).by(3),
            store(0, 2),
        ],
        "B",
    );
    assert_eq!(
        (
            seen.anon_frames,
            seen.tasks[0].minor_faults,
            seen.tasks[2].minor_faults
        ),
        (2, 2, 1)
    );
}

/// Unfaulted areas have no pages to copy, shared ones need not.
#[test]
fn what_fork_copies() {
    let seen = in_child(&[map(0, 1), load(0, 0), fork(3)], "B");
    assert_eq!(seen.pages.len(), 1);
    let shared = (PRIVATE - MapFlags::PRIVATE) | MapFlags::SHARED;
    let seen = in_child(
        &[
            map_with(0, 1, RW, shared, -1),
            store(0, 7),
            fork(3),
            load(0, 7).by(3),
        ],
        "B",
    );
    assert_eq!((seen.mms[1].rss_file, seen.files[0].refs), (1, 2));
    let locked = [
        map(0, 2),
        Step::new(Call::Mlock {
            addr: at(0),
            len: 1,
        }),
        fork(3),
    ];
    let seen = in_child(&locked, "CD");
    assert_eq!(
        (
            seen.mms[1].locked_pages,
            vma(&seen, 'C').flags & VmFlags::LOCKED
        ),
        (0, VmFlags::empty())
    );
}

#[test]
fn advice_on_fork() {
    let program = [
        map(0, 3),
        store(0, 1),
        store(1, 2),
        advise(0, 1, Advice::DontFork),
        advise(1, 1, Advice::WipeOnFork),
        fork(3),
    ];
    let seen = in_child(&[&program[..], &[load(1, 0).by(3)]].concat(), ".DE");
    assert_eq!((seen.mms[1].total_pages, seen.mms[1].data_pages), (2, 2));
    assert_eq!(
        (vma(&seen, 'D').anon_chain, vma(&seen, 'E').anon_chain),
        (1, 2)
    );
    assert!(vma(&seen, 'D').flags.contains(VmFlags::WIPEONFORK));
}

/// The copy of a WIPEONFORK area still stands between the parent's neighbours (section 18).
#[test]
fn a_wiped_area_may_share_the_parent_s_anon_vma() {
    let flag = advise(0, 2, Advice::WipeOnFork);
    let split = [map(0, 2), flag, protect(1, 1, RO), store(0, 1), fork(3)];
    let seen = in_child(&split, "CD");
    assert_eq!(
        (seen.anons, vma(&seen, 'D').anon),
        (2, vma(&seen, 'B').anon)
    );
    assert_ne!(vma(&seen, 'C').anon, vma(&seen, 'D').anon);
}

/// A fork that fails leaves nothing but write-protected pages and a used-up number of an address
/// space.
#[test]
fn fork_fails() {
    let parent = vec![map(0, 1), store(0, 1), map_with(2, 1, RO, PRIVATE, -1)];
    let failed = |n, frees: &[u32]| fork(0).without(n).fails(ENOMEM).frees(frees);
    check(&[parent.clone(), vec![failed(1, &[])]].concat(), "A.B");
    check(&[parent.clone(), vec![failed(2, &[3])]].concat(), "A.B");
    check(&[parent.clone(), vec![failed(3, &[3])]].concat(), "A.B");
    let seen = check(
        &[parent.clone(), vec![failed(4, &[3]), fork(3)]].concat(),
        "A.B",
    );
    assert_eq!((seen.mms[1].mm, seen.pages[0].writable), (MmId(3), false));
    let config = Config {
        commit_limit: 2,
        ..Config::default()
    };
    check_in(
        &config,
        1,
        &[map(0, 1), fork(0).fails(ENOMEM).frees(&[])],
        "A",
    );
    let threads = Config {
        tasks: 8,
        ..Config::default()
    };
    let forks: Vec<Step> = (9..=16).map(fork).chain([fork(0).fails(EAGAIN)]).collect();
    check_in(&threads, 1, &forks, "");
}

/// The last task tears its address space down, and only that one.
#[test]
fn exits() {
    let program = [
        map(0, 2),
        protect(1, 1, RO),
        exit(1).frees(&[]),
        exit(2).frees(&[2, 1]),
    ];
    let seen = check(&program, "");
    assert_eq!((seen.mms.len(), seen.anons, seen.committed), (0, 0, 0));
    let gone = exit(3).gives(Outcome::NoTask);
    let seen = check(
        &[
            map(0, 1),
            store(0, 1),
            fork(3),
            exit(3),
            gone,
            exit(1),
            exit(2),
        ],
        "",
    );
    assert_eq!((seen.anons, seen.anon_frames), (0, 0));
}

/// The third generation reuses the anon_vma that its parent's death left without areas.
#[test]
fn anon_vmas_of_families() {
    let two = vec![map(0, 1), store(0, 1), fork(3), fork(4).by(3)];
    let seen = check_in(&Config::default(), 3, &two, "C");
    assert_eq!((seen.anons, vma(&seen, 'C').anon_chain), (3, 3));
    // The middle one goes; its anon_vma stays, for the third one's chain names it.
    let seen = check_in(
        &Config::default(),
        3,
        &[two.clone(), vec![exit(3), store(0, 1).by(4), fork(5).by(4)]].concat(),
        "C",
    );
    assert_eq!((seen.anons, vma(&seen, 'D').anon_chain), (3, 3));
    assert_ne!(vma(&seen, 'D').anon, vma(&seen, 'C').anon);
    // A root without areas lives as long as its descendants.
    let seen = check(&[map(0, 1), store(0, 1), fork(3), unmap(0, 1)], "");
    assert_eq!((seen.anons, vma(&seen, 'B').anon_chain), (2, 2));
    let seen = check(
        &[
            map(0, 1),
            store(0, 1),
            fork(3),
            unmap(0, 1),
            unmap(0, 1).by(3),
        ],
        "",
    );
    assert_eq!(seen.anons, 0);
}

#[test]
fn descriptors() {
    let open = |access, size| {
        Step::new(Call::Open {
            kind: FileKind::Plain,
            access,
            size,
        })
    };
    let close = |fd| Step::new(Call::Close { fd: Fd(fd) });
    let rw = Access::all();
    let config = Config {
        rlimit_nofile: 5,
        ..Config::default()
    };
    let program = [
        open(Access::empty(), 1 << 41).fails(EINVAL),
        open(rw, (1 << 40) + 1).fails(EFBIG),
        open(rw, 1).is(3),
        open(rw, 1 << 40).is(4),
        open(rw, 1 << 41).fails(EFBIG),
        open(rw, 1).fails(EMFILE),
        close(3),
        close(3).fails(EBADF),
        close(-1).fails(EBADF),
        open(Access::READ, 0).is(3),
    ];
    let seen = check_in(&config, 1, &program, "");
    assert_eq!(
        (
            seen.files.len(),
            seen.files[1].file.0,
            seen.file_bytes.len()
        ),
        (2, 3, 16)
    );
    let truncate = |fd, size| Step::new(Call::Ftruncate { fd: Fd(fd), size });
    let program = [
        open(Access::READ, 1).is(3),
        open(rw, 1).is(4),
        truncate(9, u64::MAX).fails(EINVAL),
        truncate(9, 1).fails(EBADF),
        truncate(3, 1 << 41).fails(EINVAL),
        truncate(4, (1 << 40) + 1).fails(EFBIG),
        truncate(4, 0),
    ];
    check(&program, "");
}

/// A file lives as long as a descriptor or an area has it; a child has descriptors of its own.
#[test]
fn files_live_on() {
    let open = Step::new(Call::Open {
        kind: FileKind::Plain,
        access: Access::all(),
        size: 4096,
    })
    .is(3);
    let close = Step::new(Call::Close { fd: Fd(3) });
    let mapped = map_with(0, 1, RW, MapFlags::SHARED | MapFlags::FIXED, 3);
    let seen = check(
        &[open.clone(), mapped.clone(), close.clone(), store(0, 7)],
        "A",
    );
    assert_eq!((seen.files[0].refs, seen.file_bytes.len()), (1, 1));
    let seen = check(&[open.clone(), mapped, close.clone(), unmap(0, 1)], "");
    assert!(seen.files.is_empty() && seen.file_bytes.is_empty());
    let seen = check(&[open, fork(3), close, exit(1), exit(2)], "");
    assert_eq!((seen.files[0].refs, seen.fds[0].mm), (1, MmId(2)));
}
