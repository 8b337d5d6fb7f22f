//! Each serial defect is found within a bounded number of programs, under the rule that it
//! declares; the program that found it agrees without the defect; and without any nothing is found.

use vmadiff::judge::{Rule, Verdict};
use vmadiff::program::Program;
use vmadiff::program::mutate::{Profile, generate};
use vmadiff::run::{Ran, Runner};
use vmadiff::shrink::{Attempt, shrink};
use vmadiff_candidate::{Candidate, DEFECTS, Defect, DefectInfo, DefectKind, Defects};
use vmadiff_contract::Manager;
use vmadiff_reference::Reference;

/// Programs in which each defect must show itself.
const PROGRAMS: u64 = 20_000;

/// Programs that must agree without a defect.
const AGREEING: u64 = 20_000;

/// Every search begins here.
const SEED: u64 = 1;

type Pair = Runner<Reference, Candidate>;

fn pair(defects: Defects) -> Pair {
    let candidate = move |config: &_, events| Candidate::with_defects(config, events, defects);
    Runner::new(Reference::new, candidate)
}

/// The first program that a pair of managers disagrees on, and how many were tried.
fn first_found(runner: &mut Pair, programs: u64) -> Option<(u64, Program, Box<Ran>)> {
    let profile = Profile {
        calls: runner.known(),
        ..Profile::default()
    };
    (0..programs).find_map(|tried| {
        let program = generate(SEED + tried, &profile);
        let ran = runner.run(&program, &mut ())?;
        Some((tried + 1, program, ran))
    })
}

fn rule(verdict: &Verdict) -> Option<Rule> {
    match verdict {
        Verdict::Diverge(found) => Some(found.signature.rule),
        Verdict::Agree | Verdict::Skip(_) => None,
    }
}

#[test]
fn without_a_defect_nothing_is_found() {
    if let Some((tried, program, ran)) = first_found(&mut pair(Defects::NONE), AGREEING) {
        panic!("program {tried}:\n{program}{:#?}", ran.verdict);
    }
}

#[test]
fn each_serial_defect_is_found_under_its_rule() {
    let serial = DEFECTS.iter().filter(|d| d.kind == DefectKind::Serial);
    let wrong: Vec<_> = serial.filter_map(|defect| found(defect).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Looks for a defect; what is wrong with how it was found.
fn found(info: &DefectInfo) -> Result<(), String> {
    let DefectInfo {
        defect,
        name,
        rules,
        ..
    } = *info;
    let mut runner = pair(Defects::only(defect));
    let Some((tried, program, ran)) = first_found(&mut runner, PROGRAMS) else {
        return Err(format!("{name}: not found in {PROGRAMS} programs"));
    };
    let fired = rule(&ran.verdict);
    let small = shrink(&program, |smaller| {
        let same = rule(&runner.observe(smaller).verdict) == fired;
        if same { Attempt::Same } else { Attempt::Other }
    });
    let small = small.program;
    if fired.is_none_or(|rule| !rules.contains(&rule.name())) {
        return Err(format!("{name}: found as {:#?}\n{small}", ran.verdict));
    }
    let without = pair(Defects::NONE).observe_twice(&small).verdict;
    if without != Verdict::Agree {
        return Err(format!("{name}: without it {without:#?}\n{small}"));
    }
    println!(
        "{name}: {} after {tried} programs\n{small}",
        fired.expect("fired").name()
    );
    Ok(())
}

#[test]
fn defects_declare_rules_that_exist() {
    for DefectInfo { name, rules, .. } in DEFECTS {
        for rule in *rules {
            assert!(Rule::from_name(rule).is_some(), "{name} declares `{rule}`");
        }
    }
}

#[test]
fn a_defect_is_off_where_another_is_on() {
    let only = Defects::only(Defect::MajorLost);
    assert!(only.has(Defect::MajorLost) && !only.has(Defect::ExecUnchecked));
}
