//! The reference on trial before the kernel of this machine.
//!
//! Where agents can not be made, or a program asks for what this machine has not, that is said and
//! skipped.
#![cfg(all(feature = "command", target_os = "linux", target_arch = "x86_64"))]

mod defects;
#[path = "../shared/files.rs"]
mod files;
mod limits;

use std::path::Path;
use std::sync::atomic::AtomicBool;

use files::files;
use vmadiff::linux::{Campaign, court, fuzz, judge};
use vmadiff::program::{Case, Program};
use vmadiff_contract::{Manager, Origin};
use vmadiff_linux::{Closeness, Linux, Look, Stopped, Verdict, known as known_differences, whose};
use vmadiff_reference::Reference;

const CLOSELY: Closeness = Closeness {
    look: Look::EachCall,
    view: vmadiff_linux::view(false),
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

/// Every program of a folder of the corpus agrees with the kernel, but for known differences.
#[track_caller]
fn check_folder(folder: &str) {
    let Some(linux) = linux() else { return };
    let mut court = court(linux);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(folder);
    if !root.exists() {
        return;
    }
    let mut wrong = Vec::new();
    for path in files(&root, "vma") {
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
    let mut court = court(linux);
    for entry in known_differences() {
        let program = parse(entry.name, entry.program);
        let expected = match entry.origin {
            Origin::Changed(change) => change.is_in(version),
            Origin::Chosen => Some(true),
        };
        let Some(expected) = expected else {
            eprintln!("{}: nobody has seen whether {version:?} has it", entry.name);
            continue;
        };
        // With boundaries, the comparison may end before what a difference in them leads to.
        let mut shown = Vec::new();
        for view in [true, false].map(vmadiff_linux::view) {
            match judge(&mut court, &program, Closeness { view, ..CLOSELY }) {
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
        let (name, whose) = (known.name, whose(known));
        let section = known.section.expect("each has a section");
        let heading = format!("### {name}\n\nSection {section}, {whose}: ");
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
    for view in [false, true].map(vmadiff_linux::view) {
        let campaign = Campaign {
            runs: Some(400),
            time: None,
            seed: 1,
            jobs: 1,
            view,
            mark: None,
        };
        let tally = fuzz(
            &campaign,
            Reference::boot,
            &AtomicBool::new(false),
            |_, found| {
                if let Some(found) = found {
                    let program = found.program.clone();
                    let text = Case {
                        program,
                        ..Case::default()
                    };
                    eprintln!("{}\n{text}", found.finding);
                }
            },
        );
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

/// What is known where it arises is known at the end, where it can not be told from the state.
#[test]
fn a_difference_that_is_known_call_by_call_is_known_at_the_end() {
    let Some(linux) = linux() else { return };
    let mut court = court(linux);
    let how = Closeness {
        look: Look::AtEnd,
        ..CLOSELY
    };
    for text in [
        include_str!("../../corpus/regressions/linux-merged-then-asked.vma"),
        include_str!("../../corpus/regressions/linux-merged-then-cut.vma"),
        include_str!("../../corpus/regressions/linux-merged-then-moved.vma"),
    ] {
        let verdict = judge(&mut court, &parse("known", text), how);
        assert!(agrees(&verdict), "{text}{verdict:?}");
    }
}
