//! The reference on trial before the kernel of this machine.
//!
//! Where agents can not be made, or a program asks for what this machine has not, that is said and
//! skipped.
#![cfg(all(feature = "command", target_os = "linux", target_arch = "x86_64"))]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use vmadiff::linux::{Campaign, Court, fuzz, judge};
use vmadiff::program::{Case, Program};
use vmadiff_contract::{
    Call, CallKind, Capabilities, Config, EventSink, Fail, Manager, Outcome, Snapshot, TaskId,
};
use vmadiff_linux::{
    Areas, Closeness, Linux, Look, Origin, Stopped, Trial, Verdict, known as known_differences,
};
use vmadiff_reference::Reference;

const CLOSELY: Closeness = Closeness {
    look: Look::EachCall,
    areas: Areas::ByPage,
};

fn linux() -> Option<Linux> {
    Linux::new()
        .inspect_err(|why| eprintln!("skipped: {why}"))
        .ok()
}

fn parse(name: &str, text: &str) -> Program {
    Case::parse(name, text)
        .unwrap_or_else(|error| panic!("{error}"))
        .program
}

fn programs(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .flat_map(|path| {
            if path.is_dir() {
                programs(&path)
            } else {
                vec![path]
            }
        })
        .filter(|path| path.extension().is_some_and(|extension| extension == "vma"))
        .collect();
    paths.sort();
    paths
}

