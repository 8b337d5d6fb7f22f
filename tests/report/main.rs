//! Reports against golden texts: a program runs on the reference, its observation is forged into a
//! candidate's, and what the judge finds is explained; races run with a defect. Addresses are pages
//! from the lowest one on. `UPDATE_GOLDEN=1` writes the texts anew; a person reads them before they
//! are committed.

mod complete;
#[path = "../shared/files.rs"]
mod files;
mod normal;

use normal::normalised;
use std::path::Path;

use vmadiff::designs::Planted;
use vmadiff::judge::{Verdict, judge};
use vmadiff::pair::{Pair, pair};
use vmadiff::program::Case;
use vmadiff::report::{WIDTH, explain};
use vmadiff::run::Observation;
use vmadiff_contract::{
    Config, DesignInfo, Errno, Event, Frees, Manager, Misuse, Outcome, VmFlags, VmaId,
};
use vmadiff_reference::Reference;

/// A candidate that is a second reference, of which frees may be late.
static SAME: DesignInfo = DesignInfo {
    frees: Frees::AfterReaders,
    ..DesignInfo::plain("same", |config, events, _| Reference::boot(config, events))
};

/// Explains the forged run of a program and compares the text with `tests/report/{name}.txt`.
#[track_caller]
fn check(name: &str, text: &str, forge: impl Fn(&mut Observation)) {
    let program = Case::parse(name, text).expect("a program").program;
    let reference =
        |config: &Config, events| Box::new(Reference::new(config, events)) as Box<dyn Manager>;
    let mut pair = Pair::new(reference, Reference::boot, &SAME);
    let mut ran = pair.observe(&program);
    assert_eq!(ran.verdict, Verdict::Agree, "before it is forged");
    forge(&mut ran.candidate);
    let Verdict::Diverge(found) = judge(&program, &SAME, &ran.reference, &ran.candidate) else {
        panic!("the forgery agrees");
    };
    let replay = format!("vmadiff run artifacts/{name}.vma");
    compare(
        name,
        &explain(&program, &found, &ran, &replay, WIDTH).to_string(),
    );
}

/// Explains how a program diverges with a defect planted.
#[track_caller]
fn check_race(name: &str, defect: &str, text: &str) {
    let program = Case::parse(name, text).expect("a program").program;
    let ran = pair(&Planted::defect(defect)).observe(&program);
    let Verdict::Diverge(found) = &ran.verdict else {
        panic!("{:?}", ran.verdict);
    };
    let replay = format!("vmadiff run --defect {defect} artifacts/{name}.vma");
    compare(
        name,
        &explain(&program, found, &ran, &replay, WIDTH).to_string(),
    );
}

/// Compares a report with its golden text.
#[track_caller]
fn compare(name: &str, report: &str) {
    let report = normalised(report);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/report/{name}.txt"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &report).expect("a golden text can be written");
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(report, golden, "{} differs", path.display());
}

const TAIL: &str = "\
config max_map_count=64
mmap(0x1f0000, 0x4000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)
store(0x1f1000, 7)
mprotect(0x1f1000, 0x1000, PROT_READ)
munmap(0x1f3000, 0x1000)
load(0x1f1000)
";

#[test]
fn a_wrong_outcome() {
    check("outcome", TAIL, |o| {
        o.calls[3].outcome = Outcome::Errno(Errno::ENOMEM);
    });
}

#[test]
fn a_wrong_state() {
    check("state", TAIL, |o| {
        let state = &mut o.calls[2].state;
        state.vmas[1].flags |= VmFlags::WRITE;
        state.pages[0].writable = true;
        state.bytes[0].value = 8;
    });
}

#[test]
fn a_leak() {
    check("leak", TAIL, |o| {
        for call in &mut o.calls {
            call.events
                .retain(|e| *e != Event::VmaFree { vma: VmaId(4) });
        }
    });
}

#[test]
fn a_misuse() {
    check("misuse", TAIL, |o| {
        let freed = o.calls[3].events.len();
        o.calls[3]
            .events
            .insert(freed, Event::Misuse(Misuse::DeadVma(VmaId(4))));
    });
}

#[test]
fn a_panic() {
    check("panic", TAIL, |o| {
        o.calls.truncate(4);
        let message = "index out of bounds".to_owned();
        o.panicked = Some(vmadiff::run::Panic {
            at: Some(4),
            message,
        });
    });
}

#[test]
fn something_left_at_the_end() {
    check("left", TAIL, |o| o.last.anons = 1);
}

/// A lookup finds an area that is merged away and freed, with no grace period, before it takes its
/// reference.
#[test]
fn a_race_for_a_reference() {
    check_race(
        "race-reference",
        "put-without-grace-period",
        "\
mmap(0x1f0000, 0x1000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)
mmap(0x1f1000, 0x1000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)
store(0x1f0000, 1)
[2] load(0x1f1000)
mprotect(0x1f1000, 0x1000, PROT_READ|PROT_WRITE)
switch: 2@find_vma_rcu.get_vma#1 -> 1
",
    );
}

/// A fault reads a page-table entry again after it was checked, and meanwhile the table is freed.
#[test]
fn a_race_for_a_table() {
    check_race(
        "race-table",
        "a29-pmd-read-again",
        "\
mmap(0x1f0000, 0x2000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)
store(0x1f0000, 1)
[2] store(0x1f1000, 2)
munmap(0x1f0000, 0x2000)
switch: 2@pte_map_lock.pmd_again#1 -> 1
",
    );
}
