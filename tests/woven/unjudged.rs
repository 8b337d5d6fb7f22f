//! What the judge leaves unjudged or open, and that it leaves no more than that.

use vmadiff::judge::{Rule, Verdict};
use vmadiff::program::{Case, Program};
use vmadiff::run::Woven;
use vmadiff_candidate::Defects;
use vmadiff_contract::{Errno, Outcome};

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

/// The last call.
const RECLAIM: usize = 4;

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

fn state_differs(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Diverge(found) if found.signature.field == "pages.writable")
}

#[test]
fn charges_that_overlap_one_that_falls_short_are_unjudged() {
    let verdict = Loom::new(Defects::NONE).run(&program(CHARGES));
    let why = "calls that overlap charge memory up to the commit limit";
    assert_eq!(verdict, Some(Verdict::Skip(why.to_owned())));
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
    let verdict = Loom::new(Defects::NONE).run(&program(RECLAIMS));
    let why = "a page that is reclaimed is unmapped, replaced or shared meanwhile";
    assert_eq!(verdict, Some(Verdict::Skip(why.to_owned())));
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
    assert!(state_differs(&loom.judge(&program, &woven)));
}

#[test]
fn an_entry_that_mprotect_writes_before_a_store_is_judged() {
    let program = serial(REWRITES);
    let mut loom = Loom::new(Defects::NONE);
    let mut woven = loom.weave(&program).clone();
    assert_eq!(loom.judge(&program, &woven), Verdict::Agree);
    woven.state.pages[1].writable = false;
    assert!(state_differs(&loom.judge(&program, &woven)));
}
