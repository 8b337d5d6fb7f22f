//! Section 10: mlock and its family, and populating.

use vmadiff_contract::{Call, Errno::*, LockAllFlags, LockFlags, POPULATE_MAX_PAGES, VmFlags};

use super::*;

fn lock(page: u64, pages: u64) -> Step {
    Step::new(Call::Mlock {
        addr: at(page),
        len: pages * 4096,
    })
}

fn unlock(page: u64, pages: u64) -> Step {
    Step::new(Call::Munlock {
        addr: at(page),
        len: pages * 4096,
    })
}

fn on_fault(page: u64, pages: u64) -> Step {
    let flags = LockFlags::ONFAULT;
    Step::new(Call::Mlock2 {
        addr: at(page),
        len: pages * 4096,
        flags,
    })
}

fn all(flags: LockAllFlags) -> Step {
    Step::new(Call::Mlockall { flags })
}

const CURRENT: LockAllFlags = LockAllFlags::CURRENT;
const FUTURE: LockAllFlags = LockAllFlags::FUTURE;

fn limit(pages: u64) -> Config {
    Config {
        rlimit_memlock: pages * 4096,
        ..Config::default()
    }
}

#[test]
fn locks_and_populates() {
    let seen = check(&[map(0, 6), lock(2, 2)], "BBAACC");
    assert_eq!(
        (
            seen.mms[0].locked_pages,
            seen.mms[0].rss_anon,
            seen.tasks[0].minor_faults
        ),
        (2, 2, 2)
    );
    // Populated, it has an anon_vma that its neighbours lack: unlocking merges nothing.
    let seen = check(&[map(0, 6), lock(2, 2), lock(2, 2), unlock(0, 6)], "BBAACC");
    assert_eq!(
        (seen.mms[0].locked_pages, seen.tasks[0].minor_faults),
        (0, 2)
    );
    let byte = Step::new(Call::Mlock {
        addr: at(1) - 1,
        len: 2,
    });
    assert_eq!(check(&[map(0, 4), byte], "AABB").mms[0].locked_pages, 2);
    check(&[map(0, 1), lock(0, 0), lock(9, 0)], "A");
}

/// Absent pages wait for their first use, present ones stay as they are.
#[test]
fn on_fault_populates_nothing() {
    let seen = check(&[map(0, 2), on_fault(0, 2)], "AA");
    check(
        &[map(0, 6), on_fault(2, 2), unlock(0, 6).frees(&[1, 3])],
        "BBBBBB",
    );
    let flags = VmFlags::LOCKED | VmFlags::LOCKONFAULT;
    assert!(vma(&seen, 'A').flags.contains(flags) && seen.pages.is_empty());
    let seen = check(&[map(0, 2), on_fault(0, 2), lock(0, 2)], "AA");
    assert_eq!(
        (vma(&seen, 'A').flags & flags, seen.mms[0].locked_pages),
        (VmFlags::LOCKED, 2)
    );
    let odd = Call::Mlock2 {
        addr: 0,
        len: 0,
        flags: LockFlags::from_bits_retain(2),
    };
    check(&[Step::new(odd).fails(EINVAL)], "");
}

/// What cannot be populated is locked all the same.
#[test]
fn what_populating_answers() {
    let seen = check(
        &[map_with(0, 1, NONE, PRIVATE, -1), lock(0, 1).fails(ENOMEM)],
        "A",
    );
    assert_eq!(seen.mms[0].locked_pages, 1);
    let seen = check(&[map(0, 2), lock(0, 2).without(3).fails(EAGAIN)], "AA");
    assert_eq!((seen.mms[0].locked_pages, seen.mms[0].rss_anon), (2, 1));
    check(
        &[
            map_with(0, 1, NONE, PRIVATE, -1),
            lock(0, 0),
            on_fault(0, 1).fails(ENOMEM),
        ],
        "A",
    );
}

/// Areas before a hole stay locked.
#[test]
fn holes() {
    let seen = check(&[map(0, 2), map(4, 2), lock(0, 6).fails(ENOMEM)], "AA..BB");
    assert_eq!((seen.mms[0].locked_pages, seen.mms[0].rss_anon), (2, 0));
    check(
        &[
            map(2, 2),
            lock(0, 4).fails(ENOMEM),
            unlock(0, 4).fails(ENOMEM),
        ],
        "..AA",
    );
    let wrap = Call::Munlock {
        addr: at(0),
        len: u64::MAX - 8192,
    };
    check(&[map(0, 2), Step::new(wrap).fails(EINVAL)], "AA");
}

