//! Small programs by every schedule that can make a difference, or by all with few preemptions:
//! none diverges, and with a defect on, some do.

use vmadiff::designs::Planted;
use vmadiff::pair::pair;
use vmadiff::program::{Case, Program};
use vmadiff_interleave::policy::{Bounded, Exhaustive};

/// Runs of a program by all schedules, above which it is left to those with few preemptions.
const ALL: u64 = 3000;
/// Runs of a program by those.
const FEW: u64 = 1500;

const TWO_PAGES: &str = "mmap(0x1f0000, 0x2000, 3, 0x32, -1, 0)\nstore(0x1f0000, 1)\n";
const TWO_AREAS: &str = "mmap(0x1f0000, 0x1000, 3, 0x32, -1, 0)\nstore(0x1f0000, 1)\n\
                         mmap(0x1f1000, 0x1000, 1, 0x32, -1, 0)\n";
const SHARED_FILE: &str =
    "open(\"plain\", O_RDWR, 0x1000)\nmmap(0x1f0000, 0x1000, 3, 0x11, 3, 0)\n";
const STACK: &str = "mmap(0x1fe000, 0x2000, 3, 0x132, -1, 0)\nstore(0x1fe000, 1)\n";
const FORKED: &str = "mmap(0x1f0000, 0x1000, 3, 0x32, -1, 0)\nstore(0x1f0000, 1)\nfork()\n";

/// What is there, and what races on it.
const PROGRAMS: &[(&str, &str, &str)] = &[
    (
        "store, store: fresh page",
        TWO_PAGES,
        "store(0x1f1000, 2)\n[2] store(0x1f1001, 3)\n",
    ),
    (
        "load, store: fresh page",
        TWO_PAGES,
        "load(0x1f1000)\n[2] store(0x1f1000, 3)\n",
    ),
    (
        "store, load: present page",
        TWO_PAGES,
        "store(0x1f0000, 2)\n[2] load(0x1f0000)\n",
    ),
    (
        "store, munmap",
        TWO_PAGES,
        "munmap(0x1f0000, 0x2000)\n[2] store(0x1f1000, 2)\n",
    ),
    (
        "load, munmap of the tail",
        TWO_PAGES,
        "munmap(0x1f1000, 0x1000)\n[2] load(0x1f1000)\n",
    ),
    (
        "store, mprotect",
        TWO_PAGES,
        "mprotect(0x1f1000, 0x1000, 1)\n[2] store(0x1f1000, 2)\n",
    ),
    (
        "load, merging mprotect",
        TWO_AREAS,
        "mprotect(0x1f1000, 0x1000, 3)\n[2] load(0x1f1000)\n",
    ),
    (
        "store, mmap over it",
        TWO_PAGES,
        "mmap(0x1f1000, 0x1000, 3, 0x32, -1, 0)\n[2] store(0x1f1000, 2)\n",
    ),
    (
        "store, zap",
        TWO_PAGES,
        "madvise(0x1f0000, 0x2000, 4)\n[2] store(0x1f1000, 2)\n",
    ),
    (
        "zap, zap",
        TWO_PAGES,
        "madvise(0x1f0000, 0x1000, 4)\n[2] madvise(0x1f0000, 0x1000, 4)\n",
    ),
    (
        "store, reclaim",
        TWO_PAGES,
        "reclaim(0x1f0000)\n[2] store(0x1f0000, 2)\n",
    ),
    (
        "store, hint that splits",
        TWO_PAGES,
        "madvise(0x1f1000, 0x1000, 1)\n[2] store(0x1f1000, 2)\n",
    ),
    (
        "load, truncate of another page",
        SHARED_FILE,
        "ftruncate(3, 0x3000)\n[2] load(0x1f0000)\n",
    ),
    ("load, close", SHARED_FILE, "close(3)\n[2] load(0x1f0000)\n"),
    (
        "store, store: below a stack",
        STACK,
        "store(0x1fd000, 2)\n[2] store(0x1fc000, 3)\n",
    ),
    (
        "store, store: page shared with a child",
        FORKED,
        "store(0x1f0001, 2)\n[3] store(0x1f0001, 3)\n",
    ),
    (
        "store, child's exit",
        FORKED,
        "store(0x1f0001, 2)\n[3] exit()\n",
    ),
    ("store, fork", TWO_PAGES, "[2] store(0x1f0001, 2)\nfork()\n"),
    ("brk, brk", "", "brk(0x213000)\n[2] brk(0x214000)\n"),
    (
        "mmap, mmap",
        "",
        "mmap(NULL, 0x1000, 3, 0x22, -1, 0)\n[2] mmap(NULL, 0x1000, 3, 0x22, -1, 0)\n",
    ),
    (
        "open, open; close, close",
        "",
        "open(\"plain\", O_RDWR, 0)\nclose(3)\n[2] open(\"plain\", O_RDWR, 0)\n[2] close(4)\n",
    ),
    (
        "two calls each: descriptors and a mapping",
        SHARED_FILE,
        "close(3)\nload(0x1f0000)\n[2] ftruncate(3, 0x1000)\n[2] close(3)\n",
    ),
];

fn parse(ground: &str, race: &str) -> (Program, usize) {
    let program = |text: &str| Case::parse("case", text).expect("a program").program;
    (
        program(&format!("{ground}{race}")),
        program(ground).calls.len(),
    )
}

#[test]
fn every_schedule_of_small_programs_agrees() {
    let mut pair = pair(&Planted::default());
    let mut complete = 0;
    for (name, ground, race) in PROGRAMS {
        let (program, ground) = parse(ground, race);
        let mut all = Exhaustive::with_limit(ALL);
        let explored = match pair.explore(&program, ground, &mut all) {
            Ok(explored) => explored,
            Err(found) => panic!("{name}:\n{}{:#?}", found.0, found.1.verdict),
        };
        assert_eq!(explored.diverged, 0, "{name}: not deterministic");
        if explored.complete {
            complete += 1;
            println!("{name}: all {} schedules", explored.schedules);
            continue;
        }
        let mut few = Bounded::new(2).with_limit(FEW);
        let bounded = match pair.explore(&program, ground, &mut few) {
            Ok(bounded) => bounded,
            Err(found) => panic!("{name}:\n{}{:#?}", found.0, found.1.verdict),
        };
        let which = if bounded.complete {
            "and all"
        } else {
            "not all; and, not all either,"
        };
        println!(
            "{name}: {} schedules, {which} {} with at most two preemptions",
            explored.schedules, bounded.schedules
        );
    }
    assert!(
        PROGRAMS.len() >= 20 && complete > 0,
        "{complete} are complete"
    );
}

/// A search that never objects would pass the test above.
#[test]
fn a_defect_shows_in_some_schedule() {
    let (program, ground) = parse(
        TWO_PAGES,
        "munmap(0x1f0000, 0x2000)\n[2] store(0x1f1000, 2)\n",
    );
    for defect in ["no-reference", "put-without-grace-period"] {
        let mut pair = pair(&Planted::defect(defect));
        let found = pair.explore(&program, ground, &mut Bounded::new(1));
        let (shown, ran) = *found.expect_err("a defect");
        let again = pair.observe_twice(&shown);
        assert_eq!(
            again.verdict, ran.verdict,
            "the schedule shows it again:\n{shown}"
        );
    }
}
