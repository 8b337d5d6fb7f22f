//! Shrinking of programs that diverge only in a race: switches stay where they matter, under
//! whatever name, and a schedule that was drawn becomes a list of few.

use vmadiff::designs::Planted;
use vmadiff::judge::Verdict;
use vmadiff::pair::{Pair, pair};
use vmadiff::program::{Case, Policy, Program};
use vmadiff::shrink::{Attempt, Passes, shrink};

/// A fault reads a page-table entry again after it was checked; meanwhile the table may be freed.
const TABLE: (&str, &str) = ("a29-pmd-read-again", "misuse-dead-table/fault.decide/zap");
/// An area that leaves its tree is freed at once, whoever has just found it.
const GRACE: (&str, &str) = ("put-without-grace-period", "grace-period/unlinked/vma");

fn parse(text: &str) -> Program {
    Case::parse("test", text).expect("a program").program
}

/// What a program comes to, as shrinking wants to know it.
fn attempt(pair: &mut Pair, program: &Program, signature: &str) -> Attempt {
    let ran = pair.observe(program);
    match (&ran.verdict, ran.woven.as_deref()) {
        (Verdict::Diverge(found), Some(woven)) if found.signature.to_string() == signature => {
            Attempt::Woven(Passes::of(woven))
        }
        _ => Attempt::Other,
    }
}

fn shrunk(pair: &mut Pair, program: &Program, signature: &str) -> Program {
    let shrunk = shrink(program, |smaller| attempt(pair, smaller, signature));
    assert!(shrunk.finished);
    shrunk.program
}

/// The third time that task 2 passes the place becomes the first when the call before it goes.
#[test]
fn switches_keep_their_places_when_calls_go() {
    let (defect, signature) = TABLE;
    let mut pair = pair(&Planted::defect(defect));
    let big = parse(
        "config tasks=3 max_map_count=64\n\
         mmap(0x1f0000, 0x4000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)\n\
         store(0x1f0000, 1)\n\
         [2] store(0x1f1000, 2)\n\
         [3] load(0x1f0000)\n\
         [2] store(0x1f2000, 3)\n\
         munmap(0x1f0000, 0x4000)\n\
         softirq()\n\
         switch: 2@pte_map_lock.pmd_again#3 -> 1\n",
    );
    let small = shrunk(&mut pair, &big, signature);
    let expected = "mmap(0x1f0000, 0x2000, PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, 3, 0)\n\
                    store(0x1f0000, 1)\n\
                    [2] store(0x1f1000, 1)\n\
                    munmap(0x1f0000, 0x2000)\n\
                    switch: 2@pte_map_lock.pmd_again#1 -> 1\n";
    assert_eq!(small.to_string(), expected);
    assert_eq!(
        shrunk(&mut pair, &big, signature),
        small,
        "the same way again"
    );
}

#[test]
fn a_drawn_schedule_becomes_a_short_list() {
    let (defect, signature) = GRACE;
    let mut pair = pair(&Planted::defect(defect));
    let drawn = |seed: u32| {
        parse(&format!(
            "mmap(0x1f0000, 0x1000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)\n\
             mmap(0x1f1000, 0x1000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)\n\
             store(0x1f0000, 1)\n\
             [2] load(0x1f1000)\n\
             mprotect(0x1f1000, 0x1000, PROT_READ|PROT_WRITE)\n\
             policy: pct seed={seed}\n"
        ))
    };
    let mut programs = (0..1000).map(drawn);
    let program = programs
        .find(|program| attempt(&mut pair, program, signature) != Attempt::Other)
        .expect("one of many schedules shows it");
    let small = shrunk(&mut pair, &program, signature);
    assert_eq!(small.schedule.policy, Policy::Preemptions, "{small}");
    assert!((1..=3).contains(&small.schedule.switches.len()), "{small}");
}
