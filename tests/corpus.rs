//! Every program under corpus/ does on both managers what its text expects, on the design that it
//! names or the first, and survives every form that a program has.

#[path = "shared/files.rs"]
mod files;

use std::path::Path;

use files::files;
use vmadiff::designs::{DESIGNS, Planted};
use vmadiff::expect::{unasked_in, unmet_in};
use vmadiff::judge::Verdict;
use vmadiff::missed::{is_expected, never_came};
use vmadiff::pair::{Pair, pair};
use vmadiff::program::{Case, Program};

/// A pair for each design that programs name; they name few.
#[derive(Default)]
struct Pairs(Vec<Pair>);

impl Pairs {
    /// The pair that a program is to run on.
    fn of(&mut self, case: &Case) -> &mut Pair {
        let design = case.design.unwrap_or(DESIGNS[0]);
        let found = self.0.iter().position(|pair| pair.design() == design);
        let at = found.unwrap_or_else(|| {
            self.0.push(pair(&Planted::nothing(design)));
            self.0.len() - 1
        });
        &mut self.0[at]
    }
}

/// What is wrong with a program.
fn objections(pairs: &mut Pairs, name: &str, text: &str) -> Vec<String> {
    let case = match Case::parse(name, text) {
        Ok(case) => case,
        Err(error) => return vec![error.to_string()],
    };
    let mut wrong = Vec::new();
    let printed = case.to_string();
    match Case::parse(name, &printed) {
        Ok(again) if again == case => {}
        Ok(_) => wrong.push("its text, printed and read, is another program".to_owned()),
        Err(error) => wrong.push(format!("its text does not parse once printed: {error}")),
    }
    if Program::decode(&case.program.encode()) != case.program {
        wrong.push("its bytes are another program".to_owned());
    }
    let ran = pairs.of(&case).observe_twice(&case.program);
    if ran.verdict != Verdict::Agree {
        wrong.push(format!("{:?}", ran.verdict));
    }
    wrong.extend(unmet_in(&case, &ran).iter().map(ToString::to_string));
    wrong.extend(unasked_in(&case, &ran).iter().map(ToString::to_string));
    if is_expected(&case, &ran) {
        let missed = never_came(&case.program, &ran);
        wrong.extend(missed.iter().map(ToString::to_string));
    }
    wrong
}

#[test]
fn programs_do_what_they_expect() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let programs = files(&corpus, "vma");
    assert!(!programs.is_empty());
    let mut pairs = Pairs::default();
    let mut wrong = String::new();
    for path in &programs {
        let name = path.strip_prefix(&corpus).unwrap().display().to_string();
        let text = std::fs::read_to_string(path).unwrap();
        for objection in objections(&mut pairs, &name, &text) {
            wrong += &format!("{name}: {objection}\n");
        }
    }
    assert!(wrong.is_empty(), "{} programs\n{wrong}", programs.len());
    println!("{} programs", programs.len());
}

/// The test above can fail.
#[test]
fn a_wrong_expectation_is_noticed() {
    let mut pairs = Pairs::default();
    let mut check = |text: &str, says: &str| {
        let objections = objections(&mut pairs, "test", text);
        assert!(
            objections.iter().any(|line| line.contains(says)),
            "{objections:?}"
        );
    };
    let map = "mmap(0x1f0000, 0x1000, PROT_READ, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)";
    check("load(0x1f0000) = 0", "expected 0");
    check(&format!("{map} = 0x1f0000 frees #1"), "expected frees #1");
    check(
        &format!("{map}\nmunmap(0x1f0000, 0x1000) frees none"),
        "has frees #1",
    );
    let maps = "maps:\n  001f0000-001f1000 rw-p 00000000 anon";
    check(&format!("{map}\n{maps}"), "areas at the end");
    check("load(0x1000", "test:1:");
    check("load(0x1000)\ndesign: spf\nswitch: +99 -> 2", "never came");
    // Expectations are those of the design that is named: a speculative fault's points do not come there.
    let spf = "2@handle_speculative_fault.mm_users#1 -> 1";
    check(
        &format!(
            "{map} = 0x1f0000\n[2] load(0x1f0000)\nload(0x1f0000)\ndesign: classic\nswitch: {spf}"
        ),
        "the design classic has no such point",
    );
}
