//! What is said beside verdicts, on standard error: that a program was made by another version, that not
//! all was run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use vmadiff::designs::Planted;
use vmadiff::missed::never_came;
use vmadiff::pair::Ran;
use vmadiff::program::Case;

use super::Planned;
use super::outcome::Outcome;
use crate::artifacts::Provenance;
use crate::cli::output::{warn, warn_once};

/// Says on standard error how this program differs from the one that made an artifact.
pub fn warn_of_differences(file: &Path, case: &Case, planted: &Planted) {
    for difference in differences(case, &Provenance::here(Some(planted))) {
        warn(file, &difference);
    }
}

/// Says on standard error which switches of this program never came.
pub fn warn_of_missed(file: &Path, case: &Case, ran: &Ran) {
    for missed in never_came(&case.program, ran) {
        warn(file, &missed.to_string());
    }
}

/// The same for the artifacts of a folder, each difference once.
pub fn sum_up_differences<'a>(read: impl Iterator<Item = (&'a PathBuf, &'a Result<Planned>)>) {
    let mut all: BTreeMap<String, Vec<&Path>> = BTreeMap::new();
    for (file, planned) in read {
        let Ok(Planned { input, planted }) = planned else {
            continue;
        };
        for difference in differences(&input.case, &Provenance::here(Some(planted))) {
            all.entry(difference).or_default().push(file);
        }
    }
    for (difference, files) in all {
        warn_once(&files, &difference);
    }
}

/// Says on standard error what the table of a folder and JUnit's XML have no place for: programs that
/// agree, and whose races were not run.
pub fn sum_up_races(outcomes: &[Outcome]) {
    let sum_up = |is: fn(&Outcome) -> bool, what: &str| {
        let files = outcomes.iter().filter(|outcome| is(outcome));
        let files: Vec<&Path> = files.map(|outcome| outcome.file.as_path()).collect();
        warn_once(&files, what);
    };
    sum_up(
        |outcome| outcome.of_another_design,
        "what it expects is of another design, and is not checked",
    );
    sum_up(
        |outcome| outcome.never_came,
        "has a switch that never came; --json tells which, and why",
    );
}

/// Says at the end, where it is seen, that not all was run.
pub fn sum_up_unreadable(outcomes: &[Outcome]) {
    let unreadable = outcomes.iter().filter(|outcome| outcome.error.is_some());
    let unreadable: Vec<&Path> = unreadable.map(|outcome| outcome.file.as_path()).collect();
    warn_once(&unreadable, "could not be read: see above");
}

fn differences(case: &Case, here: &Provenance) -> Vec<String> {
    let mut comments = case.comments.iter();
    let made_by = comments.find_map(|(_, comment)| Provenance::parse(comment));
    made_by.map_or_else(Vec::new, |made_by| made_by.differences(here))
}
