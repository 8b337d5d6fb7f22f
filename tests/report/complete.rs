//! Every report on a race of the corpus says what it knows, with any defect planted: nothing is left
//! empty or said twice, and the headline, the program and the table tell of the same step.

use vmadiff::designs::{DESIGNS, Planted, defects};
use vmadiff::judge::Verdict;
use vmadiff::pair::pair;
use vmadiff::program::{Case, Program};
use vmadiff::report::{WIDTH, explain};
use vmadiff_contract::DefectKind;

use crate::files::files;

/// The races of the corpus, with their names.
fn races() -> Vec<(String, Program)> {
    let read = |file: std::path::PathBuf| {
        let text = std::fs::read_to_string(&file).expect("a text");
        let name = file.display().to_string();
        let case = Case::parse(&name, &text).expect("a program");
        (name, case.program)
    };
    files("corpus/races", "vma").into_iter().map(read).collect()
}

/// What a report lacks, or says twice.
fn lacks(report: &str) -> Vec<&'static str> {
    let mut lacks = Vec::new();
    let headline = report.lines().next().unwrap_or_default();
    let (above, table) = report
        .split_once("\nthreads, a column each:\n")
        .unwrap_or((report, ""));
    let told = || {
        headline
            .lines()
            .chain(above.lines().skip_while(|line| !line.starts_with("where ")))
    };
    if told().any(|line| line.trim_end().ends_with("()") && line.contains(" ()")) {
        lacks.push("a step is about `()`");
    }
    if told().any(|line| line != line.trim_end()) {
        lacks.push("a line ends in the middle");
    }
    let twice = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let word = |word: &str| word.len() > 2 && word.chars().all(char::is_alphabetic);
        words
            .windows(2)
            .any(|pair| word(pair[0]) && pair[0] == pair[1])
    };
    if told().any(twice) {
        lacks.push("a word stands twice");
    }
    let finds = |line: &str| {
        let found = line.split_once(" finds that ").map(|(_, found)| found);
        found.is_some_and(|found| !found.contains(" is ") && !found.contains(" has "))
    };
    if told().any(finds) {
        lacks.push("it finds that, and no verb");
    }
    if headline.contains("they part at ") {
        if !table.contains(") they part here") {
            lacks.push("the table does not show where they part");
        }
        if !above.lines().any(|line| line.starts_with(" >")) {
            lacks.push("no call of the program is marked");
        }
    }
    let shown = [") made so here", ") freed here", ") unlinked here"];
    if headline.contains(", since `") && !shown.iter().any(|note| table.contains(note)) {
        lacks.push("the table does not show what made it so");
    }
    lacks
}

#[test]
fn every_report_on_a_race_says_what_it_knows() {
    let races = races();
    let (mut reports, mut wrong) = (0, Vec::new());
    for design in DESIGNS.iter().filter(|design| !design.as_posted) {
        for defect in defects(design).filter(|info| info.kind == DefectKind::Interleaved) {
            let planted = Planted::new(design, &[defect.name]).expect("a defect");
            let mut pair = pair(&planted);
            for (name, program) in &races {
                let Some(ran) = pair.run(program, &mut ()) else {
                    continue;
                };
                let Verdict::Diverge(found) = &ran.verdict else {
                    continue;
                };
                if found.parting.is_none() {
                    continue;
                }
                reports += 1;
                let report = explain(program, found, &ran, "", WIDTH).to_string();
                for lack in lacks(&report) {
                    wrong.push(format!(
                        "{} with {}, {name}: {lack}\n{}",
                        design.name,
                        defect.name,
                        report.lines().next().unwrap_or_default()
                    ));
                }
            }
        }
    }
    assert!(reports > 100, "only {reports} reports");
    assert!(
        wrong.is_empty(),
        "{} of {reports}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// The checks themselves: a report with each flaw lacks something, and one without lacks nothing.
#[test]
fn what_a_report_lacks_is_noticed() {
    let good = "divergence: x: they part at `a.b` of call 1 (load), since `c.d` of call 2 (munmap): #1\n\
                \nprogram:\n >   1  load(0x1f0000) = 0\n\nwhere they part:\n  legal `a.b` finds that #1 is no more\n\
                \nthreads, a column each:\n  one  (1) made so here\n  two  (2) they part here\n";
    assert_eq!(lacks(good), Vec::<&str>::new());
    for (from, to) in [
        ("): #1\n", "): \n"),
        ("finds that #1 is no more", "finds that areas of mm 1"),
        ("  legal `a.b`", "  made so by `a.b` ()"),
        ("is no more", "is is no no more more more"),
        ("(2) they part here", ""),
        ("(1) made so here", ""),
        (" >   1", "     1"),
    ] {
        let flawed = good.replacen(from, to, 1);
        let flawed = if from.contains("legal") {
            flawed.replace(" finds that #1 is no more", "")
        } else {
            flawed
        };
        assert_ne!(lacks(&flawed), Vec::<&str>::new(), "{flawed}");
    }
}
