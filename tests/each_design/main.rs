//! Each design by its own races, and by those of all: a race finds the defect that it is about once
//! that is planted, and without it every schedule with few preemptions agrees, on every design.
//!
//! That a race agrees by its own schedule, in which all its switches come, is for tests/corpus.rs; on
//! a design that it was not written for they need not come, and it is explored all the same.
//! `EACH_DESIGN` names the one design that is explored, `EACH_SCHEDULES` how many schedules with two
//! preemptions besides all with one.

#[path = "../shared/files.rs"]
mod files;
mod races;

use std::path::Path;

use files::files;
use vmadiff::designs::{DESIGNS, Planted, defects, from_name, rules};
use vmadiff::judge::{Signature, Verdict};
use vmadiff::pair::{Pair, pair};
use vmadiff::program::mutate::{Flavour, generate};
use vmadiff::program::{Case, Program};
use vmadiff_contract::{DefectInfo, DefectKind, DesignInfo};
use vmadiff_interleave::policy::Bounded;
use vmadiff_interleave::sim::What;
use vmadiff_machine::defects::DEFECTS as OF_THE_MACHINE;

/// Fresh programs in which a serial defect must show itself.
const PROGRAMS: u64 = 20_000;

/// Runs of a race with one preemption, above which it is not explored to its end.
const ONE_PREEMPTION: u64 = 4000;

/// The races of the corpus.
fn race(name: &str) -> Case {
    let path = Path::new("corpus/races").join(name).with_extension("vma");
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(path))
}

fn read(path: &Path) -> Case {
    let text = std::fs::read_to_string(path).expect("a text");
    Case::parse(&path.display().to_string(), &text).expect("a program")
}

/// The design with one defect, beside the reference.
fn planted(design: &'static DesignInfo, defect: &str) -> Pair {
    pair(&Planted::new(design, &[defect]).expect("a defect of the design"))
}

/// The defects that a design declares itself, beside the machine's.
fn own(design: &'static DesignInfo) -> impl Iterator<Item = &'static DefectInfo> {
    let of_the_machine = |info: &DefectInfo| OF_THE_MACHINE.iter().any(|it| it.name == info.name);
    defects(design).filter(move |info| !of_the_machine(info))
}

/// The designs that are no form of another, but for the first, whose defects tests/defects is for.
fn others() -> impl Iterator<Item = &'static DesignInfo> {
    let all = DESIGNS.iter().copied().skip(1);
    all.filter(|design| design.form_of.is_none())
}

/// How a program diverges, if it does by one of a defect's rules.
fn fired(pair: &mut Pair, info: &DefectInfo, program: &Program) -> Option<Signature> {
    let ran = pair.run(program, &mut ())?;
    let design = pair.design();
    match ran.verdict {
        Verdict::Diverge(found) => {
            let rule = found.signature.rule.name();
            rules(design, info)
                .contains(&rule)
                .then_some(found.signature)
        }
        Verdict::Agree | Verdict::Skip(_) => None,
    }
}

