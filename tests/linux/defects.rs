//! What is wrong with a reference is found.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use vmadiff::linux::{Campaign, fuzz};
use vmadiff_contract::{
    Call, CallKind, Capabilities, Config, EventSink, Fail, Manager, Outcome, Snapshot, TaskId,
};
use vmadiff_linux::{Closeness, Look, Trial, Verdict};
use vmadiff_reference::Reference;

use super::{CLOSELY, linux, parse};

/// A reference with something wrong.
struct Wrong<const DEFECT: u8>(Reference);

/// Stores go to the next byte.
const STORES: u8 = 0;
/// Areas lose a page of their snapshot's total.
const TOTALS: u8 = 1;
/// munmap says that it is done.
const UNMAPS: u8 = 2;
/// mprotect does nothing.
const PROTECTS: u8 = 3;
/// Pages are not present.
const PAGES: u8 = 4;

impl<const DEFECT: u8> Manager for Wrong<DEFECT> {
    fn boot(config: &Config, events: Arc<dyn EventSink>) -> Box<dyn Manager> {
        Box::new(Self(Reference::new(config, events)))
    }

    fn reset(&mut self, config: &Config) {
        self.0.reset(config);
    }

    fn name(&self) -> &'static str {
        "wrong"
    }

    fn supports(&self) -> Capabilities {
        self.0.supports()
    }

    fn call(&self, task: TaskId, call: &Call, fail: Fail) -> Outcome {
        match (DEFECT, *call) {
            (STORES, Call::Store { addr, value }) => {
                let addr = addr + 1;
                self.0.call(task, &Call::Store { addr, value }, fail)
            }
            (UNMAPS, Call::Munmap { .. }) | (PROTECTS, Call::Mprotect { .. }) => Outcome::Value(0),
            _ => self.0.call(task, call, fail),
        }
    }

    fn snapshot(&self, into: &mut Snapshot) {
        self.0.snapshot(into);
        if DEFECT == TOTALS {
            into.mms.iter_mut().for_each(|mm| mm.total_pages += 1);
        }
        if DEFECT == PAGES {
            into.pages.clear();
        }
    }

    fn quiesce(&self) {
        self.0.quiesce();
    }
}

/// A campaign finds what is wrong, counts it, and tells of it once, small.
#[test]
fn a_campaign_finds_a_defect_and_makes_it_small() {
    if linux().is_none() {
        return;
    }
    let campaign = Campaign {
        runs: Some(60),
        time: None,
        seed: 1,
        jobs: 1,
        view: vmadiff_linux::view(false),
        mark: None,
    };
    let mut told = Vec::new();
    let tally = fuzz(
        &campaign,
        Wrong::<UNMAPS>::boot,
        &AtomicBool::new(false),
        |_, found| {
            told.extend(found.map(|found| (found.signature(), found.program.calls.len())));
        },
    );
    let tally = tally.unwrap();
    let wanted = "linux/munmap/mapped";
    assert!(tally.findings.contains_key(wanted), "{tally:?}");
    let small: Vec<_> = told.iter().filter(|(name, _)| name == wanted).collect();
    assert!(matches!(small[..], [(_, ..=3)]), "{told:?}");
}

/// A manager with this defect is found out, and the call that shows it is named.
#[track_caller]
fn check_defect<const DEFECT: u8>(shown_by: CallKind) {
    let Some(linux) = linux() else { return };
    let mut trial = Trial::new(linux, Wrong::<DEFECT>::boot);
    let program = parse(
        "defect",
        "mmap(0x1f0000, 0x2000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
         store(0x1f0000, 7)\n\
         mprotect(0x1f0000, 0x1000, PROT_READ)\n\
         munmap(0x1f1000, 0x1000)\n",
    );
    let nodes = trial.linux.machine().nodes;
    let config = Config {
        nodes,
        ..program.config
    };
    let calls: Vec<_> = program
        .calls
        .iter()
        .map(|step| (step.task, step.call))
        .collect();
    for look in [Look::AtEnd, Look::EachCall] {
        let how = Closeness { look, ..CLOSELY };
        match trial.judge(&config, &calls, how).unwrap() {
            Verdict::Differs(finding) => {
                let shown = finding.call.map(|index| calls[index].1.kind());
                assert_eq!(shown, Some(shown_by), "{finding}");
            }
            verdict => panic!("{verdict:?}"),
        }
    }
}

#[test]
fn a_store_to_the_wrong_byte_is_found() {
    check_defect::<STORES>(CallKind::Store);
}

#[test]
fn a_wrong_total_is_found() {
    check_defect::<TOTALS>(CallKind::Mmap);
}

#[test]
fn memory_that_stays_mapped_is_found() {
    check_defect::<UNMAPS>(CallKind::Munmap);
}

#[test]
fn protection_that_stays_is_found() {
    check_defect::<PROTECTS>(CallKind::Mprotect);
}

#[test]
fn missing_pages_are_found() {
    check_defect::<PAGES>(CallKind::Store);
}
