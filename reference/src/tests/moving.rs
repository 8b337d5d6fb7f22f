//! Section 9: mremap.

use vmadiff_contract::{Access, Call, Errno::*, FileKind, MoveFlags, VmFlags};

use super::*;

const MAY: MoveFlags = MoveFlags::MAYMOVE;
const FIXED: MoveFlags = MoveFlags::MAYMOVE.union(MoveFlags::FIXED);

/// Pages `page` to `page + old` become `new` pages.
fn resize(page: u64, old: u64, new: u64, flags: MoveFlags) -> Step {
    remap(page, old, new, flags, 0)
}

fn remap(page: u64, old: u64, new: u64, flags: MoveFlags, to: u64) -> Step {
    let (addr, old_len, new_len, new_addr) = (at(page), old * 4096, new * 4096, at(to));
    let is = if flags == FIXED { new_addr } else { addr };
    Step::new(Call::Mremap {
        addr,
        old_len,
        new_len,
        flags,
        new_addr,
    })
    .is(is)
}

#[test]
fn shrinks() {
    check(
        &[map(0, 6), resize(0, 6, 2, MoveFlags::empty()).frees(&[2])],
        "AA",
    );
    check(
        &[map(0, 6), resize(1, 3, 1, MoveFlags::empty()).frees(&[3])],
        "AA..BB",
    );
    // The address need not be mapped, and equal lengths ask for nothing.
    check(&[map(4, 2), resize(0, 6, 1, MAY), resize(9, 1, 1, MAY)], "");
}

/// Room behind is enough: no guard gap, and no merging with what is touched then.
#[test]
fn grows_in_place() {
    let seen = check(
        &[map(0, 2), map(4, 2), resize(0, 2, 4, MoveFlags::empty())],
        "AAAABB",
    );
    assert_eq!((seen.mms[0].total_pages, seen.committed), (6, 6));
    check(
        &[
            map(0, 2),
            map(4, 2),
            resize(0, 2, 5, MoveFlags::empty()).fails(ENOMEM),
        ],
        "AA..BB",
    );
    check(
        &[map(0, 3), resize(0, 2, 3, MoveFlags::empty()).fails(ENOMEM)],
        "AAA",
    );
}

/// A faulted source keeps its offsets, its pages and its anon_vma at the new place.
#[test]
fn moves() {
    let program = [
        map(0, 2),
        store(1, 7),
        remap(0, 2, 3, FIXED, 8).frees(&[1]),
        load(9, 7),
        load(10, 0),
    ];
    let seen = check(&program, "........BBB");
    assert_eq!(vma(&seen, 'B').pgoff, at(0) / 4096);
    assert_eq!(
        (seen.anons, seen.mms[0].rss_anon, seen.committed),
        (1, 1, 3)
    );
    // An unfaulted one takes the offset of its new place, and may merge there.
    let seen = check(
        &[map(0, 2), map(8, 2), remap(0, 2, 2, FIXED, 10).frees(&[1])],
        "........BBBB",
    );
    assert_eq!(vma(&seen, 'B').pgoff, at(8) / 4096);
}

/// The charge moves along and stands again on both pieces that remain.
#[test]
fn a_middle_moves() {
    let seen = check(
        &[
            map(0, 6),
            store(0, 1),
            remap(2, 2, 2, FIXED, 10).frees(&[4]),
        ],
        "AA..CC....BB",
    );
    assert!(
        ['A', 'B', 'C']
            .into_iter()
            .all(|v| vma(&seen, v).flags.contains(VmFlags::ACCOUNT))
    );
    assert_eq!((seen.committed, seen.mms[0].total_pages), (6, 6));
}

/// An unfaulted area can be merged with its own moved tail.
#[test]
fn merges_with_itself() {
    let seen = check(&[map(0, 2), remap(1, 1, 2, FIXED, 2).frees(&[3])], "A.BB");
    assert_eq!(seen.committed, 3);
}

/// The destination is gone before the source is looked at; the limit is asked before that.
#[test]
fn fixed_unmaps_first() {
    check(
        &[
            map(8, 2),
            remap(0, 2, 2, FIXED, 8).fails(EFAULT).frees(&[1]),
        ],
        "",
    );
    check(
        &[
            map(0, 4),
            map(8, 2),
            remap(0, 6, 1, FIXED, 8).frees(&[3, 4, 1]),
        ],
        "........BB",
    );
    let limited = |n| Config {
        max_map_count: n,
        ..Config::default()
    };
    let program = |is: Step| [map(0, 2), map(8, 2), is];
    let refused = remap(0, 2, 2, FIXED, 8).fails(ENOMEM).frees(&[]);
    check_in(&limited(7), 1, &program(refused), "AA......BB");
    check_in(
        &limited(8),
        1,
        &program(remap(0, 2, 2, FIXED, 8)),
        "........CC",
    );
    let moved = resize(0, 2, 3, MAY).fails(ENOMEM);
    check_in(
        &limited(5),
        1,
        &[
            map(0, 2),
            map(2, 1),
            map_with(3, 1, RO, PRIVATE, -1),
            moved.clone(),
        ],
        "AAAB",
    );
}

