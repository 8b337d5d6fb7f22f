//! What a fork finds, and what is found of it, while others are about.

use vmadiff::designs::Planted;
use vmadiff::judge::Verdict;
use vmadiff_contract::{Errno, Outcome};

use super::{agreed, falsified, judged_at_rest, outcome_differs, program, serial};
use crate::weave::Loom;

/// Two forks have copied the areas when there is one number left for a task.
const LAST: &str = "\
config tasks=3
fork()
fork()
fork()
fork()
fork()
fork()
fork()
fork()
fork()
fork()
fork()
fork()
fork()
[2] mmap(0x1f0000, 0x1000, PROT_NONE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)
[2] fork()
switch: 1@dup_mmap.mmap_sem#17 -> 2
switch: 1@dup_mmap.mmap_sem#18 -> 2
";

/// A fork fails late, and gives its child's pages up while another asks who has them.
const FAILS: &str = "\
mmap(NULL, 0x3000, PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, 3, 0)
store(0x20d000, 1)
mprotect(0x20d000, 0x1000, PROT_READ)
fork() (fail 4)
[2] numa_scan(0x20c000, 0x2000)
switch: 1@page_remove_rmap.mapcount#1 -> 2
";

/// mmap gives a range's pages up one by one, to replace it, while a child's scan asks who has them.
const REPLACES: &str = "\
mmap(0x1f0000, 0x2000, PROT_WRITE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)
store(0x1f0000, 1)
store(0x1f1000, 1)
fork()
mmap(0x1f0000, 0x2000, PROT_NONE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)
[3] numa_scan(0x1f0000, 0x2000)
switch: 1@page_remove_rmap.mapcount#2 -> 3
";

/// A child is at its links to anon_vmas, area by area, when its grandparent leaves.
const LEAVES: &str = "\
mmap(0x1f0000, 0x2000, PROT_WRITE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)
store(0x1f0000, 1)
fork()
[3] fork()
[4] fork()
[5] mprotect(0x1f0000, 0x1000, PROT_NONE)
[4] fork()
[4] exit()
[3] exit()
[5] fork()
switch: 4@vm_unacct_memory.committed#1 -> 5
switch: 5@anon_vma.lock#7 -> 3
";

#[test]
fn a_task_is_there_once_its_fork_has_returned() {
    let text = "\
mmap(0x1f0000, 0x1000, PROT_WRITE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)
fork()
[3] load(0x1f0000)
";
    let verdict = falsified(&program(text), 2, Outcome::Value(0), Outcome::NoTask);
    assert!(outcome_differs(&verdict), "{verdict:?}");
}

#[test]
fn a_fork_that_comes_too_late_for_a_number_leaves_nothing() {
    let program = program(LAST);
    let mut loom = Loom::new(&Planted::default());
    let woven = loom.weave(&program).clone();
    assert_eq!(woven.outcomes[14], Some(Outcome::Errno(Errno::EAGAIN)));
    assert_eq!(loom.judge(&program, &woven), Verdict::Agree);
}

#[test]
fn links_that_are_given_up_under_a_fork_are_explained() {
    agreed(&program(LEAVES));
}

#[test]
fn links_that_are_given_up_before_a_fork_are_judged() {
    judged_at_rest(&serial(LEAVES), "vmas.anon_chain", |woven| {
        woven.state.vmas[0].anon_chain += 1;
    });
}

#[test]
fn a_scan_while_a_failed_fork_gives_its_pages_up_is_explained() {
    agreed(&program(FAILS));
}

#[test]
fn a_scan_while_mmap_replaces_what_fork_shared_is_explained() {
    agreed(&program(REPLACES));
    judged_at_rest(&serial(REPLACES), "pages.readable", |woven| {
        let page = &mut woven.state.pages[0];
        page.readable = !page.readable;
    });
}

#[test]
fn a_scan_after_a_failed_fork_is_judged() {
    judged_at_rest(&serial(FAILS), "pages.readable", |woven| {
        let page = &mut woven.state.pages[0];
        page.readable = !page.readable;
    });
}
