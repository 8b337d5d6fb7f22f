//! Section 12: mbind and set_mempolicy.

use vmadiff_contract::{Call, Errno::*, Mode, PolicyFlags, PolicyId};

use super::*;

fn mbind(page: u64, pages: u64, mode: Mode, nodes: u64) -> Step {
    let flags = PolicyFlags::empty();
    Step::new(Call::Mbind {
        addr: at(page),
        len: pages * 4096,
        mode,
        nodes,
        flags,
    })
}

fn bind(page: u64, pages: u64) -> Step {
    mbind(page, pages, Mode::Bind, 1)
}

fn with(mode: Mode, nodes: u64, flags: u32) -> Step {
    let flags = PolicyFlags::from_bits_retain(flags);
    Step::new(Call::Mbind {
        addr: at(0),
        len: 4096,
        mode,
        nodes,
        flags,
    })
}

const STATIC: u32 = 1 << 15;
const RELATIVE: u32 = 1 << 14;

/// Each area gets an object of its own, and the call puts the one that it made.
#[test]
fn cuts_replaces_and_merges() {
    let seen = check(&[map(0, 6), bind(2, 2)], "BBAACC");
    assert_eq!(
        (vma(&seen, 'A').policy, vma(&seen, 'B').policy),
        (Some(PolicyId(2)), None)
    );
    check(
        &[
            map(0, 6),
            bind(2, 2),
            mbind(2, 2, Mode::Default, 0).frees(&[1, 3]),
        ],
        "BBBBBB",
    );
    check(&[map(0, 6), bind(2, 2), bind(4, 2).frees(&[3])], "BBAAAA");
    let seen = check(
        &[
            map(0, 6),
            bind(0, 6),
            protect(2, 2, RO),
            mbind(0, 6, Mode::Interleave, 1),
        ],
        "BBAACC",
    );
    assert!(
        seen.vmas
            .iter()
            .all(|vma| vma.policy.is_some_and(|policy| policy.0 > 4))
    );
    // New memory has no policy, and does not merge with what has one.
    check(&[map(0, 2), bind(0, 2), map(2, 2)], "AABB");
}

#[test]
fn equality() {
    let same = |first: Step, second: Step, drawn| {
        let Call::Mbind {
            mode, nodes, flags, ..
        } = second.call
        else {
            unreachable!()
        };
        let second = Step::new(Call::Mbind {
            addr: at(1),
            len: 4096,
            mode,
            nodes,
            flags,
        });
        check(&[map(0, 2), first, second], drawn);
    };
    same(with(Mode::Bind, 3, 0), with(Mode::Bind, 3, 0), "AA");
    same(with(Mode::Bind, 3, 0), with(Mode::Bind, 1, 0), "AB");
    same(with(Mode::Bind, 3, 0), with(Mode::Bind, 7, 0), "AA");
    same(
        with(Mode::Bind, 3, STATIC),
        with(Mode::Bind, 7, STATIC),
        "AB",
    );
    same(with(Mode::Bind, 1, STATIC), with(Mode::Bind, 1, 0), "AB");
    same(
        with(Mode::Bind, 5, RELATIVE),
        with(Mode::Bind, 5, RELATIVE),
        "AA",
    );
    same(
        with(Mode::Preferred, 3, 0),
        with(Mode::Preferred, 1, 0),
        "AA",
    );
    same(with(Mode::Preferred, 0, 0), with(Mode::Local, 0, 0), "AA");
    same(with(Mode::Bind, 1, 0), with(Mode::Interleave, 1, 0), "AB");
}

#[test]
fn refuses() {
    let odd = |addr, len, mode| {
        Step::new(Call::Mbind {
            addr,
            len,
            mode,
            nodes: 0,
            flags: PolicyFlags::empty(),
        })
    };
    check(
        &[
            with(Mode::Other(5), 1, 8).fails(EINVAL),
            with(Mode::Bind, 1, STATIC | RELATIVE).fails(EINVAL),
            with(Mode::Bind, 1, 8).fails(EINVAL),
            with(Mode::Bind, 1, 4).fails(EPERM),
            odd(1, 0, Mode::Bind).fails(EINVAL),
            odd(at(0), u64::MAX - 8192, Mode::Bind).fails(EINVAL),
            odd(at(0), u64::MAX, Mode::Bind),
            with(Mode::Default, 1, 0).fails(EINVAL),
            with(Mode::Preferred, 0, STATIC).fails(EINVAL),
            with(Mode::Local, 1, 0).fails(EINVAL),
            with(Mode::Local, 0, RELATIVE).fails(EINVAL),
            with(Mode::Bind, 0, 0).fails(EINVAL),
            with(Mode::Bind, 1, 0).without(1).fails(ENOMEM),
            with(Mode::Bind, 4, 0).fails(EINVAL),
            with(Mode::Bind, 4, RELATIVE).fails(EFAULT),
            with(Mode::Default, 0, 0).fails(EFAULT),
        ],
        "",
    );
}

/// A hole at the end matters only if nothing follows at all; DEFAULT minds only the first.
#[test]
fn holes() {
    let areas = vec![map(0, 2), map(4, 2)];
    let run = |step: Step, drawn| check(&[areas.clone(), vec![step]].concat(), drawn);
    run(bind(0, 6).fails(EFAULT), "AA..BB");
    run(bind(4, 4).fails(EFAULT), "AA..BB");
    run(bind(1, 3), "CA..BB");
    run(bind(3, 2).fails(EFAULT), "AA..BB");
    run(mbind(3, 2, Mode::Default, 0).fails(EFAULT), "AA..BB");
    run(mbind(0, 8, Mode::Default, 0), "AA..BB");
}

/// What was cut before memory ran out stays cut.
#[test]
fn no_memory() {
    let area = map(0, 6);
    // 1 the policy, 2 the lower cut, 3 the upper one, 4 the area's copy.
    check(
        &[area.clone(), bind(2, 2).without(2).fails(ENOMEM)],
        "AAAAAA",
    );
    check(
        &[area.clone(), bind(2, 2).without(3).fails(ENOMEM)],
        "BBAAAA",
    );
    let seen = check(
        &[area.clone(), bind(2, 2).without(4).fails(ENOMEM)],
        "BBAACC",
    );
    assert!(vma(&seen, 'A').policy.is_none());
    // A cut copies the policy: the new area is freed if that fails.
    check(
        &[
            area,
            bind(0, 6),
            protect(2, 2, RO).without(2).fails(ENOMEM).frees(&[2]),
        ],
        "AAAAAA",
    );
}

#[test]
fn the_task_s_own() {
    let set = |mode, nodes, flags| {
        let flags = PolicyFlags::from_bits_retain(flags);
        Step::new(Call::SetMempolicy { mode, nodes, flags })
    };
    let seen = check(
        &[
            set(Mode::Bind, 1, 0),
            set(Mode::Bind, 2, STATIC),
            fork(3),
            set(Mode::Default, 0, 0),
        ],
        "",
    );
    let own: Vec<_> = seen
        .tasks
        .iter()
        .map(|task| task.policy.map(|policy| policy.0))
        .collect();
    assert_eq!(own, [None, None, Some(3)]);
    check(
        &[
            set(Mode::Bind, 1, 1).fails(EINVAL),
            set(Mode::Bind, 4, 0).fails(EINVAL),
        ],
        "",
    );
    check(&[set(Mode::Bind, 1, 0).without(1).fails(ENOMEM)], "");
}