#[test]
fn each_race_finds_the_defect_that_it_is_about() {
    let mut wrong = Vec::new();
    for &(design, name, defect) in races::ABOUT {
        let (design, case) = (from_name(design).expect("a design"), race(name));
        assert_eq!(case.design, Some(design), "{name}");
        let info = defects(design).find(|info| info.name == defect);
        let info = info.expect("a defect of the design");
        match fired(&mut planted(design, defect), info, &case.program) {
            Some(signature) => println!("{name}: {defect} as {signature}"),
            None => wrong.push(format!("{name} does not show {defect}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_defect_of_a_design_has_its_race_or_is_found_by_fresh_programs() {
    let mut missed = Vec::new();
    for info in others().flat_map(own) {
        let has_race = races::ABOUT.iter().any(|(.., about)| *about == info.name);
        let found = match info.kind {
            DefectKind::Interleaved => has_race,
            DefectKind::Serial => has_race || is_found(info),
        };
        if !found {
            missed.push(info.name);
        }
    }
    assert!(missed.is_empty(), "{missed:?}");
}

fn is_found(info: &DefectInfo) -> bool {
    let mut pair = pair(&Planted::defect(info.name));
    let profile = pair.profile(Flavour::Serial);
    let mut programs = (0..PROGRAMS).map(|seed| generate(seed, &profile));
    programs.any(|program| fired(&mut pair, info, &program).is_some())
}

/// How many calls of a race stand before the first that meets another; none: no two meet.
fn ground(case: &Case) -> Option<usize> {
    let design = case.design.unwrap_or(DESIGNS[0]);
    let woven = pair(&Planted::nothing(design))
        .observe(&case.program)
        .woven?;
    let mut running: Vec<u32> = Vec::new();
    let mut met = Vec::new();
    for step in woven.trace.steps() {
        match step.what {
            What::Begin(call) => {
                if !running.is_empty() {
                    met.extend(running.iter().copied().chain([call]));
                }
                running.push(call);
            }
            What::End(call) => running.retain(|other| *other != call),
            _ => {}
        }
    }
    met.into_iter().min().map(|call| call as usize)
}

/// The designs to explore.
fn asked() -> impl Iterator<Item = &'static DesignInfo> {
    let one = std::env::var("EACH_DESIGN").ok();
    let repaired = DESIGNS.iter().copied().filter(|design| !design.as_posted);
    repaired.filter(move |design| one.as_deref().is_none_or(|name| name == design.name))
}

#[test]
fn every_race_agrees_by_all_schedules_with_few_preemptions() {
    let more: u64 = std::env::var("EACH_SCHEDULES").map_or(0, |n| n.parse().expect("a number"));
    let cases: Vec<_> = files("corpus/races", "vma")
        .iter()
        .map(|path| (path.file_stem().unwrap().to_owned(), read(path)))
        .filter_map(|(name, case)| ground(&case).map(|ground| (name, case, ground)))
        .collect();
    assert!(cases.len() > 50, "only {} races", cases.len());
    for design in asked() {
        let mut pair = pair(&Planted::nothing(design));
        let (mut schedules, mut complete) = (0, 0);
        for (name, case, ground) in &cases {
            let mut explore = |mut search: Bounded| {
                let explored = pair.explore(&case.program, *ground, &mut search);
                explored.unwrap_or_else(|found| {
                    let (shown, ran) = *found;
                    panic!("{}, {name:?}:\n{shown}{:#?}", design.name, ran.verdict)
                })
            };
            let one = explore(Bounded::new(1).with_limit(ONE_PREEMPTION));
            complete += usize::from(one.complete);
            schedules += one.schedules;
            if more > 0 {
                schedules += explore(Bounded::new(2).with_limit(more)).schedules;
            }
        }
        println!(
            "{}: {schedules} schedules of {} races, of {complete} all with one preemption",
            design.name,
            cases.len()
        );
        assert!(complete * 2 > cases.len(), "{}: {complete}", design.name);
    }
}

/// Exploring finds what the races were written for.
#[test]
fn exploring_a_race_shows_its_defect() {
    let of_the_first = [
        (DESIGNS[0].name, "recheck-under-lock", "skip-last-recheck"),
        (DESIGNS[0].name, "found-while-unmapped", "no-rcu-read-lock"),
    ];
    for &(design, name, defect) in of_the_first.iter().chain(races::ABOUT) {
        let case = race(name);
        let ground = ground(&case).expect("calls that meet");
        let mut pair = planted(from_name(design).expect("a design"), defect);
        let few = case.program.schedule.switches.len() as u32;
        let mut search = Bounded::new(few).with_limit(20_000);
        let found = pair.explore(&case.program, ground, &mut search);
        println!(
            "{name}: {}",
            if found.is_err() { "shown" } else { "not shown" }
        );
        if few == 1 {
            assert!(found.is_err(), "{name}: {defect}");
        }
    }
}
