//! Sections 7, 13 and 25: where mappings go, the heap, and limits.

use vmadiff_contract::{Call, Errno::*, PAGE_SIZE};

use super::dice::Dice;
use super::mapping::{ANON, TASK_SIZE, mmap};
use super::*;

fn brk(addr: u64, is: u64) -> Step {
    Step::new(Call::Brk { addr }).is(is)
}

/// From the top down, exactly; a hint where there is room; no replacing.
#[test]
fn placement() {
    let hint = |page: u64, is: u64| mmap(at(page) + 7, 2 * 4096, NONE, ANON, -1, 0).is(at(is));
    let exact = ANON | MapFlags::FIXED_NOREPLACE;
    let exact = |page: u64, pages: u64| mmap(at(page), pages * 4096, NONE, exact, -1, 0);
    let program = [
        map(4, 4),
        hint(2, 2),
        hint(1, 30),
        hint(7, 28),
        exact(8, 1).is(at(8)),
    ];
    check(&program, "..BBAAAAD...................CCCC");
    check(
        &[map(4, 4), exact(3, 2).fails(EEXIST), exact(0, 4).is(at(0))],
        "BBBBAAAA",
    );
    let low = mmap(1, 4096, NONE, ANON, -1, 0);
    check(
        &[low.clone().is(at(31))],
        "...............................A",
    );
    let low_hint = mmap(4096, 4096, NONE, ANON, -1, 0).is(0x1_0000);
    check(&[low_hint], "");
}

/// Stacks keep a gap below them from whoever does not insist.
#[test]
fn placement_below_a_stack() {
    let config = Config {
        stack_guard_gap: 2,
        ..Config::default()
    };
    let stack = map_with(28, 2, RW, PRIVATE | MapFlags::GROWSDOWN, -1);
    let two = |is| mmap(0, 2 * 4096, RO, ANON, -1, 0).is(at(is));
    let program = [
        stack,
        two(30),
        two(24),
        two(22),
        map_with(26, 2, RO, PRIVATE, -1),
    ];
    check_in(&config, 1, &program, "......................CCCCCCAABB");
}

/// Among hundreds of areas a place is the highest that has room, whatever was asked for before.
#[test]
fn placement_among_many_areas() {
    let config = Config {
        max_map_count: 10_000,
        mmap_base: 6000 * PAGE_SIZE,
        ..Config::default()
    };
    let reference = Reference::new(&config, Arc::new(Log::default()));
    let call = |call| reference.call(TaskId(1), &call, Fail::NONE);
    let pages = (config.mmap_base / PAGE_SIZE) as usize;
    let mut mapped = vec![false; pages];
    let mut dice = Dice(1);
    for nth in 0..4000_u64 {
        let len = 1 + dice.below(if nth % 3 == 0 { 9 } else { 2 }) as usize;
        let bytes = len as u64 * PAGE_SIZE;
        if nth > 500 && dice.below(3) == 0 {
            let first = pages - 1 - dice.below(900) as usize;
            let last = pages.min(first + len);
            let addr = first as u64 * PAGE_SIZE;
            let answer = call(Call::Munmap { addr, len: bytes });
            assert_eq!(answer, Outcome::Value(0));
            mapped[first..last].fill(false);
            continue;
        }
        // Neighbours differ, so that none joins the other.
        let prot = if nth % 2 == 0 { RW } else { RO };
        let free = |at: &usize| !mapped[*at..at + len].contains(&true);
        let highest = (0..=pages - len).rev().find(free).expect("room");
        let (addr, off, fd) = (0, 0, Fd(-1));
        let flags = ANON;
        let placed = call(Call::Mmap {
            addr,
            len: bytes,
            prot,
            flags,
            fd,
            off,
        });
        assert_eq!(
            placed,
            Outcome::Value(highest as u64 * PAGE_SIZE),
            "call {nth}"
        );
        mapped[highest..highest + len].fill(true);
    }
    assert!(
        reference.machine.read().world.mms[0].areas.noted().0 > 0,
        "no search was long"
    );
}

/// When nothing is free below the base the search goes on above a third of everything.
#[test]
fn placement_from_the_bottom() {
    let all = Config::WINDOW_PAGES * PAGE_SIZE + Config::WINDOW;
    let third = (TASK_SIZE / 3).next_multiple_of(4096);
    let program = [
        mmap(0, all, NONE, ANON, -1, 0).is(third),
        mmap(0, all, NONE, ANON, -1, 0).is(third + all),
    ];
    check(&program, "");
    let legacy = Config {
        legacy_layout: true,
        ..Config::default()
    };
    let base = legacy.mmap_base;
    check_in(
        &legacy,
        1,
        &[
            mmap(0, 1, NONE, ANON, -1, 0).is(base),
            mmap(0, 1, NONE, ANON, -1, 0).is(base + 4096),
        ],
        "",
    );
}

/// RLIMIT_AS counts off what is replaced, and is asked before anything is unmapped.
#[test]
fn address_space_limits() {
    let config = Config {
        rlimit_as: 4 * 4096 + 4095,
        ..Config::default()
    };
    check_in(
        &config,
        1,
        &[map(0, 4), map(2, 2), map(3, 2).fails(ENOMEM).frees(&[])],
        "AAAA",
    );
    let config = Config {
        rlimit_data: 2 * 4096,
        ..Config::default()
    };
    let ro = map_with(4, 4, RO, PRIVATE, -1);
    let program = [
        map(0, 2),
        map(2, 1).fails(ENOMEM),
        ro,
        protect(4, 1, RW).fails(ENOMEM),
    ];
    check_in(&config, 1, &program, "AA..BBBB");
}

/// The heap: its end moves, and never an error.
#[test]
fn heap() {
    let start = Config::default().start_brk;
    let to = |pages: u64| start + pages * 4096;
    let program = [
        brk(0, start),
        brk(start - 1, start),
        brk(start + 1, start + 1),
        brk(to(3) - 5, to(3) - 5),
        brk(to(3), to(3)),
        brk(to(1), to(1)),
        brk(u64::MAX, to(1)),
    ];
    let seen = check(&program, "");
    assert_eq!(
        (seen.vmas[0].start, seen.vmas[0].end, seen.committed),
        (start, to(1), 1)
    );
    // A page stays free above the heap.
    let page = (to(4) - at(0)) / 4096;
    let seen = check(&[map(page, 1), brk(to(3), to(3)), brk(to(4), to(3))], "");
    assert_eq!(seen.mms[0].brk, to(3));
    // The limit is in bytes; the same page asks for nothing more.
    let config = Config {
        rlimit_data: 4097,
        ..Config::default()
    };
    let program = [
        brk(start + 4097, start),
        brk(to(1), to(1)),
        brk(to(1) + 1, to(1)),
    ];
    check_in(&config, 1, &program, "");
}
