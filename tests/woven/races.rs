//! The programs of corpus/races, under many schedules besides the one that they are there for.

use std::path::PathBuf;

use vmadiff::designs::Planted;
use vmadiff::judge::Verdict;
use vmadiff::program::{Case, Policy, Program};

use crate::number;
use crate::weave::Loom;

/// The programs, by file name.
fn races() -> Vec<(String, Program)> {
    let folder = std::env::var_os("WOVEN_RACES").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/races")),
        PathBuf::from,
    );
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder of races")
        .map(|entry| entry.expect("a file").path())
        .collect();
    files.sort();
    let read = |path: PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let text = std::fs::read_to_string(&path).expect("text");
        let case = Case::parse(&name, &text).expect("a program");
        (name.into_owned(), case.program)
    };
    files.into_iter().map(read).collect()
}

#[test]
fn races_are_agreed_to_under_any_schedule() {
    let count = number("WOVEN_SEEDS", 20);
    let defects = std::env::var("WOVEN_DEFECT").map(|name| Planted::defect(&name));
    let mut loom = Loom::new(&defects.unwrap_or_default());
    let mut wrong = Vec::new();
    for (name, mut program) in races() {
        program.schedule.switches.clear();
        for policy in [Policy::RandomWalk, Policy::Pct, Policy::Pos, Policy::Surw] {
            for seed in 1..=count {
                (program.schedule.policy, program.schedule.seed) = (policy, seed);
                match loom.run(&program) {
                    Some(Verdict::Agree) => {}
                    other => wrong.push(format!("{name}: {other:?}\n{program}\n{}", loom.trace())),
                }
            }
        }
    }
    let few = &wrong[..wrong.len().min(number("WOVEN_SHOW", 2) as usize)];
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), few.join("\n"));
}
