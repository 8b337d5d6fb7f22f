//! What the judge leaves unjudged or open, and that it leaves no more than that.

use vmadiff::judge::{Rule, Verdict};
use vmadiff::program::{Case, Program};
use vmadiff::run::Woven;
use vmadiff_candidate::Defects;
use vmadiff_contract::{Errno, Outcome, SegvCode};

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

/// The last call.
const RECLAIM: usize = 4;

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

/// A descriptor is closed, and mbind finds nothing mapped, after mmap has looked it up.
const CLOSES: &str = "\
[2] open(\"plain\", O_RDWR, 0x2000)
mmap(0x1f0000, 0x2000, PROT_READ, MAP_SHARED|MAP_FIXED, 3, 0)
[2] close(3)
[2] mbind(0x1f0000, 0x2000, MPOL_PREFERRED, 0, 0)
switch: 1@mmap.mmap_sem#1 -> 2
switch: 2@call.begin#3 -> 2
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

/// A page may not be executed, and is unmapped before it is asked whether it may.
const EXECUTES: &str = "\
mmap(0x1f0000, 0x2000, PROT_READ, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS|MAP_GROWSDOWN, -1, 0)
exec(0x1f0000)
[2] munmap(0x1f0000, 0x1000)
switch: 1@do_page_fault.mmap_sem#3 -> 2
";

/// Two tasks store to the same byte, the second one while the first is at it.
const BOTH_STORE: &str = "\
mmap(0x1f0000, 0x1000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)
store(0x1f0000, 1)
store(0x1f0000, 2)
[2] store(0x1f0000, 3)
switch: 1@access.store#2 -> 2
";

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

/// A call populates a whole table's pages while another task stores to the first.
const POPULATES: &str = "\
mmap(0x200000, 0x200000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS|MAP_LOCKED, -1, 0)
[2] store(0x200000, 1)
switch: 1@mm_populate.mmap_sem#1 -> 2
switch: 2@pte_map_lock.lock#1 -> 1
";

fn program(text: &str) -> Program {
    Case::parse("unjudged", text).expect("a program").program
}

fn serial(text: &str) -> Program {
    let mut program = program(text);
    program.schedule.switches.clear();
    program
}

/// The verdict if a call had answered something else.
fn falsified(program: &Program, call: usize, from: Outcome, to: Outcome) -> Verdict {
    let mut loom = Loom::new(Defects::NONE);
    let mut woven = loom.weave(program).clone();
    assert_eq!(woven.outcomes[call], Some(from), "{}", woven.trace);
    woven.outcomes[call] = Some(to);
    loom.judge(program, &woven)
}

fn outcome_differs(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Diverge(found) if found.signature.rule == Rule::Outcome)
}

/// Checks that the state at the end is objected to, for a field.
fn state_differs(verdict: &Verdict, field: &str) {
    assert!(
        matches!(verdict, Verdict::Diverge(found) if found.signature.field == field),
        "{verdict:?}"
    );
}

/// Checks that a program is agreed to, and objected to for a field once its state is forged.
fn judged_at_rest(program: &Program, field: &str, forge: impl Fn(&mut Woven)) {
    let mut loom = Loom::new(Defects::NONE);
    let mut woven = loom.weave(program).clone();
    assert_eq!(loom.judge(program, &woven), Verdict::Agree);
    forge(&mut woven);
    state_differs(&loom.judge(program, &woven), field);
}

/// Checks that a run is left unjudged, and why.
fn unjudged(program: &Program, why: &str) {
    let verdict = Loom::new(Defects::NONE).run(program);
    assert_eq!(verdict, Some(Verdict::Skip(why.to_owned())));
}

#[test]
fn charges_that_overlap_one_that_falls_short_are_unjudged() {
    unjudged(
        &program(CHARGES),
        "calls that overlap charge memory up to the commit limit",
    );
}

