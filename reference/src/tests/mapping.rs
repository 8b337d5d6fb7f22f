//! Sections 5, 6, 8 and 14: mapping, unmapping, protecting, and the order of their errors.

use vmadiff_contract::{Access, Call, FileKind, VmFlags};

use super::*;
use Errno::*;

pub(super) fn mmap(addr: u64, len: u64, prot: Prot, flags: MapFlags, fd: i32, off: u64) -> Step {
    Step::new(Call::Mmap {
        addr,
        len,
        prot,
        flags,
        fd: Fd(fd),
        off,
    })
}

fn open(access: Access, pages: u64, fd: u64) -> Step {
    let size = pages * 4096;
    Step::new(Call::Open {
        kind: FileKind::Plain,
        access,
        size,
    })
    .is(fd)
}

pub(super) const ANON: MapFlags = MapFlags::PRIVATE.union(MapFlags::ANONYMOUS);
pub(super) const TASK_SIZE: u64 = (1 << 47) - 4096;

/// Whatever part is unmapped, the old VMA survives, with the low part if both remain.
#[test]
fn munmap_frees_the_piece() {
    check(&[map(0, 6), unmap(2, 2).frees(&[3])], "AA..BB");
    check(&[map(0, 6), unmap(4, 2).frees(&[2])], "AAAA");
    check(&[map(0, 6), unmap(0, 2).frees(&[2])], "..AAAA");
    check(&[map(0, 6), unmap(0, 6).frees(&[1])], "");
    check(
        &[map(0, 4), map(6, 4), unmap(2, 6).frees(&[3, 4])],
        "AA......BB",
    );
    check(&[unmap(0, 4).frees(&[])], "");
}

#[test]
fn munmap_refuses() {
    let munmap = |addr, len| Step::new(Call::Munmap { addr, len }).fails(EINVAL);
    check(
        &[
            munmap(at(0) + 1, 4096),
            munmap(at(0), 0),
            munmap(TASK_SIZE + 4096, 1),
        ],
        "",
    );
    check(
        &[
            munmap(at(0), TASK_SIZE - at(0) + 1),
            munmap(at(0), u64::MAX),
        ],
        "",
    );
    let all = Step::new(Call::Munmap {
        addr: 0,
        len: TASK_SIZE,
    });
    check(&[map(0, 4), all.frees(&[1])], "");
}

/// A hole in the middle needs one VMA more; cutting at one side does not count (section 14).
#[test]
fn munmap_at_the_limit() {
    let limited = Config {
        max_map_count: 1,
        ..Config::default()
    };
    check_in(
        &limited,
        1,
        &[map(0, 6), unmap(2, 2).fails(ENOMEM).frees(&[])],
        "AAAAAA",
    );
    check_in(&limited, 1, &[map(0, 6), unmap(2, 4).frees(&[2])], "AA");
    // The second cut runs out of memory: the first remains.
    let program = [
        map(0, 4),
        map_with(4, 4, RO, PRIVATE, -1),
        unmap(2, 4).without(2).fails(ENOMEM),
    ];
    check(&program, "AACCBBBB");
}

/// One VMA more than the limit can be had; then not even one that would merge.
#[test]
fn mmap_at_the_limit() {
    let limited = Config {
        max_map_count: 1,
        ..Config::default()
    };
    let program = [map(0, 2), map(4, 2), map(6, 2).fails(ENOMEM)];
    check_in(&limited, 1, &program, "AA..BB");
    let none = Config {
        max_map_count: 0,
        ..Config::default()
    };
    check_in(&none, 1, &[map(0, 2), map(2, 2).fails(ENOMEM)], "AA");
}

/// Each call is wrong in all that the later ones check, too.
#[test]
fn mmap_checks_in_order() {
    let odd = ANON | MapFlags::FIXED;
    check(
        &[
            mmap(at(0), 0, RW, MapFlags::FIXED, 9, 1).fails(EINVAL),
            mmap(at(0), 0, RW, MapFlags::FIXED, 9, 0).fails(EBADF),
            mmap(1, 0, RW, odd, 9, 0).fails(EINVAL),
            mmap(1, u64::MAX, RW, odd, 9, 0).fails(ENOMEM),
            mmap(1, TASK_SIZE + 1, RW, odd, 9, 0).fails(ENOMEM),
            mmap(TASK_SIZE + 1, 4096, RW, odd, 9, 0).fails(ENOMEM),
            mmap(1, 4096, RW, odd, 9, 0).fails(EINVAL),
            mmap(0, 4096, RW, odd, 9, 0).fails(EPERM),
            mmap(0xf000, 4096, RW, odd, 9, 0).fails(EPERM),
            mmap(at(0), 4096, RW, MapFlags::ANONYMOUS, -1, 0).fails(EINVAL),
            mmap(
                at(0),
                1,
                RW,
                MapFlags::SHARED_VALIDATE | MapFlags::ANONYMOUS,
                -1,
                0,
            )
            .fails(EINVAL),
            mmap(
                at(0),
                1,
                RW,
                MapFlags::SHARED | MapFlags::ANONYMOUS | MapFlags::GROWSDOWN,
                -1,
                0,
            )
            .fails(EINVAL),
        ],
        "",
    );
}