/// Every program of a folder of the corpus agrees with the kernel, but for known differences.
#[track_caller]
fn check_folder(folder: &str) {
    let Some(linux) = linux() else { return };
    let mut court = Court::new(linux);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(folder);
    if !root.exists() {
        return;
    }
    let mut wrong = Vec::new();
    for path in programs(&root) {
        let name = path.display().to_string();
        let program = parse(&name, &std::fs::read_to_string(&path).expect("readable"));
        match judge(&mut court, &program, CLOSELY) {
            Ok(Verdict::Agrees { .. }) => {}
            Ok(Verdict::Differs(finding)) => wrong.push(format!("{name}: {finding}")),
            Err(why @ Stopped::Unfit { .. }) => eprintln!("{name}: skipped: {why}"),
            Err(why) => wrong.push(format!("{name}: {why}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_conformance_programs_agree_with_the_kernel() {
    check_folder("conformance");
}

#[test]
fn the_traces_of_real_programs_agree_with_the_kernel() {
    check_folder("traces");
}

#[test]
fn past_findings_agree_with_the_kernel() {
    check_folder("regressions");
}

#[test]
fn every_known_difference_has_a_program_that_shows_it() {
    let Some(linux) = linux() else { return };
    let version = linux.machine().version();
    let mut court = Court::new(linux);
    for entry in known_differences() {
        let program = parse(entry.name, entry.program);
        let expected = match entry.origin {
            Origin::Since(major, minor) => version >= (major, minor),
            Origin::Chosen => true,
        };
        // With boundaries, the comparison may end before what a difference in them leads to.
        let mut shown = Vec::new();
        for areas in [Areas::WithBoundaries, Areas::ByPage] {
            match judge(&mut court, &program, Closeness { areas, ..CLOSELY }) {
                Ok(Verdict::Agrees { known, .. }) => {
                    shown.extend(known.iter().map(|known| known.name));
                }
                Ok(Verdict::Differs(finding)) => panic!("{}: {finding}", entry.name),
                Err(Stopped::Unfit { why, .. }) => {
                    eprintln!("{}: skipped: {why}", entry.name);
                    shown.extend(expected.then_some(entry.name));
                }
                Err(why) => panic!("{}: {why}", entry.name),
            }
        }
        let is_shown = shown.contains(&entry.name);
        assert_eq!(is_shown, expected, "{}: {shown:?}", entry.name);
    }
}

/// The table is in the documents too, entry by entry.
#[test]
fn every_known_difference_is_documented() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/newer-kernels.md");
    let text = std::fs::read_to_string(path).unwrap();
    let mut missing = String::new();
    for known in known_differences() {
        let (name, section, origin) = (known.name, known.section, known.origin);
        let heading = format!("### {name}\n\nSection {section}, {origin}: ");
        let program = format!("```text\n{}\n```", known.program.trim_end());
        if !text.contains(&heading) || !text.contains(&program) {
            missing += &format!("{heading}{}\n\n{program}\n\n", known.what);
        }
    }
    assert!(
        missing.is_empty(),
        "docs/newer-kernels.md lacks\n\n{missing}"
    );
}

#[test]
fn random_programs_agree_with_the_kernel() {
    if linux().is_none() {
        return;
    }
    for areas in [Areas::ByPage, Areas::WithBoundaries] {
        let campaign = Campaign {
            runs: Some(400),
            time: None,
            seed: 1,
            jobs: 1,
            areas,
        };
        let tally = fuzz::<Reference>(&campaign, &AtomicBool::new(false), |_, found| {
            if let Some(found) = found {
                let program = found.program.clone();
                let text = Case {
                    program,
                    ..Case::default()
                };
                eprintln!("{}\n{text}", found.finding);
            }
        });
        let tally = tally.unwrap();
        assert!(tally.findings.is_empty(), "{:?}", tally.findings);
        assert!(tally.stopped.is_empty(), "{:?}", tally.stopped);
        let calls = tally.all_calls();
        assert!(calls.succeeded * 2 > calls.made, "{tally:?}");
    }
}

fn agrees(verdict: &Result<Verdict, Stopped>) -> bool {
    matches!(verdict, Ok(Verdict::Agrees { .. }))
}

/// mlockall locks the agent's own pages along, and where the hard limit is no higher than the program's
/// there is no room for them. Well below it and above it both sides say the same.
#[test]
fn what_only_the_agents_own_pages_make_too_much_is_skipped() {
    let Some(linux) = linux() else { return };
    let raised = linux.machine().most_locked > 16 << 20;
    let mut court = Court::new(linux);
    let mut check = |pages: u64| {
        let text = format!(
            "mmap(0x10000000, {:#x}, PROT_READ, MAP_SHARED|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
             mlockall(MCL_CURRENT)\n",
            pages * 4096,
        );
        judge(&mut court, &parse("limit", &text), CLOSELY)
    };
    assert!(agrees(&check(0x7c0)), "there is room for both");
    assert!(agrees(&check(0x801)), "too much anyway");
    match check(0x7e0) {
        Ok(Verdict::Agrees { .. }) if raised => {}
        Err(Stopped::Unfit { call: Some(1), why }) if !raised => {
            assert!(why.to_string().contains("RLIMIT_MEMLOCK"), "{why}");
        }
        verdict => panic!("{verdict:?}"),
    }
}

/// What is known where it arises is known at the end, where it can not be told from the state.
#[test]
fn a_difference_that_is_known_call_by_call_is_known_at_the_end() {
    let Some(linux) = linux() else { return };
    let mut court = Court::new(linux);
    let how = Closeness {
        look: Look::AtEnd,
        ..CLOSELY
    };
    for text in [
        include_str!("../corpus/regressions/linux-merged-then-asked.vma"),
        include_str!("../corpus/regressions/linux-merged-then-cut.vma"),
        include_str!("../corpus/regressions/linux-merged-then-moved.vma"),
    ] {
        let verdict = judge(&mut court, &parse("known", text), how);
        assert!(agrees(&verdict), "{text}{verdict:?}");
    }
}

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
    fn new(config: &Config, events: Arc<dyn EventSink>) -> Self {
        Self(Reference::new(config, events))
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
        areas: Areas::ByPage,
    };
    let mut told = Vec::new();
    let tally = fuzz::<Wrong<UNMAPS>>(&campaign, &AtomicBool::new(false), |_, found| {
        told.extend(found.map(|found| (found.signature(), found.program.calls.len())));
    });
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
    let mut trial = Trial::<Wrong<DEFECT>>::new(linux);
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