#[test]
fn charges_that_do_not_overlap_are_judged() {
    let program = serial(CHARGES);
    let mut loom = Loom::new(Defects::NONE);
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
fn a_page_that_is_replaced_under_reclaim_is_unjudged() {
    unjudged(
        &program(RECLAIMS),
        "a page that is reclaimed is unmapped, replaced or shared meanwhile",
    );
}

#[test]
fn a_page_that_moves_under_reclaim_is_unjudged() {
    unjudged(
        &program(RECLAIMS_MOVED),
        "a page that is reclaimed is unmapped, replaced or shared meanwhile",
    );
    let program = serial(RECLAIMS_MOVED);
    let verdict = falsified(&program, 4, Outcome::Value(1), Outcome::Value(0));
    assert!(outcome_differs(&verdict), "{verdict:?}");
}

#[test]
fn a_page_that_is_copied_under_reclaim_is_unjudged() {
    unjudged(
        &program(RECLAIMS_COPIED),
        "a page that is reclaimed is unmapped, replaced or shared meanwhile",
    );
    judged_at_rest(&serial(RECLAIMS_COPIED), "pages.present", |woven| {
        let page = &mut woven.state.pages[0];
        page.present = !page.present;
    });
}

#[test]
fn a_reclaim_that_meets_nobody_is_judged() {
    let program = serial(RECLAIMS);
    assert_eq!(Loom::new(Defects::NONE).run(&program), Some(Verdict::Agree));
    let verdict = falsified(&program, RECLAIM, Outcome::Value(0), Outcome::Value(1));
    assert!(outcome_differs(&verdict), "{verdict:?}");
}

#[test]
fn an_entry_that_mprotect_writes_under_a_store_may_refuse_the_next() {
    let program = program(REWRITES);
    let mut loom = Loom::new(Defects::NONE);
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
fn a_stack_that_grows_under_a_reader_is_unjudged() {
    let program = program(GROWS);
    unjudged(
        &program,
        "a stack grows under a call that holds mmap_sem for reading",
    );
    // Nothing is left open where the two do not overlap.
    let (from, to) = (Outcome::Errno(Errno::ENOMEM), Outcome::Value(0));
    let verdict = falsified(&serial(GROWS), 1, from, to);
    assert!(outcome_differs(&verdict), "{verdict:?}");
}

#[test]
fn a_stack_that_grows_before_a_reader_and_is_mapped_after_it_is_unjudged() {
    unjudged(
        &program(GROWS_FIRST),
        "a stack grows under a call that holds mmap_sem for reading",
    );
    judged_at_rest(&serial(GROWS_FIRST), "vmas.anon_chain", |woven| {
        woven.state.vmas[0].anon_chain += 1;
    });
}

#[test]
fn a_stack_that_cannot_grow_while_others_charge_is_unjudged() {
    unjudged(
        &program(GROWS_SHORT),
        "calls that overlap charge memory up to the commit limit",
    );
    let (from, to) = (Outcome::Value(0), Outcome::Segv(SegvCode::MapErr));
    let verdict = falsified(&serial(GROWS_SHORT), 2, from, to);
    assert!(outcome_differs(&verdict), "{verdict:?}");
}

#[test]
fn an_access_that_is_refused_by_what_is_gone_is_unjudged() {
    unjudged(
        &program(EXECUTES),
        "an access is refused by an entry whose area is unmapped and grown again meanwhile",
    );
    judged_at_rest(&serial(EXECUTES), "vmas.anon_chain", |woven| {
        woven.state.vmas[0].anon_chain += 1;
    });
}

#[test]
fn stores_that_overlap_come_in_the_order_of_their_marks() {
    let program = program(BOTH_STORE);
    let mut loom = Loom::new(Defects::NONE);
    let mut woven = loom.weave(&program).clone();
    assert_eq!(loom.judge(&program, &woven), Verdict::Agree);
    let byte = &mut woven.state.bytes[0].value;
    *byte = if *byte == 2 { 3 } else { 2 };
    assert!(matches!(loom.judge(&program, &woven), Verdict::Diverge(_)));
}

#[test]
fn an_mmap_whose_descriptor_is_closed_is_unjudged() {
    unjudged(
        &program(CLOSES),
        "mmap looks a descriptor up that is closed before it maps",
    );
}

#[test]
fn an_entry_that_is_taken_out_and_not_flushed_while_its_file_loses_the_page_is_unjudged() {
    unjudged(
        &program(PUNCHES),
        "an access goes by an entry that is not flushed yet, of a page that its file loses",
    );
    let program = serial(PUNCHES);
    let verdict = falsified(&program, 3, Outcome::Value(0), Outcome::Value(1));
    assert!(outcome_differs(&verdict), "{verdict:?}");
}

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
    let mut loom = Loom::new(Defects::NONE);
    let woven = loom.weave(&program).clone();
    assert_eq!(woven.outcomes[14], Some(Outcome::Errno(Errno::EAGAIN)));
    assert_eq!(loom.judge(&program, &woven), Verdict::Agree);
}

#[test]
fn links_that_are_given_up_under_a_fork_are_unjudged() {
    unjudged(
        &program(LEAVES),
        "fork asks who uses an anon_vma while others give theirs up one by one",
    );
}

#[test]
fn links_that_are_given_up_before_a_fork_are_judged() {
    judged_at_rest(&serial(LEAVES), "vmas.anon_chain", |woven| {
        woven.state.vmas[0].anon_chain += 1;
    });
}

#[test]
fn a_scan_while_a_failed_fork_gives_its_pages_up_is_unjudged() {
    unjudged(
        &program(FAILS),
        "pages that fork shared are given up one by one while it is asked who has them",
    );
}

#[test]
fn a_scan_while_mmap_replaces_what_fork_shared_is_unjudged() {
    unjudged(
        &program(REPLACES),
        "pages that fork shared are given up one by one while it is asked who has them",
    );
    judged_at_rest(&serial(REPLACES), "pages.readable", |woven| {
        let page = &mut woven.state.pages[0];
        page.readable = !page.readable;
    });
}

#[test]
fn areas_that_are_locked_before_madvise_comes_to_them_are_unjudged() {
    unjudged(
        &program(REMOVES),
        "MADV_REMOVE gives mmap_sem up between areas",
    );
    let refused = Outcome::Errno(Errno::EINVAL);
    let verdict = falsified(&serial(REMOVES), 5, refused, Outcome::Value(0));
    assert!(outcome_differs(&verdict), "{verdict:?}");
}

#[test]
fn a_scan_after_a_failed_fork_is_judged() {
    judged_at_rest(&serial(FAILS), "pages.readable", |woven| {
        let page = &mut woven.state.pages[0];
        page.readable = !page.readable;
    });
}

#[test]
fn what_no_order_explains_is_objected_to_only_if_all_were_tried() {
    let forge = |woven: &mut Woven| woven.state.vmas[0].anon_chain += 1;
    let mut loom = Loom::new(Defects::NONE);
    let large = program(POPULATES);
    let mut woven = loom.weave(&large).clone();
    assert_eq!(loom.judge(&large, &woven), Verdict::Agree);
    forge(&mut woven);
    let why = "no order was found that explains the run, and it is too large to try them all";
    assert_eq!(loom.judge(&large, &woven), Verdict::Skip(why.to_owned()));
    let small = program(&POPULATES.replace("0x200000, PROT", "0x2000, PROT"));
    judged_at_rest(&small, "vmas.anon_chain", forge);
}
