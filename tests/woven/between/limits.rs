//! What a call finds of a limit that another call sets meanwhile.

use vmadiff_contract::{Errno, Outcome};

use super::{agreed, falsified, outcome_differs, program};

/// mlock2 has found that something may be locked, and waits for mmap_sem when nothing may be any more.
/// Met by a campaign: the reference answers EPERM behind setrlimit, and mmap_sem comes behind it.
const LOCKS: &str = "\
[2] mlock2(0x1f0000, 0x1000, 0)
setrlimit(RLIMIT_MEMLOCK, 0, 0xfffffffffffff000)
switch: 2@mlock.mmap_sem#1 -> 1
";

#[test]
fn a_limit_that_is_set_between_two_looks_is_explained() {
    agreed(&program(LOCKS));
}

#[test]
fn another_limit_is_no_excuse() {
    let other = program(&LOCKS.replace("MEMLOCK", "STACK"));
    let nothing_there = Outcome::Errno(Errno::ENOMEM);
    let verdict = falsified(&other, 0, nothing_there, Outcome::Errno(Errno::EPERM));
    assert!(outcome_differs(&verdict), "{verdict:?}");
}
