//! What `docs/designs.md` says happens: every command of it is run, and prints what is shown there.
//! Every repaired design agrees with the reference on the corpus, and what was posted does not, by bugs
//! that have names.

#[path = "shared/files.rs"]
mod files;
#[path = "shared/page.rs"]
mod page;

use std::collections::BTreeSet;
use std::path::PathBuf;

use files::files;
use page::{commands, is_shown, root, run};
use vmadiff::designs::{DESIGNS, Planted, from_name};
use vmadiff::judge::{Signature, Verdict};
use vmadiff::pair::{Pair, pair};
use vmadiff::program::Case;

/// The page.
const PAGE: &str = "docs/designs.md";
/// The page with the table of defects by their signatures.
const SIGNATURES: &str = "docs/signatures.md";

#[test]
fn every_command_prints_what_is_shown() {
    let page = std::fs::read_to_string(root().join(PAGE)).expect("the page");
    let commands = commands(&page);
    assert!(commands.len() >= 8, "only {} commands", commands.len());
    for (command, shown) in commands {
        let output = run(&command);
        let said = String::from_utf8_lossy(&output.stdout);
        let failed = String::from_utf8_lossy(&output.stderr);
        // One shown line of `…` alone stands for any number of lines.
        let mut lines = said.lines().peekable();
        for shown in &shown {
            let line = lines.next();
            let fits = line.is_some_and(|line| is_shown(line, shown));
            assert!(
                fits,
                "`{command}` printed\n{said}{failed}\nwhere {PAGE} shows\n{shown}"
            );
            while shown.trim() == "…" && lines.next_if(|next| next.starts_with("  ")).is_some() {}
        }
        let left: Vec<_> = lines.collect();
        assert!(
            left.is_empty(),
            "`{command}` printed more than {PAGE} shows: {left:?}"
        );
    }
}

#[test]
fn a_line_is_compared_around_what_is_left_open() {
    assert!(is_shown("864 programs, 0 diverge", "… programs, 0 diverge"));
    assert!(is_shown("program 7: a/b", "program …"));
    assert!(!is_shown(
        "864 programs, 10 diverge",
        "… programs, 0 diverge"
    ));
    assert!(!is_shown(
        "1 programs, 1 diverge, too",
        "… programs, 1 diverge"
    ));
    assert!(!is_shown("nothing", ""));
}

/// The programs of these folders of the corpus.
fn cases(folders: &[&str]) -> Vec<(PathBuf, Case)> {
    let files = folders
        .iter()
        .flat_map(|folder| files(format!("corpus/{folder}"), "vma"));
    let read = |file: PathBuf| {
        let text = std::fs::read_to_string(&file).expect("a text");
        let case = Case::parse(&file.display().to_string(), &text).expect("a program");
        (file, case)
    };
    files.map(read).collect()
}

/// How a program diverges.
fn diverges(pair: &mut Pair, case: &Case) -> Option<Signature> {
    match pair.run(&case.program, &mut ())?.verdict {
        Verdict::Diverge(found) => Some(found.signature),
        Verdict::Agree | Verdict::Skip(_) => None,
    }
}

#[test]
fn every_repaired_design_agrees() {
    let cases = cases(&["conformance", "regressions", "races"]);
    assert!(cases.len() > 450, "only {} programs", cases.len());
    for design in DESIGNS.iter().filter(|design| !design.as_posted) {
        let mut pair = pair(&Planted::nothing(design));
        for (file, case) in &cases {
            let found = diverges(&mut pair, case);
            assert_eq!(found, None, "{}: {file:?}", design.name);
        }
    }
}