/// Pages that are locked already are not counted twice; 0 forbids everything.
#[test]
fn limits() {
    check_in(
        &limit(2),
        1,
        &[map(0, 6), lock(0, 3).fails(ENOMEM), lock(0, 2), lock(0, 2)],
        "AABBBB",
    );
    check_in(
        &limit(2),
        1,
        &[map(0, 6), lock(0, 2), lock(1, 2).fails(ENOMEM)],
        "AABBBB",
    );
    check_in(
        &limit(0),
        1,
        &[
            lock(0, 1).fails(EPERM),
            all(CURRENT).fails(EPERM),
            unlock(0, 0),
        ],
        "",
    );
    let locked = map_with(0, 3, RW, PRIVATE | MapFlags::LOCKED, -1);
    check_in(&limit(2), 1, &[locked.clone().fails(EAGAIN)], "");
    check_in(&limit(0), 1, &[locked.clone().fails(EPERM)], "");
    let capable = Config {
        cap_ipc_lock: true,
        ..limit(0)
    };
    check_in(&capable, 1, &[locked, lock(0, 3)], "AAA");
    check_in(
        &limit(2),
        1,
        &[map(0, 3), all(CURRENT).fails(ENOMEM), all(FUTURE)],
        "AAA",
    );
}

/// Each mlockall replaces what the one before said of the future.
#[test]
fn lock_everything() {
    let seen = check(&[map(0, 2), all(FUTURE), map(4, 2)], "AA..BB");
    assert_eq!((seen.mms[0].locked_pages, seen.pages.len()), (2, 2));
    let seen = check(&[map(0, 2), all(FUTURE), all(CURRENT), map(4, 2)], "AA..BB");
    assert_eq!(
        (seen.mms[0].locked_pages, seen.mms[0].def_flags),
        (2, VmFlags::empty())
    );
    let both = all(CURRENT | FUTURE | LockAllFlags::ONFAULT);
    let seen = check(&[map(0, 2), both, map(4, 2)], "AA..BB");
    assert_eq!((seen.mms[0].locked_pages, seen.pages.len()), (4, 0));
    let alone = all(LockAllFlags::ONFAULT);
    let none = Step::new(Call::Munlockall);
    for undo in [alone, none] {
        let seen = check(&[map(0, 2), all(CURRENT | FUTURE), undo], "AA");
        assert_eq!(
            (seen.mms[0].locked_pages, seen.mms[0].def_flags),
            (0, VmFlags::empty())
        );
    }
    check(
        &[
            all(LockAllFlags::empty()).fails(EINVAL),
            all(LockAllFlags::from_bits_retain(9)).fails(EINVAL),
        ],
        "",
    );
}

/// A locked area that becomes writable gets pages of its own at once.
#[test]
fn protection_populates() {
    let seen = check(
        &[
            map_with(0, 2, RO, PRIVATE, -1),
            lock(0, 2),
            protect(0, 2, RW),
        ],
        "AA",
    );
    assert!(seen.pages.iter().all(|page| page.anon && page.writable));
    assert_eq!(seen.tasks[0].minor_faults, 4);
}

/// MAP_POPULATE is for everybody; MAP_NONBLOCK takes it back.
#[test]
fn map_populate() {
    let populate = |prot, more| map_with(0, 2, prot, PRIVATE | MapFlags::POPULATE | more, -1);
    let seen = check(&[populate(RO, MapFlags::empty())], "AA");
    assert!(seen.pages.len() == 2 && seen.pages.iter().all(|page| page.zero));
    assert_eq!(
        check(&[populate(RW, MapFlags::empty())], "AA").mms[0].rss_anon,
        2
    );
    assert!(
        check(&[populate(RW, MapFlags::NONBLOCK)], "AA")
            .pages
            .is_empty()
    );
    assert!(
        check(&[populate(NONE, MapFlags::empty())], "AA")
            .pages
            .is_empty()
    );
    let wide = map_with(0, 1 << 30, RW, PRIVATE | MapFlags::POPULATE, -1);
    let seen = check(&[wide], &"A".repeat(Config::WINDOW_PAGES as usize));
    assert_eq!(seen.pages.len() as u64, POPULATE_MAX_PAGES);
}
