//! A serial run marks what the reference's lists say: call by call each mark of the candidate is a
//! step of the reference's list, in its order, about the same object, and no step is left out.
//!
//! Names are paired by the steps that make objects. Where the lists leave the order open, or a step
//! needs no mark, `rules` says so, with the reason.

mod chain;
mod faults;
#[path = "../shared/files.rs"]
mod files;
mod follow;
mod matching;
mod rules;

use std::path::Path;

use files::files;
use vmadiff::designs::{DESIGNS, Planted};
use vmadiff::program::Case;

/// What is wrong with the marks of the programs in these folders.
fn objections(folders: &[&str]) -> Vec<String> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let mut wrong = Vec::new();
    for path in folders
        .iter()
        .flat_map(|folder| files(corpus.join(folder), "vma"))
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
