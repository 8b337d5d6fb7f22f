//! What calls find of areas while others are at them one by one.

use vmadiff::designs::Planted;
use vmadiff::judge::Verdict;
use vmadiff_contract::{Errno, Outcome, SegvCode};

use super::{agreed, falsified, judged_at_rest, outcome_differs, program, serial};
use crate::weave::Loom;

/// A parent asks for more than there is; a child asks for a little before that is given back.
const CHARGES: &str = "\
config commit_limit=32
mmap(0x1f0000, 0x4000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)
fork()
mmap(0x200000, 0x20000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)
[3] mmap(0x200000, 0x2000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)
switch: 1@vm_unacct_memory.committed#1 -> 3
";

/// Where the child asks for a little.
const LITTLE: usize = 3;

/// madvise looks for an area that a store of another task has grown and not yet given the page.
const GROWS: &str = "\
mmap(NULL, 0x1000, PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS|MAP_GROWSDOWN, -1, 0)
madvise(0x1f0000, 0x1000, MADV_DONTNEED)
[2] store(0x1f0000, 1)
switch: 1@find_vma.vm_start#1 -> 2
switch: 2@pte_map_lock.lock#1 -> 1
";

/// madvise takes pages from where a store of another task has grown a stack, before the store has its page.
const GROWS_FIRST: &str = "\
mmap(0x1f1000, 0x1000, PROT_WRITE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS|MAP_GROWSDOWN, -1, 0)
[2] store(0x1f1000, 1)
store(0x1f0000, 1)
[2] madvise(0x1f0000, 0x1000, MADV_DONTNEED)
switch: 1@pte_map_lock.lock#1 -> 2
";

/// A stack grows while a fork that fails has charged what it gives back.
const GROWS_SHORT: &str = "\
config stack_guard_gap=2 commit_limit=10
mmap(0x1f0000, 0x2000, PROT_WRITE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)
mmap(0x20d000, 0x3000, PROT_WRITE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS|MAP_GROWSDOWN, -1, 0)
[2] load(0x209000)
fork()
switch: 2@do_page_fault.mmap_sem#1 -> 1
switch: 1@vm_unacct_memory.committed#2 -> 2
";

/// A descriptor is closed, and mbind finds nothing mapped, after mmap has looked it up.
const CLOSES: &str = "\
[2] open(\"plain\", O_RDWR, 0x2000)
mmap(0x1f0000, 0x2000, PROT_READ, MAP_SHARED|MAP_FIXED, 3, 0)
[2] close(3)
[2] mbind(0x1f0000, 0x2000, MPOL_PREFERRED, 0, 0)
switch: 1@mmap.mmap_sem#1 -> 2
switch: 2@call.begin#3 -> 2
";

/// MADV_REMOVE is done with one area when the next is locked, for which it refuses.
const REMOVES: &str = "\
mmap(0x1f0000, 0x2000, PROT_WRITE, MAP_SHARED|MAP_FIXED|MAP_ANONYMOUS, -1, 0)
store(0x1f0000, 1)
mbind(0x1f0000, 0x1000, MPOL_INTERLEAVE, 0x2, 0)
mmap(0x1f0000, 0x1000, PROT_NONE, MAP_ANONYMOUS, -1, 0)
mlockall(MCL_CURRENT)
[2] madvise(0x1f0000, 0x2000, MADV_REMOVE)
switch: 1@mmap.mmap_sem#3 -> 2
switch: 2@madvise.mmap_sem_read#3 -> 1
";

#[test]
fn charges_that_overlap_one_that_falls_short_are_explained() {
    agreed(&program(CHARGES));
}

#[test]
fn charges_that_do_not_overlap_are_judged() {
    let program = serial(CHARGES);
    let mut loom = Loom::new(&Planted::default());
    assert_eq!(loom.run(&program), Some(Verdict::Agree));
    let refused = Outcome::Errno(Errno::ENOMEM);
    let verdict = falsified(&program, LITTLE, Outcome::Value(0x20_0000), refused);
    assert!(outcome_differs(&verdict), "{verdict:?}");
}

#[test]
fn without_a_limit_charges_are_judged() {
    let text = CHARGES
        .replace("config commit_limit=32\n", "")
        .replace("vm_unacct_memory.committed#1", "mmap.mmap_sem#4");
    let refused = Outcome::Errno(Errno::ENOMEM);
    let from = Outcome::Value(0x20_0000);
    let verdict = falsified(&program(&text), LITTLE, from, refused);
    assert!(outcome_differs(&verdict), "{verdict:?}");
}

#[test]
fn charges_that_overlap_and_all_fit_are_judged() {
    let text = CHARGES
        .replace("0x20000,", "0x2000,")
        .replace("vm_unacct_memory.committed#1", "vma_link.map_count#2");
    let refused = Outcome::Errno(Errno::EINVAL);
    let from = Outcome::Value(0x20_0000);
    let verdict = falsified(&program(&text), LITTLE, from, refused);
    assert!(outcome_differs(&verdict), "{verdict:?}");
}

#[test]
fn a_stack_that_grows_under_a_reader_is_explained() {
    let program = program(GROWS);
    agreed(&program);
    // Nothing is left open where the two do not overlap.
    let (from, to) = (Outcome::Errno(Errno::ENOMEM), Outcome::Value(0));
    let verdict = falsified(&serial(GROWS), 1, from, to);
    assert!(outcome_differs(&verdict), "{verdict:?}");
}

#[test]
fn a_stack_that_grows_before_a_reader_and_is_mapped_after_it_is_explained() {
    agreed(&program(GROWS_FIRST));
    judged_at_rest(&serial(GROWS_FIRST), "vmas.anon_chain", |woven| {
        woven.state.vmas[0].anon_chain += 1;
    });
}

#[test]
fn a_stack_that_cannot_grow_while_others_charge_is_explained() {
    agreed(&program(GROWS_SHORT));
    let (from, to) = (Outcome::Value(0), Outcome::Segv(SegvCode::MapErr));
    let verdict = falsified(&serial(GROWS_SHORT), 2, from, to);
    assert!(outcome_differs(&verdict), "{verdict:?}");
}

#[test]
fn an_mmap_whose_descriptor_is_closed_is_explained() {
    agreed(&program(CLOSES));
}

#[test]
fn areas_that_are_locked_before_madvise_comes_to_them_are_explained() {
    agreed(&program(REMOVES));
    let refused = Outcome::Errno(Errno::EINVAL);
    let verdict = falsified(&serial(REMOVES), 5, refused, Outcome::Value(0));
    assert!(outcome_differs(&verdict), "{verdict:?}");
}
