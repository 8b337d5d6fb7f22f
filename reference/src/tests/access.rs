//! Sections 15 and 19 to 22: accesses, faults and stacks.

use vmadiff_contract::{Call, PageState, TaskState};

use super::*;

pub(super) fn task(seen: &Snapshot, task: u8) -> (u64, u64) {
    let TaskState {
        minor_faults,
        major_faults,
        ..
    } = *seen
        .tasks
        .iter()
        .find(|state| state.task == TaskId(task))
        .unwrap();
    (minor_faults, major_faults)
}

/// `r`, `w`, `x` as the entry allows; then `z` for the zero page, `a` for a private one, `f`, or
/// `s` for one in swap.
fn entry(page: &PageState) -> String {
    let letters = [
        ('r', page.readable),
        ('w', page.writable),
        ('x', page.executable),
    ];
    let kind = match (page.present, page.zero, page.anon) {
        (false, ..) => 's',
        (_, true, _) => 'z',
        (_, _, true) => 'a',
        _ => 'f',
    };
    letters
        .into_iter()
        .map(|(c, on)| if on { c } else { '-' })
        .chain([kind])
        .collect()
}

#[track_caller]
pub(super) fn entries(seen: &Snapshot, expected: &[&str]) {
    assert_eq!(seen.pages.iter().map(entry).collect::<Vec<_>>(), expected);
}

#[test]
fn signals() {
    let beyond = Step::new(Call::Load { addr: u64::MAX }).gives(MAPERR);
    let program = [
        load(0, 0).gives(MAPERR),
        beyond,
        map_with(0, 1, NONE, PRIVATE, -1),
        load(0, 0).gives(ACCERR),
    ];
    let seen = check(&program, "A");
    assert_eq!(task(&seen, 1), (0, 0));
    check(
        &[map_with(0, 1, RO, PRIVATE, -1), store(0, 1).gives(ACCERR)],
        "A",
    );
}

/// Write-only and exec-only memory can be read; an absent page that must not be executed is
/// populated first.
#[test]
fn odd_permissions() {
    let seen = check(&[map_with(0, 1, Prot::WRITE, PRIVATE, -1), load(0, 0)], "A");
    entries(&seen, &["r--z"]);
    let seen = check(
        &[map_with(0, 1, Prot::EXEC, PRIVATE, -1), load(0, 0), exec(0)],
        "A",
    );
    entries(&seen, &["r-xz"]);
    let seen = check(
        &[map(0, 1), exec(0).gives(ACCERR), exec(0).gives(ACCERR)],
        "A",
    );
    entries(&seen, &["r--z"]);
    assert_eq!(task(&seen, 1), (1, 0));
}

/// Loads map the zero page, without an anon_vma or a frame; stores copy.
#[test]
fn private_memory() {
    let seen = check(&[map(0, 2), load(0, 0), load(1, 0)], "AA");
    entries(&seen, &["r--z", "r--z"]);
    assert_eq!(
        (seen.anons, seen.anon_frames, seen.mms[0].rss_anon),
        (0, 0, 0)
    );
    let seen = check(
        &[map(0, 2), load(0, 0), store(0, 7), load(0, 7), store(0, 0)],
        "AA",
    );
    entries(&seen, &["rw-a"]);
    assert_eq!(
        (seen.anons, seen.anon_frames, seen.mms[0].rss_anon),
        (1, 1, 1)
    );
    assert_eq!(task(&seen, 1), (2, 0));
    assert!(seen.bytes.is_empty());
}

/// Without memory an access gets nowhere; the anon_vma stays.
#[test]
fn no_memory() {
    check(
        &[
            map(0, 1),
            store(0, 1).without(1).gives(Outcome::Oom),
            store(0, 1),
        ],
        "A",
    );
    let seen = check(
        &[map(0, 1), store(0, 1).without(2).gives(Outcome::Oom)],
        "A",
    );
    assert_eq!(
        (seen.anons, seen.anon_frames, task(&seen, 1)),
        (1, 0, (0, 0))
    );
}

/// mprotect takes the permission to write; the next store finds the page alone and keeps it.
#[test]
fn protection_of_entries() {
    let program = vec![map(0, 1), store(0, 7), protect(0, 1, NONE)];
    entries(&check(&program, "A"), &["---a"]);
    let program = [program, vec![protect(0, 1, RW), load(0, 7)]].concat();
    entries(&check(&program, "A"), &["r--a"]);
    let seen = check(&[program, vec![store(0, 8)]].concat(), "A");
    entries(&seen, &["rw-a"]);
    assert_eq!((task(&seen, 1), seen.anon_frames), ((2, 0), 1));
}

/// A stack grows to the page of the access, up to its limits (section 15).
#[test]
fn stacks() {
    let stack = map_with(20, 2, RW, PRIVATE | MapFlags::GROWSDOWN, -1);
    let seen = check(
        &[stack.clone(), store(17, 1), load(10, 0)],
        "..........AAAAAAAAAAAA",
    );
    assert_eq!(
        (
            vma(&seen, 'A').pgoff,
            seen.mms[0].stack_pages,
            seen.committed
        ),
        (at(10) / 4096, 12, 12)
    );
    let small = Config {
        rlimit_stack: 3 * 4096,
        ..Config::default()
    };
    let program = [stack.clone(), store(18, 1).gives(MAPERR), store(19, 1)];
    check_in(&small, 1, &program, "...................AAA");
    // The anon_vma that was prepared stays.
    let seen = check_in(
        &small,
        1,
        &[stack.clone(), load(18, 0).gives(MAPERR)],
        "....................AA",
    );
    assert_eq!(seen.anons, 1);
    check(
        &[stack.clone(), load(19, 0).without(1).gives(MAPERR)],
        "....................AA",
    );
}

/// The area below keeps a stack off, unless it is a stack or allows nothing.
#[test]
fn stacks_and_their_neighbours() {
    let config = Config {
        stack_guard_gap: 4,
        ..Config::default()
    };
    let stack = map_with(20, 2, RW, PRIVATE | MapFlags::GROWSDOWN, -1);
    let near = |prot, more: MapFlags| map_with(10, 2, prot, PRIVATE | more, -1);
    let empty = MapFlags::empty();
    let grown = [
        stack.clone(),
        near(RO, empty),
        load(15, 0).gives(MAPERR),
        load(16, 0),
    ];
    check_in(&config, 1, &grown, "..........BB....AAAAAA");
    check_in(
        &config,
        1,
        &[stack.clone(), near(NONE, empty), load(12, 0)],
        "..........BBAAAAAAAAAA",
    );
    let other = near(RW, MapFlags::GROWSDOWN);
    check_in(
        &config,
        1,
        &[stack, other, load(12, 0)],
        "..........BBAAAAAAAAAA",
    );
}
