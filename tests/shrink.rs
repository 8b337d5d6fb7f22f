//! Shrinking against made-up divergences, whose smallest programs are known.

use vmadiff::program::{Case, Program};
use vmadiff::shrink::{Attempt, shrink};
use vmadiff_contract::Call;

const BIG: &str = "config tasks=4 max_map_count=64\n\
    [3] open(\"plain\", O_RDONLY, 0x3000)\n\
    open(\"close\", O_RDWR, 0x3000)\n\
    mmap(0x1f3000, 0x5000, PROT_READ|PROT_WRITE, MAP_SHARED|MAP_FIXED, 4, 0x1000)\n\
    fork()\n\
    [5] store(0x1f4001, 9)\n\
    fork()\n\
    [6] mprotect(0x1f4000, 0x3000, PROT_READ|PROT_EXEC)\n\
    [6] munmap(0x1f6000, 0x2000)\n\
    [2] load(0x1f4001)\n";

fn parse(text: &str) -> Program {
    Case::parse("test", text).unwrap().program
}

/// Shrinks `BIG` as long as `diverges`, and compares with what is expected.
#[track_caller]
fn check(diverges: impl Fn(&Program) -> bool, expected: &str) {
    let attempt = |program: &Program| {
        if diverges(program) {
            Attempt::Same
        } else {
            Attempt::Other
        }
    };
    let shrunk = shrink(&parse(BIG), attempt);
    assert!(shrunk.finished);
    let text = Case {
        program: shrunk.program.clone(),
        ..Case::default()
    }
    .to_string();
    assert_eq!(text, expected);
    assert_eq!(
        shrink(&shrunk.program, attempt).program,
        shrunk.program,
        "a fixpoint"
    );
}

fn calls(program: &Program) -> impl Iterator<Item = Call> {
    program.calls.iter().map(|step| step.call)
}

#[test]
fn one_call_is_left_of_many() {
    let unmaps = |program: &Program| calls(program).any(|call| matches!(call, Call::Munmap { .. }));
    check(unmaps, "munmap(0x1f0000, 0x1000)\n");
}

#[test]
fn nothing_is_left_if_nothing_matters() {
    check(|_| true, "");
}

/// The second file stays, under the number of the first, which goes.
#[test]
fn descriptors_follow_their_files() {
    let maps_its_file = |program: &Program| {
        let mut opened = 0;
        calls(program).any(|call| {
            opened += i32::from(matches!(call, Call::Open { .. }));
            matches!(call, Call::Mmap { fd, off: 0x1000, .. } if fd.0 == 2 + opened && opened > 0)
        })
    };
    check(
        maps_its_file,
        "open(\"plain\", O_RDWR, 0x1000)\nmmap(0x1f0000, 0x1000, PROT_NONE, 0, 3, 0x1000)\n",
    );
}

/// A fork and a child's call only make sense together.
#[test]
fn tasks_follow_their_forks() {
    let child_unmaps = |program: &Program| {
        let mut tasks = program.config.tasks;
        program.calls.iter().any(|step| {
            tasks += u8::from(step.call == Call::Fork);
            let is_child = step.task.0 > program.config.tasks && step.task.0 <= tasks;
            is_child && matches!(step.call, Call::Munmap { .. })
        })
    };
    check(child_unmaps, "fork()\n[3] munmap(0x1f0000, 0x1000)\n");
}

/// What must overlap goes on overlapping, and comes to lie at the start of the window.
#[test]
fn addresses_move_together() {
    let overlap = |program: &Program| {
        let mut mapped = None;
        calls(program).any(|call| match call {
            Call::Mmap { addr, len, .. } => {
                mapped = Some(addr..addr.saturating_add(len));
                false
            }
            Call::Mprotect { addr, .. } => mapped
                .as_ref()
                .is_some_and(|range| range.contains(&addr) && range.start != addr),
            _ => false,
        })
    };
    let expected =
        "mmap(0x1f0000, 0x2000, PROT_NONE, 0, 3, 0)\nmprotect(0x1f1000, 0x1000, PROT_NONE)\n";
    check(overlap, expected);
}

/// What must be far away or long comes as close and gets as short as it can, in few steps however
/// far it was: it is not walked page by page.
#[test]
fn huge_distances_shrink_in_few_steps() {
    const LEAST: u64 = 0x100_001f_0000;
    let text = "mremap(0x1f1000, 0x1000, 0x7d9067a38960, 0, 0x1f0000)\n\
        munmap(0x7d9067c2a000, 0x2000)\n\
        madvise(0x7d9067c2a000, 0x1000, MADV_REMOVE)\n";
    let reaches = |program: &Program| {
        let mut calls = calls(program);
        let grows = |call| matches!(call, Call::Mremap { new_len, .. } if new_len > LEAST);
        let unmaps = |call| matches!(call, Call::Munmap { addr, .. } if addr >= LEAST);
        calls.any(grows) && calls.any(unmaps)
    };
    let shrunk = shrink(&parse(text), |program| match reaches(program) {
        true => Attempt::Same,
        false => Attempt::Other,
    });
    let small = Case {
        program: shrunk.program,
        ..Case::default()
    };
    assert_eq!(
        small.to_string(),
        "mremap(0x1f0000, 0x1000, 0x100001f1000, 0, 0x1f0000)\n\
         munmap(0x100001f0000, 0x1000)\n"
    );
    assert!(shrunk.tried < 1000, "{} programs tried", shrunk.tried);
}

#[test]
fn stopping_keeps_the_best_so_far() {
    let mut tries = 0;
    let shrunk = shrink(&parse(BIG), |_| {
        tries += 1;
        if tries > 1 {
            Attempt::Stop
        } else {
            Attempt::Same
        }
    });
    assert!(!shrunk.finished);
    assert_eq!(shrunk.tried, 2);
    assert!(
        shrunk.program.calls.is_empty(),
        "everything was dropped at the first try"
    );
}
