//! The runner itself: calls reach the kernel, and what they did is seen.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use vmadiff_contract::{Call, Config, Errno, Fd, MapFlags, Outcome, Prot, SegvCode, TaskId};
use vmadiff_linux::{Answer, Linux, Look, Run};

const WINDOW: u64 = Config::WINDOW;
const PAGE: u64 = 4096;
const RW: Prot = Prot::READ.union(Prot::WRITE);

fn anon(addr: u64, pages: u64, prot: Prot, more: MapFlags) -> Call {
    let flags = MapFlags::PRIVATE | MapFlags::ANONYMOUS | more;
    Call::Mmap {
        addr,
        len: pages * PAGE,
        prot,
        flags,
        fd: Fd(-1),
        off: 0,
    }
}

fn value(value: u64) -> Answer {
    Answer::Known(Outcome::Value(value))
}

fn segv(code: SegvCode) -> Answer {
    Answer::Known(Outcome::Segv(code))
}

/// Runs calls, each with what is expected of it, in both ways of looking; none: no agents here.
fn check(calls: &[(u8, Call, Answer)]) -> Option<Run> {
    let mut linux = match Linux::new() {
        Ok(linux) => linux,
        Err(why) => {
            eprintln!("skipped: {why}");
            return None;
        }
    };
    let config = Config {
        nodes: linux.machine().nodes,
        ..Config::default()
    };
    let program: Vec<_> = calls
        .iter()
        .map(|&(task, call, _)| (TaskId(task), call))
        .collect();
    let mut each = linux.run(&config, &program, Look::EachCall).unwrap();
    let last = linux.run(&config, &program, Look::AtEnd).unwrap();
    assert_eq!(each.answers, last.answers, "looking changes nothing");
    assert_eq!(each.seen.len(), calls.len());
    for (index, (_, call, expected)) in calls.iter().enumerate() {
        assert_eq!(each.answers[index], *expected, "call {index}, {call:x?}");
    }
    each.seen.reverse();
    each.seen.truncate(1);
    Some(each)
}

#[test]
fn calls_reach_the_kernel_and_their_traces_are_seen() {
    let top = WINDOW + 31 * PAGE;
    let run = check(&[
        (1, anon(0, 2, RW, MapFlags::empty()), value(top - PAGE)),
        (
            1,
            Call::Store {
                addr: top,
                value: 7,
            },
            value(0),
        ),
        (2, Call::Load { addr: top }, value(7)),
        (1, Call::Load { addr: WINDOW }, segv(SegvCode::MapErr)),
        (
            1,
            Call::Mincore {
                addr: top - PAGE,
                len: 2 * PAGE,
            },
            value(2),
        ),
        (
            1,
            Call::Munmap { addr: 1, len: PAGE },
            Answer::Known(Outcome::Errno(Errno::EINVAL)),
        ),
    ]);
    let Some(run) = run else { return };
    let [space] = &run.seen[0].spaces[..] else {
        panic!("one address space")
    };
    assert_eq!(space.bytes, [(top, 7)]);
    assert_eq!(space.areas.len(), 1);
    assert_eq!(
        (space.areas[0].start, space.areas[0].end),
        (top - PAGE, top + PAGE)
    );
    assert_eq!(space.pages.len(), 1);
    assert_eq!(space.totals, [2, 0, 2, 0, 0]);
}

#[test]
fn an_instruction_fetch_needs_permission_and_leaves_nothing_behind() {
    let (page, exec) = (WINDOW, Prot::READ | Prot::EXEC);
    check(&[
        (1, anon(page, 2, RW, MapFlags::FIXED), value(page)),
        (
            1,
            Call::Store {
                addr: page,
                value: 7,
            },
            value(0),
        ),
        (1, Call::Exec { addr: page }, segv(SegvCode::AccErr)),
        (
            1,
            Call::Mprotect {
                addr: page,
                len: PAGE,
                prot: exec,
            },
            value(0),
        ),
        (1, Call::Exec { addr: page }, value(0)),
        (1, Call::Exec { addr: page + PAGE }, segv(SegvCode::AccErr)),
        (
            1,
            Call::Exec {
                addr: page + 2 * PAGE,
            },
            segv(SegvCode::MapErr),
        ),
        (1, Call::Load { addr: page }, value(7)),
    ]);
}

#[test]
fn addresses_that_nobody_can_map_are_mapped_by_nobody() {
    for addr in [
        0,
        (1 << 47) - 4096,
        1 << 47,
        1 << 60,
        u64::MAX - 8,
        u64::MAX,
    ] {
        check(&[
            (1, Call::Load { addr }, segv(SegvCode::MapErr)),
            (1, Call::Store { addr, value: 1 }, segv(SegvCode::MapErr)),
            (1, Call::Exec { addr }, segv(SegvCode::MapErr)),
        ]);
    }
}

#[test]
fn what_stands_in_pages_that_may_not_be_read_is_seen() {
    let store = |addr, value| (1, Call::Store { addr, value }, self::value(0));
    let none = Call::Mprotect {
        addr: WINDOW,
        len: PAGE,
        prot: Prot::empty(),
    };
    let fixed = anon(WINDOW, 3, RW, MapFlags::FIXED);
    let run = check(&[
        (1, fixed, value(WINDOW)),
        store(WINDOW + 9, 7),
        store(WINDOW + 2 * PAGE, 8),
        (1, none, value(0)),
    ]);
    if let Some(run) = run {
        let seen = [(WINDOW + 9, 7), (WINDOW + 2 * PAGE, 8)];
        assert_eq!(run.seen[0].spaces[0].bytes, seen);
    }
}

#[test]
fn a_fork_is_a_process_of_its_own() {
    check(&[
        (1, anon(WINDOW, 1, RW, MapFlags::FIXED), value(WINDOW)),
        (
            1,
            Call::Store {
                addr: WINDOW,
                value: 7,
            },
            value(0),
        ),
        (2, Call::Fork, value(3)),
        (
            3,
            Call::Store {
                addr: WINDOW,
                value: 8,
            },
            value(0),
        ),
        (1, Call::Load { addr: WINDOW }, value(7)),
        (3, Call::Load { addr: WINDOW }, value(8)),
        (3, Call::Exit, value(0)),
        (3, Call::Exit, Answer::Known(Outcome::NoTask)),
        (1, Call::Load { addr: WINDOW }, value(7)),
    ]);
}

#[test]
fn the_heap_starts_where_the_configuration_says() {
    let start = Config::default().start_brk;
    check(&[
        (1, Call::Brk { addr: 0 }, value(start)),
        (1, Call::Brk { addr: start + PAGE }, value(start + PAGE)),
        (
            1,
            Call::Store {
                addr: start,
                value: 1,
            },
            value(0),
        ),
        (1, Call::Brk { addr: start - PAGE }, value(start + PAGE)),
    ]);
}
