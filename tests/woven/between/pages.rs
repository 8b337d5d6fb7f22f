//! What calls find of pages while others take them away.

use vmadiff::designs::Planted;
use vmadiff::judge::Verdict;
use vmadiff::run::Woven;
use vmadiff_contract::{Outcome, VmFlags};

use super::{agreed, falsified, judged_at_rest, outcome_differs, program, serial, state_differs};
use crate::weave::Loom;

/// reclaim has found a page that the child maps too when the parent copies it for a store.
const RECLAIMS: &str = "\
mmap(0x1f0000, 0x1000, PROT_WRITE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)
mlock2(0x1f0000, 0x1000, 0)
fork()
store(0x1f0000, 1)
[2] reclaim(0x1f0000)
switch: 1@pte_map_lock.trylock#3 -> 2
switch: 2@page_vma_mapped.ptl#1 -> 1
";

/// The last call.
const RECLAIM: usize = 4;

/// A child copies a page for a store while reclaim goes from its parent's entry to its own.
const RECLAIMS_COPIED: &str = "\
config tasks=3
mmap(0x1f0000, 0x1000, PROT_WRITE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)
[2] store(0x1f0000, 1)
fork()
reclaim(0x1f0000)
[4] store(0x1f0000, 1)
switch: 2@access.pte#1 -> 1
switch: 1@call.begin#3 -> 1
switch: 1@walk.pmd#3 -> 2
switch: 1@try_to_unmap.ptl#1 -> 4
";

/// reclaim has found a page that is moved before it is written out.
const RECLAIMS_MOVED: &str = "\
mmap(0x1f0000, 0x2000, PROT_WRITE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)
[2] reclaim(0x1f1000)
store(0x1f1000, 1)
mremap(0x1f1000, 0x1000, 0x1000, MREMAP_MAYMOVE|MREMAP_FIXED, 0x1f0000)
load(0x1f0000)
load(0x1f0000)
switch: 2@anon_vma.lock#1 -> 1
switch: 1@call.begin#2 -> 1
switch: 1@call.begin#4 -> 1
";

/// reclaim has found a page that fork shared, in an area that is locked, when the parent copies it for a
/// store: it is taken from the child, which has locked nothing. In the order that explains the most it is the
/// locking that looks wrong.
const RECLAIMS_LOCKED: &str = "\
config tasks=3
[2] mmap(NULL, 0x1000, PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS|MAP_POPULATE, 3, 0)
fork()
store(0x20f000, 1)
[2] load(0x1f0000)
[3] mlockall(MCL_CURRENT)
[2] reclaim(0x20f000)
switch: 2@mm_populate.mmap_sem#1 -> 3
switch: 2@do_page_fault.mmap_sem#2 -> 1
switch: 1@vma_has_changed.sequence#3 -> 2
switch: 1@pte_map_lock.pmd#2 -> 2
switch: 1@pte_map_lock.trylock#3 -> 2
switch: 2@page_vma_mapped.ptl#1 -> 1
";

/// mprotect has given a page's area its write permission back, and not yet changed the page's entry, when
/// another task stores to it (section 22: any change takes the write permission from private entries).
const REWRITES: &str = "\
mmap(0x1f0000, 0x2000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)
store(0x1f0000, 1)
store(0x1f1000, 1)
mprotect(0x1f1000, 0x1000, PROT_READ)
mprotect(0x1f1000, 0x1000, PROT_READ|PROT_WRITE)
[2] store(0x1f1000, 2)
switch: 1@mprotect_fixup.begin#3 -> 2
";

/// A page may not be executed, and is unmapped before it is asked whether it may.
const EXECUTES: &str = "\
mmap(0x1f0000, 0x2000, PROT_READ, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS|MAP_GROWSDOWN, -1, 0)
exec(0x1f0000)
[2] munmap(0x1f0000, 0x1000)
switch: 1@do_page_fault.mmap_sem#3 -> 2
";

/// munmap has taken a page out and not flushed it when its file loses it.
const PUNCHES: &str = "\
mmap(0x1f0000, 0x1000, PROT_WRITE, MAP_SHARED|MAP_FIXED|MAP_ANONYMOUS, -1, 0)
store(0x1f0000, 1)
madvise(0x1f0000, 0x1000, MADV_REMOVE)
load(0x1f0000)
[2] munmap(0x1f0000, 0x1000)
switch: 1@unmap_mapping.i_mmap#1 -> 2
switch: 2@free_pte_range.lock#6 -> 1
";

#[test]
fn a_page_that_is_replaced_under_reclaim_is_explained() {
    agreed(&program(RECLAIMS));
}

#[test]
fn a_page_that_is_copied_from_a_locked_area_under_reclaim_is_explained() {
    agreed(&program(RECLAIMS_LOCKED));
    judged_at_rest(&serial(RECLAIMS_LOCKED), "vmas.flags", |woven| {
        woven.state.vmas[0].flags.toggle(VmFlags::LOCKED);
    });
}

#[test]
fn a_page_that_moves_under_reclaim_is_explained() {
    agreed(&program(RECLAIMS_MOVED));
    let program = serial(RECLAIMS_MOVED);
    let verdict = falsified(&program, 4, Outcome::Value(1), Outcome::Value(0));
    assert!(outcome_differs(&verdict), "{verdict:?}");
}

#[test]
fn a_page_that_is_copied_under_reclaim_is_explained() {
    agreed(&program(RECLAIMS_COPIED));
    judged_at_rest(&serial(RECLAIMS_COPIED), "pages.present", |woven| {
        let page = &mut woven.state.pages[0];
        page.present = !page.present;
    });
}

#[test]
fn a_reclaim_that_meets_nobody_is_judged() {
    let program = serial(RECLAIMS);
    assert_eq!(
        Loom::new(&Planted::default()).run(&program),
        Some(Verdict::Agree)
    );
    let verdict = falsified(&program, RECLAIM, Outcome::Value(0), Outcome::Value(1));
    assert!(outcome_differs(&verdict), "{verdict:?}");
}

#[test]
fn an_entry_that_mprotect_writes_under_a_store_may_refuse_the_next() {
    let program = program(REWRITES);
    let mut loom = Loom::new(&Planted::default());
    let mut woven = loom.weave(&program).clone();
    let writable = |woven: &Woven| -> Vec<bool> {
        let pages = woven.state.pages.iter();
        pages.map(|page| page.writable).collect()
    };
    assert_eq!(writable(&woven), [true, false], "{}", woven.trace);
    assert_eq!(loom.judge(&program, &woven), Verdict::Agree);
    // Nothing raced at the other page.
    woven.state.pages[0].writable = false;
    state_differs(&loom.judge(&program, &woven), "pages.writable");
}

#[test]
fn an_entry_that_mprotect_writes_before_a_store_is_judged() {
    judged_at_rest(&serial(REWRITES), "pages.writable", |woven| {
        woven.state.pages[1].writable = false;
    });
}

#[test]
fn an_access_that_is_refused_by_what_is_gone_is_explained() {
    agreed(&program(EXECUTES));
    judged_at_rest(&serial(EXECUTES), "vmas.anon_chain", |woven| {
        woven.state.vmas[0].anon_chain += 1;
    });
}

#[test]
fn an_entry_that_is_taken_out_and_not_flushed_while_its_file_loses_the_page_is_explained() {
    agreed(&program(PUNCHES));
    let program = serial(PUNCHES);
    let verdict = falsified(&program, 3, Outcome::Value(0), Outcome::Value(1));
    assert!(outcome_differs(&verdict), "{verdict:?}");
}