/// What was posted goes wrong, by its own bugs: each program that diverges does so, in the same way,
/// where one of them stands alone, or two do where one opens what the other opens again.
#[test]
fn what_was_posted_diverges_by_a_bug_that_has_a_name() {
    let cases = cases(&["conformance", "regressions", "races"]);
    for design in DESIGNS.iter().filter(|design| design.as_posted) {
        let repaired = from_name(design.form_of.expect("a form")).expect("a design");
        let mut bugs: Vec<_> = design
            .posted()
            .map(|bug| {
                let planted = Planted::new(repaired, &[bug]).expect("a defect");
                (bug, pair(&planted), 0)
            })
            .collect();
        let mut posted = pair(&Planted::nothing(design));
        for (file, case) in &cases {
            let Some(found) = diverges(&mut posted, case) else {
                continue;
            };
            let mut named = false;
            for (_, alone, count) in &mut bugs {
                if diverges(alone, case).as_ref() == Some(&found) {
                    (named, *count) = (true, *count + 1);
                }
            }
            let of_two = || {
                let bugs: Vec<&str> = bugs.iter().map(|(bug, ..)| *bug).collect();
                let mut all = bugs
                    .iter()
                    .flat_map(|one| bugs.iter().map(move |two| [*one, *two]));
                all.find(|two| {
                    let planted = Planted::new(repaired, two).expect("two defects");
                    two[0] < two[1] && diverges(&mut pair(&planted), case).as_ref() == Some(&found)
                })
            };
            assert!(
                named || of_two().is_some(),
                "{file:?}: {found}, of no bug alone, nor of two"
            );
        }
        for (bug, _, count) in &bugs {
            println!("{bug}: {count} programs");
        }
        let silent: Vec<_> = bugs.iter().filter(|(.., count)| *count == 0).collect();
        let silent: Vec<_> = silent.iter().map(|(bug, ..)| bug).collect();
        assert!(silent.is_empty(), "no program diverges by {silent:?}");
    }
}

/// The list of deviations is of the code: each mark stands there, and each that stands there is listed.
#[test]
fn every_deviation_is_marked_where_it_is() {
    let mut marked = BTreeSet::new();
    for file in files("candidate", "rs") {
        let text = std::fs::read_to_string(&file).expect("a source");
        let text = text.replace("\n//!", " ").replace("\n    ///", " ");
        let marks = text.split("Deviation").skip(1);
        marked.extend(marks.filter_map(|rest| {
            let rest = rest.trim_start().strip_prefix('(')?;
            Some(rest.split_once(')')?.0.to_owned())
        }));
    }
    let lists = DESIGNS.iter().flat_map(|design| design.deviations);
    let all = lists.copied().flatten();
    let listed: BTreeSet<String> = all.map(|deviation| deviation.mark.to_owned()).collect();
    assert_eq!(marked, listed);
}

#[test]
fn a_deviation_is_undone_by_a_defect() {
    for design in DESIGNS {
        let lists = design.deviations.iter().copied().flatten();
        for deviation in lists {
            let Some(undone) = deviation.undone_by else {
                continue;
            };
            let mut declared = design.defects.iter().copied().flatten();
            let exists = declared.any(|info| info.name == undone);
            assert!(exists, "{}: {undone}", design.name);
        }
        for unshown in design.unshown {
            let mut declared = design.defects.iter().copied().flatten();
            let exists = declared.any(|info| info.name == *unshown);
            assert!(exists, "{}: {unshown}", design.name);
        }
    }
}

/// Tables that runs are counted for: they change with the programs that are generated.
const COUNTED: [&str; 4] = ["faults", "counts", "bugs", "signatures"];

/// The tables between `<!-- vmadiff designs --table … -->` and `<!-- end -->` of a page are as the command
/// prints them; with UPDATE_GOLDEN=1 they are written. Returns how many.
fn compare_tables(page: &str, counted: bool) -> usize {
    let path = root().join(page);
    let name = page;
    let page = std::fs::read_to_string(&path).expect("the page");
    let (mut made, mut tables) = (String::new(), 0);
    let mut rest = page.as_str();
    while let Some((before, after)) = rest.split_once("<!-- vmadiff ") {
        let (command, after) = after.split_once(" -->\n").expect("the end of a comment");
        let (table, after) = after
            .split_once("<!-- end -->")
            .expect("the end of a table");
        let is_counted = COUNTED.iter().any(|name| command.contains(name));
        let table = if is_counted == counted {
            tables += 1;
            let output = run(&format!("vmadiff {command}"));
            assert!(output.status.success(), "{command}: {output:?}");
            format!("\n{}\n", String::from_utf8_lossy(&output.stdout))
        } else {
            table.to_owned()
        };
        made += &format!("{before}<!-- vmadiff {command} -->\n{table}<!-- end -->");
        rest = after;
    }
    made += rest;
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, made).expect("the page is written");
    } else {
        assert!(made == page, "UPDATE_GOLDEN=1 writes {name} anew");
    }
    tables
}

#[test]
fn tables_are_as_the_command_prints_them() {
    let tables = compare_tables(PAGE, false);
    assert!(tables >= 2, "only {tables} tables");
}

#[test]
#[ignore = "runs thousands of programs; .ci/weekly does"]
fn tables_of_runs_are_as_the_command_prints_them() {
    let tables = compare_tables(PAGE, true) + compare_tables(SIGNATURES, true);
    assert_eq!(tables, COUNTED.len());
}
