//! Each serial defect is found within a bounded number of programs, under the rule that it
//! declares; its program shrinks to one of which no call and no switch can be left out, which agrees
//! without the defect; and without any nothing is found. With `--nocapture` the figures are printed.

mod figures;

use figures::{Figures, processor_time};
use vmadiff::judge::{Rule, Signature, Verdict};
use vmadiff::program::mutate::{Flavour, Profile, generate};
use vmadiff::program::{Case, Program};
use vmadiff::run::{Ran, Runner};
use vmadiff::shrink::{Attempt, Passes, Shrunk, shrink};
use vmadiff_candidate::{Candidate, DEFECTS, Defect, DefectInfo, DefectKind, Defects};
use vmadiff_contract::Manager;
use vmadiff_reference::Reference;

/// Programs in which each defect must show itself.
const PROGRAMS: u64 = 20_000;

/// Programs that must agree without a defect.
const AGREEING: u64 = 20_000;

/// Every search begins here.
const SEED: u64 = 1;

/// Defects that show themselves too seldom for that, each with a conformance program that it fails.
const BY_PROGRAM: &[(Defect, &str)] = &[(
    // One allocation of one merge must fail.
    Defect::AdjustLeavesOpen,
    include_str!("../../corpus/conformance/mmap/merge-gap-import-fails.vma"),
)];

type Pair = Runner<Reference, Candidate>;

fn pair(defects: Defects) -> Pair {
    let candidate = move |config: &_, events| Candidate::with_defects(config, events, defects);
    Runner::new(Reference::new, candidate)
}

/// The first program that a pair of managers disagrees on, and how many were tried.
fn first_found(
    runner: &mut Pair,
    programs: u64,
    flavour: Flavour,
) -> Option<(u64, Program, Box<Ran>)> {
    let calls = runner.known();
    let profile = Profile { flavour, calls };
    (0..programs).find_map(|tried| {
        let program = generate(SEED + tried, &profile);
        let ran = runner.run(&program, &mut ())?;
        signature(&ran.verdict)?;
        Some((tried + 1, program, ran))
    })
}

/// The same for one program that is known.
fn by_program(runner: &mut Pair, text: &str) -> Option<(u64, Program, Box<Ran>)> {
    let program = Case::parse("known", text).expect("a program").program;
    let ran = runner.run(&program, &mut ())?;
    Some((1, program, ran))
}

fn signature(verdict: &Verdict) -> Option<&Signature> {
    match verdict {
        Verdict::Diverge(found) => Some(&found.signature),
        Verdict::Agree | Verdict::Skip(_) => None,
    }
}

#[test]
fn without_a_defect_nothing_is_found() {
    if let Some((tried, program, ran)) =
        first_found(&mut pair(Defects::NONE), AGREEING, Flavour::Serial)
    {
        panic!("program {tried}:\n{program}{:#?}", ran.verdict);
    }
}