#[test]
fn mmap_of_files_checks_in_order() {
    let strange = MapFlags::from_bits_retain(1 << 21);
    let validate = MapFlags::SHARED_VALIDATE;
    let far = (i64::MAX as u64).next_multiple_of(4096);
    check(
        &[
            open(Access::WRITE, 4, 3),
            open(Access::READ, 4, 4),
            mmap(0, 4096, RW, validate | strange, 3, far).fails(EOVERFLOW),
            mmap(0, 4096, RW, validate | strange, 4, 0).fails(EOPNOTSUPP),
            mmap(at(0), 4096, RO, validate | MapFlags::FIXED_NOREPLACE, 4, 0).fails(EOPNOTSUPP),
            mmap(0, 4096, RW, MapFlags::SHARED | strange, 4, 0).fails(EACCES),
            mmap(0, 4096, RO, MapFlags::SHARED, 3, 0).fails(EACCES),
            mmap(0, 4096, RO, MapFlags::PRIVATE | MapFlags::GROWSDOWN, 3, 0).fails(EACCES),
            mmap(0, 4096, RO, MapFlags::PRIVATE | MapFlags::GROWSDOWN, 4, 0).fails(EINVAL),
            mmap(0, 4096, RO, strange, 4, 0).fails(EINVAL),
            mmap(
                at(0),
                4096,
                RO,
                MapFlags::SHARED | MapFlags::FIXED | strange,
                4,
                0,
            )
            .is(at(0)),
            protect(0, 1, RW).fails(EACCES),
        ],
        "A",
    );
}

/// A shared mapping of what cannot be written keeps MAYSHARE and loses SHARED and MAYWRITE.
#[test]
fn flags_of_a_read_only_file() {
    let shared = MapFlags::SHARED | MapFlags::FIXED;
    let seen = check(
        &[open(Access::READ, 1, 3), map_with(0, 1, RO, shared, 3)],
        "A",
    );
    let may = VmFlags::MAYREAD | VmFlags::MAYEXEC | VmFlags::MAYSHARE;
    assert_eq!(vma(&seen, 'A').flags, VmFlags::READ | may);
}

/// The commit limit is strict: the last page cannot be had, MAP_NORESERVE does not count, and a
/// mapping that is replaced is lost when the new one is refused.
#[test]
fn a_late_failure_loses_the_old_mapping() {
    let config = Config {
        commit_limit: 4,
        ..Config::default()
    };
    check_in(&config, 1, &[map(0, 3), map(4, 1).fails(ENOMEM)], "AAA");
    let old = map_with(0, 4, RO, PRIVATE, -1);
    check_in(
        &config,
        1,
        &[old.clone(), map(0, 4).fails(ENOMEM).frees(&[1])],
        "",
    );
    let waived = map_with(0, 4, RW, PRIVATE | MapFlags::NORESERVE, -1);
    check_in(&config, 1, &[waived.fails(ENOMEM)], "");
    check(
        &[old.clone(), map(0, 4).without(1).fails(ENOMEM).frees(&[1])],
        "",
    );
    let shared = (PRIVATE - MapFlags::PRIVATE) | MapFlags::SHARED;
    let program = [
        old,
        map_with(0, 4, RO, shared, -1).fails(ENOMEM).frees(&[1, 2]),
    ];
    check_in(&config, 1, &program, "");
}

#[test]
fn mprotect_refuses_in_order() {
    let both = Prot::GROWSDOWN | Prot::GROWSUP;
    let mprotect = |addr, len, prot| Step::new(Call::Mprotect { addr, len, prot });
    let odd = Prot::from_bits_retain(0x40);
    check(
        &[
            map(0, 2),
            mprotect(1, 0, odd | both).fails(EINVAL),
            mprotect(1, 0, odd).fails(EINVAL),
            mprotect(at(20), 0, odd),
            mprotect(at(20), u64::MAX, odd).fails(ENOMEM),
            mprotect(at(20), 1, odd).fails(EINVAL),
            mprotect(at(20), 1, RO).fails(ENOMEM),
            mprotect(at(0), 1, RO | Prot::GROWSDOWN).fails(EINVAL),
            mprotect(at(0), 1, RO | Prot::GROWSUP).fails(EINVAL),
        ],
        "AA",
    );
}

/// What was done before a hole stays done; equal flags do not even try to merge.
#[test]
fn mprotect_area_by_area() {
    let seen = check(
        &[map(0, 4), map(6, 2), protect(2, 6, RO).fails(ENOMEM)],
        "CCAA..BB",
    );
    assert!(!vma(&seen, 'A').flags.contains(VmFlags::WRITE));
    assert!(vma(&seen, 'B').flags.contains(VmFlags::WRITE));
    let stack = map_with(2, 4, RW, PRIVATE | MapFlags::GROWSDOWN, -1);
    let seen = check(&[stack, protect(4, 1, RO | Prot::GROWSDOWN)], "..AAAB");
    assert_eq!(vma(&seen, 'A').start, at(2));
}
