//! Sections 24, 27 and 28: fallocate, msync, mincore and userfaultfd.

use vmadiff_contract::{Access, Call, Errno::*, FallocFlags, FileKind, SyncFlags, VmFlags};

use super::advice::{lock, open};
use super::*;

const SHARED: MapFlags = MapFlags::SHARED.union(MapFlags::FIXED);
const COPY: MapFlags = MapFlags::PRIVATE.union(MapFlags::FIXED);

fn register(page: u64, pages: u64) -> Step {
    Step::new(Call::UffdRegister {
        addr: at(page),
        len: pages * 4096,
    })
}

#[test]
fn fallocate() {
    let falloc = |fd, flags, off, len| {
        let flags = FallocFlags::from_bits_retain(flags);
        Step::new(Call::Fallocate {
            fd: Fd(fd),
            flags,
            off,
            len,
        })
    };
    let seen = check(
        &[
            open(FileKind::Plain, Access::READ),
            falloc(9, 8, u64::MAX, 0).fails(EBADF),
            falloc(3, 8, 1 << 63, 1).fails(EINVAL),
            falloc(3, 8, 0, 0).fails(EINVAL),
            falloc(3, 8, 0, 1).fails(EOPNOTSUPP),
            falloc(3, 2, 0, 1).fails(EOPNOTSUPP),
            falloc(3, 3, 0, u64::MAX >> 1).fails(EBADF),
        ],
        "",
    );
    assert_eq!(seen.files[0].size, 4 * 4096);
    let seen = check(
        &[
            open(FileKind::Plain, Access::all()),
            falloc(3, 3, 1 << 40, 1).fails(EFBIG),
            falloc(3, 3, 0, 4097),
            falloc(3, 1, 0, 1 << 20),
            falloc(3, 0, 5, 4 * 4096),
        ],
        "",
    );
    assert_eq!(
        (seen.files[0].size, seen.file_bytes.len()),
        (4 * 4096 + 5, 2)
    );
}

#[test]
fn msync() {
    let msync = |page: u64, pages: u64, flags| {
        let flags = SyncFlags::from_bits_retain(flags);
        Step::new(Call::Msync {
            addr: at(page),
            len: pages * 4096,
            flags,
        })
    };
    let odd = Step::new(Call::Msync {
        addr: 1,
        len: 0,
        flags: SyncFlags::ASYNC,
    });
    let wrap = Step::new(Call::Msync {
        addr: at(0),
        len: u64::MAX - 8192,
        flags: SyncFlags::ASYNC,
    });
    let program = [
        map(0, 2),
        map(4, 1),
        lock(4, 1),
        msync(0, 2, 4),
        msync(0, 1, 8).fails(EINVAL),
        odd.fails(EINVAL),
        msync(0, 1, 5).fails(EINVAL),
        wrap.fails(ENOMEM),
    ];
    let more = [
        msync(9, 0, 1),
        msync(1, 4, 1).fails(ENOMEM),
        msync(1, 4, 2).fails(EBUSY),
        msync(0, 3, 1).fails(ENOMEM),
        msync(4, 0, 2),
    ];
    check(&[&program[..], &more].concat(), "AA..B");
}

/// Present pages, and those of files within their size; what is in swap is not in memory.
#[test]
fn mincore() {
    let mincore = |page: u64, pages: u64| {
        Step::new(Call::Mincore {
            addr: at(page),
            len: pages * 4096,
        })
    };
    let file = open(FileKind::Plain, Access::all());
    let out = Step::new(Call::Reclaim { addr: at(2) }).is(1);
    let program = [
        file,
        map(0, 1),
        map_with(1, 5, RW, COPY, 3),
        mincore(0, 6).is(0b01_1110),
        load(0, 0),
        mincore(0, 6).is(0b01_1111),
    ];
    let more = [
        store(2, 1),
        out,
        mincore(0, 6).is(0b01_1011),
        mincore(2, 1),
        mincore(3, 2).is(3),
        mincore(0, 7).fails(ENOMEM),
    ];
    check(&[&program[..], &more].concat(), "ABBBBB");
    let refused = |addr, len, errno| Step::new(Call::Mincore { addr, len }).fails(errno);
    check(
        &[
            refused(1, 0, EINVAL),
            refused(1 << 47, 0, ENOMEM),
            refused(at(0), u64::MAX, ENOMEM),
            mincore(0, 0),
        ],
        "",
    );
}

/// Registered pages that are missing are a signal; a store has prepared for one by then.
#[test]
fn userfaultfd() {
    let bus = |step: Step| step.gives(Outcome::Bus);
    let seen = check(
        &[
            map(0, 4),
            register(2, 2),
            load(0, 0),
            bus(load(2, 0)),
            bus(store(3, 1)),
        ],
        "BBAA",
    );
    assert_eq!((seen.pages.len(), seen.anons, seen.anon_frames), (1, 1, 0));
    let back = Step::new(Call::UffdUnregister {
        addr: at(2),
        len: 2 * 4096,
    });
    check(
        &[map(0, 4), register(2, 2), back.clone(), store(2, 1)],
        "BBBB",
    );
    check(
        &[
            map(0, 4),
            store(2, 7),
            register(2, 2),
            load(2, 7),
            fork(3),
            load(3, 0).by(3),
        ],
        "BBAA",
    );
    let seen = check(
        &[map(0, 1), map(2, 1), register(0, 4), register(0, 4)],
        "A.B",
    );
    assert!(
        seen.vmas
            .iter()
            .all(|vma| vma.flags.contains(VmFlags::UFFD_MISSING))
    );
}

#[test]
fn userfaultfd_refuses() {
    let call = |addr, len| Step::new(Call::UffdRegister { addr, len });
    let wrong = [
        call(at(0) + 1, 4096),
        call(at(0), 1),
        call(at(0), 0),
        call(0, 4096),
        call(1 << 47, 4096),
    ];
    let refused: Vec<Step> = wrong.into_iter().map(|step| step.fails(EINVAL)).collect();
    check(&refused, "");
    check(
        &[
            register(0, 1).fails(ENOMEM),
            map(4, 1),
            register(0, 4).fails(EINVAL),
        ],
        "....A",
    );
    // Every area is looked at before one is changed.
    for (kind, access, errno) in [
        (FileKind::WithClose, Access::all(), EINVAL),
        (FileKind::NoFault, Access::all(), EINVAL),
        (FileKind::Plain, Access::READ, EPERM),
    ] {
        let program = [
            open(kind, access),
            map(0, 1),
            map_with(1, 1, RO, SHARED, 3),
            register(0, 2).fails(errno),
        ];
        let seen = check(&program, "AB");
        assert!(!vma(&seen, 'A').flags.contains(VmFlags::UFFD_MISSING));
    }
}

/// A range joins a registered area behind it by the offset of its own start (section 28).
#[test]
fn userfaultfd_merges_by_the_offset_of_the_range() {
    check(&[map(0, 6), register(4, 2), register(2, 2)], "BBAAAA");
}