#[test]
fn each_serial_defect_is_found_under_its_rule_and_shrinks() {
    let serial = DEFECTS.iter().filter(|d| d.kind == DefectKind::Serial);
    let mut figures = Figures::default();
    let wrong: Vec<_> = serial
        .filter_map(|defect| found(defect, &mut figures).err())
        .collect();
    println!("{figures}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Looks for a defect and shrinks what shows it; what is wrong with how it was found.
fn found(info: &DefectInfo, figures: &mut Figures) -> Result<(), String> {
    let DefectInfo {
        defect,
        name,
        rules,
        ..
    } = *info;
    let mut runner = pair(Defects::only(defect));
    let known = BY_PROGRAM.iter().find(|(of, _)| *of == defect);
    let found = match known {
        Some((_, text)) => by_program(&mut runner, text),
        None => first_found(&mut runner, PROGRAMS, Flavour::Serial),
    };
    let Some((tried, program, ran)) = found else {
        return Err(format!("{name}: not found in {PROGRAMS} programs"));
    };
    let fired = signature(&ran.verdict).filter(|s| rules.contains(&s.rule.name()));
    let Some(fired) = fired else {
        return Err(format!("{name}: found as {:#?}\n{program}", ran.verdict));
    };
    let start = processor_time();
    let small = shrunk(&mut runner, &program, fired);
    figures.add(&program, &small, processor_time() - start);
    let small = small.program;
    println!("{name}: {fired} after {tried} programs\n{small}");
    can_go(&mut runner, &small, fired).map_or(Ok(()), |what| {
        Err(format!("{name}: {what} can be left out of\n{small}"))
    })?;
    let without = pair(Defects::NONE).observe_twice(&small).verdict;
    if without != Verdict::Agree {
        return Err(format!("{name}: without it {without:#?}\n{small}"));
    }
    Ok(())
}

fn shrunk(runner: &mut Pair, program: &Program, wanted: &Signature) -> Shrunk {
    let shrunk = shrink(program, |smaller| {
        let ran = runner.observe(smaller);
        if signature(&ran.verdict) != Some(wanted) {
            return Attempt::Other;
        }
        let woven = ran.woven.as_deref();
        woven.map_or(Attempt::Same, |woven| Attempt::Woven(Passes::of(woven)))
    });
    assert!(shrunk.finished);
    shrunk
}

/// A call or a switch without which the program still diverges as wanted.
fn can_go(runner: &mut Pair, program: &Program, wanted: &Signature) -> Option<String> {
    let without_call = (0..program.calls.len()).map(|index| {
        let mut less = program.clone();
        less.calls.remove(index);
        (format!("call {}", index + 1), less)
    });
    let without_switch = (0..program.schedule.switches.len()).map(|index| {
        let mut less = program.clone();
        less.schedule.switches.remove(index);
        (format!("switch {}", index + 1), less)
    });
    let mut fewer = without_call.chain(without_switch);
    fewer
        .find(|(_, less)| signature(&runner.observe(less).verdict) == Some(wanted))
        .map(|(what, _)| what)
}

/// Programs in which races are looked for.
const RACING: u64 = 300;

/// What shows a defect only in a race shrinks as well as what shows it always.
#[test]
fn programs_that_race_shrink() {
    let interleaved = DEFECTS.iter().filter(|d| d.kind == DefectKind::Interleaved);
    let (mut figures, mut left) = (Figures::default(), Vec::new());
    for DefectInfo { defect, name, .. } in interleaved {
        let mut runner = pair(Defects::only(*defect));
        let found = first_found(&mut runner, RACING, Flavour::Interleaved);
        let Some((tried, program, ran)) = found else {
            println!("{name}: not found in {RACING} programs\n");
            continue;
        };
        let fired = signature(&ran.verdict).expect("a divergence");
        let start = processor_time();
        let small = shrunk(&mut runner, &program, fired);
        figures.add(&program, &small, processor_time() - start);
        let small = small.program;
        println!("{name}: {fired} after {tried} programs\n{small}");
        if let Some(what) = can_go(&mut runner, &small, fired) {
            left.push(format!("{name}: {what} can be left out of\n{small}"));
        }
    }
    println!("{figures}");
    assert!(left.is_empty(), "{}", left.join("\n"));
}

/// That nothing can be left out is worth something only if what can be is noticed.
#[test]
fn what_can_be_left_out_is_noticed() {
    let text = "mmap(0x1f0000, 0x1000, PROT_NONE, MAP_SHARED|MAP_ANONYMOUS, 3, 0)\nsoftirq()\n";
    let program = Case::parse("test", text).expect("a program").program;
    let mut runner = pair(Defects::only(Defect::GetTooFew));
    let verdict = runner.observe(&program).verdict;
    let wanted = signature(&verdict).expect("it diverges");
    let noticed = can_go(&mut runner, &program, wanted);
    assert_eq!(noticed.as_deref(), Some("call 2"));
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