#[test]
fn refuses_in_order() {
    let low = Call::Mremap {
        addr: at(0),
        old_len: 4096,
        new_len: 4096,
        flags: FIXED,
        new_addr: 0,
    };
    let odd = MoveFlags::from_bits_retain(4);
    let wide = Call::Mremap {
        addr: at(0),
        old_len: 1,
        new_len: u64::MAX,
        flags: MAY,
        new_addr: 0,
    };
    check(
        &[
            map(0, 2),
            resize(0, 1, 1, odd).fails(EINVAL),
            resize(0, 1, 1, MoveFlags::FIXED).fails(EINVAL),
            resize(0, 1, 0, MAY).fails(EINVAL),
            Step::new(wide).fails(EINVAL),
            remap(0, 2, 2, FIXED, 1).fails(EINVAL),
            resize(0, 0, 1, MAY).fails(EINVAL),
            resize(1, 2, 3, MAY).fails(EFAULT),
            resize(4, 1, 2, MAY).fails(EFAULT),
            Step::new(low).fails(EPERM),
        ],
        "AA",
    );
}

/// Old length 0: a second mapping of the same shared pages.
#[test]
fn duplicates_shared_memory() {
    let shared = (PRIVATE - MapFlags::PRIVATE) | MapFlags::SHARED;
    let program = [
        map_with(0, 2, RW, shared, -1),
        store(1, 7),
        remap(0, 0, 2, FIXED, 8).frees(&[]),
        load(9, 7),
    ];
    let seen = check(&program, "AA......BB");
    assert_eq!((seen.files[0].refs, seen.committed), (2, 2));
}

/// What is locked counts until it is unmapped; the new tail is populated.
#[test]
fn locked_memory() {
    let config = Config {
        rlimit_memlock: 4 * 4096,
        ..Config::default()
    };
    let locked = map_with(0, 2, RW, PRIVATE | MapFlags::LOCKED, -1);
    let program = [
        locked.clone(),
        resize(0, 2, 5, MAY).fails(EAGAIN),
        remap(0, 2, 4, FIXED, 8),
    ];
    let seen = check_in(&config, 1, &program, "........BBBB");
    assert_eq!((seen.mms[0].locked_pages, seen.pages.len()), (4, 4));
    let seen = check_in(
        &config,
        1,
        &[locked, resize(0, 2, 3, MoveFlags::empty())],
        "AAA",
    );
    assert_eq!((seen.mms[0].locked_pages, seen.pages.len()), (3, 3));
}

/// Without memory for the copy nothing is moved; without memory to cut the source it stays, empty
/// and without its charge.
#[test]
fn no_memory() {
    let faulted = vec![map(0, 4), store(0, 1), store(1, 7)];
    for n in [1, 2] {
        let step = remap(1, 2, 2, FIXED, 8).without(n).fails(ENOMEM);
        let seen = check(&[faulted.clone(), vec![step, load(1, 7)]].concat(), "AAAA");
        assert_eq!((seen.committed, seen.mms[0].total_pages), (4, 4));
    }
    let step = remap(1, 2, 2, FIXED, 8).without(3);
    let seen = check(
        &[faulted, vec![step, load(1, 0), load(8, 7)]].concat(),
        "AAAA....BB",
    );
    assert!(!vma(&seen, 'A').flags.contains(VmFlags::ACCOUNT));
    assert_eq!((seen.committed, seen.mms[0].total_pages), (2, 6));
}

/// The driver hears of the copy and of the end of what was copied.
#[test]
fn drivers() {
    let open = Call::Open {
        kind: FileKind::WithClose,
        access: Access::all(),
        size: 4 * 4096,
    };
    let mapped = map_with(0, 2, RW, MapFlags::SHARED | MapFlags::FIXED, 3);
    let seen = check(
        &[
            Step::new(open).is(3),
            mapped,
            remap(0, 2, 2, FIXED, 2).frees(&[1]),
            load(3, 0xa1),
        ],
        "..BB",
    );
    assert_eq!(seen.files[0].refs, 2);
}
