//! The races in corpus/races/ are those of the defects: each program finds what it is about once
//! that is planted, under one of its rules. That all agree without is for tests/corpus.rs.

use std::path::{Path, PathBuf};

use vmadiff::designs::{DESIGNS, Planted, defects, rules};
use vmadiff::judge::Verdict;
use vmadiff::pair::pair;
use vmadiff::program::{Case, Program};
use vmadiff_contract::{DefectInfo, DefectKind};

/// A program, and the defect that it is about. Every interleaved defect has one.
const ABOUT: &[(&str, &str)] = &[
    ("always-writable", "a25-wrong-segv"),
    ("anon-vma-undone", "b1-anon-before-count"),
    ("bounds-then-count", "a6-bounds-before-count"),
    ("cached-while-unmapped", "a23-lookup-by-cache"),
    ("closed-while-forked", "e2-descriptor-unlocked"),
    ("collapse-replaces-the-table", "a10-collapse-unnoticed"),
    ("dontneed-beside-dontneed", "e1-nested-flush-unnoticed"),
    ("entry-cleared-in-the-walk", "n10-upper-read-again"),
    ("lock-freed-before-its-table", "n11-lock-freed-early"),
    ("stack-grows-into-an-unmapping", "munmap-beside-stack"),
    ("table-made-late", "n1-table-made-late"),
    ("evicted-under-load", "evict-unlocked"),
    ("copied-in-vain", "n2-invalidation-not-ended"),
    ("dontneed-twice", "a11-bracket-under-read"),
    ("fork-stale-entry", "a4-fork-without-bracket"),
    ("forked-while-reclaimed", "e7-entries-noted-early"),
    ("found-while-merged", "put-without-grace-period"),
    ("found-while-unmapped", "no-rcu-read-lock"),
    ("found-after-a-split", "a30-index-after-split"),
    ("grown-while-truncated", "e9-truncate-unlocked"),
    ("grows-under-a-first-store", "a31-index-while-growing"),
    ("held-while-merged", "a21-freed-at-once"),
    ("held-while-unmapped", "no-reference"),
    ("mbind-under-a-fault", "a22-policy-without-reference"),
    ("mbind-under-a-fault", "b3-policy-freed-at-once"),
    ("mbind-under-an-allocation", "a22-policy-without-reference"),
    ("mremap-destination-closed", "a1-destination-open"),
    ("mremap-merged-destination-closed", "a1-destination-open"),
    ("mremap-moves-a-table", "a12-table-moved-unlocked"),
    ("mremap-source-closed", "a28-source-open-early"),
    ("node-cleared", "a19-node-not-cleared"),
    ("recheck-under-lock", "skip-last-recheck"),
    ("reclaimed-under-store", "e8-written-out-early"),
    ("reclaimed-while-moved", "move-flushed-late"),
    ("removed-while-mapped-over", "e6-remove-by-old-areas"),
    ("reopened-while-mapped", "e4-descriptor-looked-up-twice"),
    ("scanned-while-truncated", "e5-numa-scan-unlocked"),
    ("table-cleared", "a29-pmd-read-again"),
    ("truncated-while-tables-go", "tables-freed-before-unlink"),
];

/// The first program that is about a defect, with its name.
pub fn about(info: &DefectInfo) -> Option<(&'static str, Program)> {
    let (name, _) = ABOUT.iter().find(|(_, defect)| *defect == info.name)?;
    let case = read(&folder().join(name).with_extension("vma"));
    Some((name, case.program))
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/races")
}

fn read(path: &Path) -> Case {
    let text = std::fs::read_to_string(path).expect("a program");
    Case::parse(&path.display().to_string(), &text).expect("a program")
}

#[test]
fn each_finds_the_defect_that_it_is_about() {
    let mut wrong = Vec::new();
    for &(name, defect) in ABOUT {
        let info = defects(DESIGNS[0]).find(|info| info.name == defect);
        let info = info.expect("a defect of that name");
        let case = read(&folder().join(name).with_extension("vma"));
        let verdict = pair(&Planted::defect(info.name))
            .observe_twice(&case.program)
            .verdict;
        match verdict {
            Verdict::Diverge(found)
                if rules(DESIGNS[0], info).contains(&found.signature.rule.name()) =>
            {
                println!("{defect}: {}", found.what);
            }
            other => wrong.push(format!("{name} with {defect}: {other:#?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is said of an object that was used too late: who freed it before.
#[cfg(feature = "command")]
#[test]
fn a_free_is_told_before_the_use() {
    use vmadiff::report::{WIDTH, explain};
    for &(name, defect) in ABOUT {
        let case = read(&folder().join(name).with_extension("vma"));
        let ran = pair(&Planted::defect(defect)).observe(&case.program);
        let Verdict::Diverge(found) = &ran.verdict else {
            panic!("{name} with {defect} agrees");
        };
        let report = explain(&case.program, found, &ran, "", WIDTH).to_string();
        let (table, _) = report.split_once("\nlife of").unwrap_or((&report, ""));
        for (at, _) in table.match_indices(" used though freed") {
            let object = table[..at].rsplit(char::is_whitespace).next();
            let freed = format!("{} freed", object.expect("an object"));
            let mut lines = table[..at].lines();
            let told = lines.any(|line| line.trim_start().starts_with(&freed));
            assert!(told, "{name} with {defect}: no `{freed}`\n{report}");
        }
    }
}

#[test]
fn every_interleaved_defect_has_one() {
    let interleaved = defects(DESIGNS[0]).filter(|d| d.kind == DefectKind::Interleaved);
    let missing = interleaved.filter(|info| about(info).is_none());
    let missing: Vec<_> = missing.map(|info| info.name).collect();
    assert!(missing.is_empty(), "no race is about {missing:?}");
}

#[test]
fn each_has_a_schedule_and_one_line_about_it() {
    let entries = std::fs::read_dir(folder()).expect("a folder");
    let paths: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    assert!(paths.len() >= 25, "{} programs", paths.len());
    for path in paths {
        let case = read(&path);
        let name = path.file_stem().expect("a name").to_string_lossy();
        assert!(!case.program.schedule.is_serial(), "{name} has no schedule");
        let about: Vec<_> = case.comments.iter().map(|(_, line)| line).collect();
        assert!(
            about.len() == 1 && about[0].contains(&*name),
            "{name}: {about:?}"
        );
    }
}
