//! Section 11: madvise.

use vmadiff_contract::{Access, Advice, Call, Errno::*, FileKind, VmFlags};

use super::*;

fn advise(page: u64, pages: u64, advice: Advice) -> Step {
    Step::new(Call::Madvise {
        addr: at(page),
        len: pages * 4096,
        advice,
    })
}

pub(super) fn lock(page: u64, pages: u64) -> Step {
    Step::new(Call::Mlock {
        addr: at(page),
        len: pages * 4096,
    })
}

pub(super) fn open(kind: FileKind, access: Access) -> Step {
    Step::new(Call::Open {
        kind,
        access,
        size: 4 * 4096,
    })
    .is(3)
}

const SHARED: MapFlags = MapFlags::SHARED.union(MapFlags::FIXED);
const COPY: MapFlags = MapFlags::PRIVATE.union(MapFlags::FIXED);

#[test]
fn advice_cuts_and_merges() {
    let seen = check(&[map(0, 6), advise(2, 2, Advice::Random)], "BBAACC");
    assert!(vma(&seen, 'A').flags.contains(VmFlags::RAND_READ));
    check(
        &[
            map(0, 6),
            advise(2, 2, Advice::Random),
            advise(2, 2, Advice::Normal).frees(&[1, 3]),
        ],
        "BBBBBB",
    );
    let seen = check(
        &[
            map(0, 1),
            advise(0, 1, Advice::Random),
            advise(0, 1, Advice::Sequential),
        ],
        "A",
    );
    let reads = VmFlags::RAND_READ | VmFlags::SEQ_READ;
    assert_eq!(vma(&seen, 'A').flags & reads, VmFlags::SEQ_READ);
    let pairs = [
        (Advice::DontFork, Advice::DoFork),
        (Advice::DontDump, Advice::DoDump),
        (Advice::WipeOnFork, Advice::KeepOnFork),
    ];
    for (there, back) in pairs {
        check(&[map(0, 4), advise(0, 2, there)], "AABB");
        check(
            &[map(0, 4), advise(0, 2, there), advise(0, 2, back)],
            "BBBB",
        );
    }
}

/// No room in the map is one error, no memory another.
#[test]
fn advice_that_cannot_cut() {
    let full = |n| Config {
        max_map_count: n,
        ..Config::default()
    };
    let middle = advise(2, 2, Advice::DontDump);
    check_in(
        &full(1),
        1,
        &[map(0, 6), middle.clone().fails(ENOMEM)],
        "AAAAAA",
    );
    check_in(
        &full(2),
        1,
        &[map(0, 6), middle.clone().fails(ENOMEM)],
        "BBAAAA",
    );
    check(
        &[map(0, 6), middle.clone().without(1).fails(EAGAIN)],
        "AAAAAA",
    );
    check(&[map(0, 6), middle.without(2).fails(EAGAIN)], "BBAAAA");
}

#[test]
fn advice_checks_in_order() {
    let madvise = |addr, len, advice| Step::new(Call::Madvise { addr, len, advice });
    check(
        &[
            madvise(1, 0, Advice::Other(3)).fails(EINVAL),
            madvise(1, 0, Advice::Normal).fails(EINVAL),
            madvise(at(0), u64::MAX, Advice::Normal).fails(EINVAL),
            madvise(at(0), u64::MAX - 8192, Advice::Normal).fails(EINVAL),
            madvise(at(0), 0, Advice::Normal),
            madvise(at(0), 1, Advice::Normal).fails(ENOMEM),
        ],
        "",
    );
}

/// Holes are skipped, and told at the end; an error of an area is told at once.
#[test]
fn advice_over_holes() {
    let pages = vec![map(1, 1), map(3, 1), store(1, 1), store(3, 1)];
    let seen = check(
        &[
            pages.clone(),
            vec![advise(0, 5, Advice::DontNeed).fails(ENOMEM)],
        ]
        .concat(),
        ".A.B",
    );
    assert!(seen.pages.is_empty());
    let seen = check(
        &[
            pages,
            vec![lock(3, 1), advise(0, 5, Advice::DontNeed).fails(EINVAL)],
        ]
        .concat(),
        ".A.B",
    );
    assert_eq!(seen.pages.len(), 1);
}

#[test]
fn throwing_away() {
    check(
        &[
            map(0, 1),
            store(0, 7),
            advise(0, 1, Advice::DontNeed),
            load(0, 0),
        ],
        "A",
    );
    let file = open(FileKind::Plain, Access::all());
    check(
        &[
            file.clone(),
            map_with(0, 1, RW, COPY, 3),
            store(0, 7),
            advise(0, 1, Advice::DontNeed),
            load(0, 0xa0),
        ],
        "A",
    );
    check(
        &[
            file.clone(),
            map_with(0, 1, RW, SHARED, 3),
            store(0, 7),
            advise(0, 1, Advice::DontNeed),
            load(0, 7),
        ],
        "A",
    );
    // FREE keeps what is in memory and drops what is not.
    let out = Step::new(Call::Reclaim { addr: at(1) }).is(1);
    check(
        &[
            map(0, 2),
            store(0, 7),
            store(1, 8),
            out,
            advise(0, 2, Advice::Free),
            load(0, 7),
            load(1, 0),
        ],
        "AA",
    );
    check(
        &[
            file,
            map_with(0, 1, RW, COPY, 3),
            advise(0, 1, Advice::Free).fails(EINVAL),
        ],
        "A",
    );
}

/// A hole in a file goes through every mapping of whole pages, private copies aside.
#[test]
fn holes_in_files() {
    let file = open(FileKind::Plain, Access::all());
    let mapped = [
        file.clone(),
        map_with(0, 3, RW, SHARED, 3),
        map_with(4, 3, RW, COPY, 3),
        store(4, 7),
        load(5, 0xa1),
        load(0, 0xa0),
        load(2, 0xa2),
    ];
    let remove = advise(0, 2, Advice::Remove);
    let seen = check(
        &[
            &mapped[..],
            &[
                remove.clone(),
                load(0, 0),
                load(4, 7),
                load(5, 0),
                load(2, 0xa2),
            ],
        ]
        .concat(),
        "AAA.BBB",
    );
    assert_eq!(seen.file_bytes.len(), 2);
    check(&[map(0, 2), remove.clone().fails(EINVAL)], "AA");
    check(
        &[
            file.clone(),
            map_with(0, 2, RO, SHARED, 3),
            remove.clone().fails(EACCES),
        ],
        "AA",
    );
    check(
        &[
            file,
            map_with(0, 2, RW, SHARED, 3),
            lock(0, 1),
            remove.fails(EINVAL),
        ],
        "AB",
    );
}
