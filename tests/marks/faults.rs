//! Faults of the machine that only marks tell of: their races in corpus/races/ come to something else with
//! the fault than without.

use std::path::Path;
use std::sync::Arc;

use vmadiff::designs::Planted;
use vmadiff::program::{Case, Program};
use vmadiff::run::{Weaver, Woven};
use vmadiff_contract::Event;

/// A program of corpus/races/, and the fault that it is about.
const FAULTS: &[(&str, &str)] = &[
    ("dontneed-beside-dontneed", "e1-nested-flush-unnoticed"),
    ("closed-while-forked", "e2-descriptor-unlocked"),
    ("copy-without-memory", "e3-zero-page-writable"),
    ("reopened-while-mapped", "e4-descriptor-looked-up-twice"),
    ("scanned-while-truncated", "e5-numa-scan-unlocked"),
    ("removed-while-mapped-over", "e6-remove-by-old-areas"),
    ("forked-while-reclaimed", "e7-entries-noted-early"),
    ("reclaimed-under-store", "e8-written-out-early"),
    ("reclaimed-while-moved", "move-flushed-late"),
    ("grown-while-truncated", "e9-truncate-unlocked"),
    ("truncated-while-tables-go", "tables-freed-before-unlink"),
];

/// What a program comes to.
fn woven(planted: Planted, program: &Program) -> Woven {
    let mut weaver = Weaver::new(Arc::new(move |config, events| planted.boot(config, events)));
    let known = weaver.supports();
    weaver.weave(program, known, None).clone()
}

#[test]
fn each_fault_happens_in_its_race() {
    let races = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/races");
    let mut wrong = Vec::new();
    for (name, fault) in FAULTS {
        let path = races.join(name).with_extension("vma");
        let text = std::fs::read_to_string(&path).expect("a program");
        let program = Case::parse(name, &text).expect("a program").program;
        let right = woven(Planted::default(), &program);
        let faulty = woven(Planted::defect(fault), &program);
        println!("{fault}: {:?} / {:?}", right.outcomes, faulty.outcomes);
        let misused = |run: &Woven| {
            let mut events = run.events.iter();
            events.any(|raised| matches!(raised.event, Event::Misuse(_)))
        };
        let same = right.outcomes == faulty.outcomes && right.state == faulty.state;
        if same && misused(&right) == misused(&faulty) {
            wrong.push(format!("{name} with {fault}: {:?}", faulty.outcomes));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
