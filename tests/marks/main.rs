//! A serial run marks what the reference's lists say: call by call each mark of the candidate is a
//! step of the reference's list, in its order, about the same object, and no step is left out.
//!
//! Names are paired by the steps that make objects. Where the lists leave the order open, or a step
//! needs no mark, `rules` says so, with the reason.

mod chain;
mod faults;
mod follow;
mod matching;
mod rules;

use std::path::{Path, PathBuf};

use vmadiff::designs::{DESIGNS, Planted};
use vmadiff::program::Case;

/// All text programs in a folder, in order.
fn programs(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() {
            found.extend(programs(&path));
        } else if path.extension().is_some_and(|extension| extension == "vma") {
            found.push(path);
        }
    }
    found
}

/// What is wrong with the marks of the programs in these folders.
fn objections(folders: &[&str]) -> Vec<String> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let mut wrong = Vec::new();
    for path in folders
        .iter()
        .flat_map(|folder| programs(&corpus.join(folder)))
    {
        let name = path.strip_prefix(&corpus).unwrap().display().to_string();
        let text = std::fs::read_to_string(&path).unwrap();
        let case = Case::parse(&name, &text).expect("a program");
        for design in DESIGNS.iter().filter(|design| !design.as_posted) {
            let found = follow::objections(&case.program, &Planted::nothing(design));
            wrong.extend(found.map(|it| format!("{name} ({}): {it}", design.name)));
        }
    }
    wrong
}

#[test]
fn a_serial_run_marks_the_steps_of_the_lists() {
    let wrong = objections(&["conformance", "regressions"]);
    assert!(
        wrong.is_empty(),
        "{}\n{} programs",
        wrong.join("\n"),
        wrong.len()
    );
}
