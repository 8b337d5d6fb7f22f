//! Each defect is found: a serial one within a bounded number of random programs, an interleaved one
//! by the race in corpus/ that is about it, under the rule that it declares. What shows it shrinks to
//! a program of which no call and no switch can be left out, which agrees without the defect; and
//! without any nothing is found. With `--nocapture` the figures are printed.

mod figures;
mod noise;
mod races;
mod shrinking;

use figures::Figures;
use shrinking::{can_go, check, shrunk, signature};
use vmadiff::designs::{DESIGNS, Planted, defects, rules};
use vmadiff::judge::Rule;
use vmadiff::pair::Ran;
use vmadiff::pair::{Pair, pair};
use vmadiff::program::mutate::{Flavour, generate};
use vmadiff::program::{Case, Program};
use vmadiff_contract::{DefectInfo, DefectKind};

/// Programs in which each defect must show itself.
const PROGRAMS: u64 = 20_000;

/// Programs that must agree without a defect.
const AGREEING: u64 = 20_000;

/// Every search begins here.
const SEED: u64 = 1;

/// Defects that show themselves too seldom for that, each with a conformance program that it fails.
const BY_PROGRAM: &[(&str, &str)] = &[
    (
        // A piece that does not begin with its area must join another.
        "c3-mbind-wrong-offset",
        include_str!("../../corpus/conformance/mbind/piece-joins-the-next.vma"),
    ),
    (
        // Two areas must map a page of a file that both have touched.
        "evict-leaves-entries",
        include_str!("../../corpus/conformance/evict/everywhere.vma"),
    ),
    (
        // One allocation of one merge must fail.
        "a3-adjust-leaves-open",
        include_str!("../../corpus/conformance/mmap/merge-gap-import-fails.vma"),
    ),
    (
        // Six generations, and two exits between them.
        "anon-reused-twice",
        include_str!("../../corpus/regressions/anon-reused-twice.vma"),
    ),
    (
        // A merge, and then nothing may be left of the file.
        "a24-merge-keeps-file",
        include_str!("../../corpus/conformance/mprotect/merged-forgets-its-file.vma"),
    ),
];

/// The first serial program that a pair of managers disagrees on, and how many were tried.
fn first_found(runner: &mut Pair, programs: u64) -> Option<(u64, Program, Box<Ran>)> {
    let profile = runner.profile(Flavour::Serial);
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

#[test]
fn without_a_defect_nothing_is_found() {
    if let Some((tried, program, ran)) = first_found(&mut pair(&Planted::default()), AGREEING) {
        panic!("program {tried}:\n{program}{:#?}", ran.verdict);
    }
}

/// One test for all defects, so that the figures are of all.
#[test]
fn each_defect_is_found_under_its_rule_and_shrinks() {
    let (mut serial, mut woven) = (Figures::default(), Figures::default());
    let mut wrong = Vec::new();
    for info in defects(DESIGNS[0]) {
        let result = match info.kind {
            DefectKind::Serial => found(info, &mut serial),
            DefectKind::Interleaved => raced(info, &mut woven),
        };
        wrong.extend(result.err().map(|what| format!("{}: {what}", info.name)));
    }
    println!(
        "serial: {serial}\ninterleaved: {woven}\nall: {}",
        serial.and(&woven)
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let (calls, switches) = woven.small();
    assert!(
        calls <= 6 && switches <= 2,
        "races stay larger than they did"
    );
}

/// Looks for a defect and shrinks what shows it; what is wrong with how it was found.
fn found(info: &DefectInfo, figures: &mut Figures) -> Result<(), String> {
    let mut runner = pair(&Planted::defect(info.name));
    let known = BY_PROGRAM.iter().find(|(of, _)| *of == info.name);
    let found = match known {
        Some((_, text)) => by_program(&mut runner, text),
        None => first_found(&mut runner, PROGRAMS),
    };
    let (tried, program, ran) = found.ok_or(format!("not found in {PROGRAMS} programs"))?;
    let fired =
        signature(&ran.verdict).filter(|s| rules(DESIGNS[0], info).contains(&s.rule.name()));
    let fired = fired.ok_or_else(|| format!("found as {:#?}\n{program}", ran.verdict))?;
    let small = check(&mut runner, &program, fired, figures)?;
    println!("{}: {fired} after {tried} programs\n{small}", info.name);
    Ok(())
}

/// Buries the race that is about a defect in noise, and shrinks that; what is wrong with it.
fn raced(info: &DefectInfo, figures: &mut Figures) -> Result<(), String> {
    let mut runner = pair(&Planted::defect(info.name));
    let (name, race) = races::about(info).ok_or("no race in corpus/ is about it")?;
    let verdict = runner.observe(&race).verdict;
    let fired = signature(&verdict).filter(|s| rules(DESIGNS[0], info).contains(&s.rule.name()));
    let fired = fired.ok_or_else(|| format!("{name} comes to {verdict:#?}"))?;
    let noisy = noise::noisy(&mut runner, &race, fired);
    if noisy.calls.len() == race.calls.len() {
        return Err(format!("no noise can be added to {name}"));
    }
    let small = check(&mut runner, &noisy, fired, figures)?;
    if shrunk(&mut runner, &noisy, fired).program != small {
        return Err(format!("shrinks another way the second time:\n{noisy}"));
    }
    println!(
        "{}: {fired} by {name}, {} calls and {} switches with noise\n{small}",
        info.name,
        noisy.calls.len(),
        noisy.schedule.switches.len(),
    );
    Ok(())
}

/// That nothing can be left out is worth something only if what can be is noticed.
#[test]
fn what_can_be_left_out_is_noticed() {
    let text = "mmap(0x1f0000, 0x1000, PROT_NONE, MAP_SHARED|MAP_ANONYMOUS, 3, 0)\nsoftirq()\n";
    let program = Case::parse("test", text).expect("a program").program;
    let mut runner = pair(&Planted::defect("get-too-few"));
    let verdict = runner.observe(&program).verdict;
    let wanted = signature(&verdict).expect("it diverges");
    let noticed = can_go(&mut runner, &program, wanted);
    assert_eq!(noticed.as_deref(), Some("call 2"));
}

#[test]
fn a_switch_that_can_be_left_out_is_noticed() {
    let mut infos = defects(DESIGNS[0]);
    let info = infos
        .find(|info| info.name == "a29-pmd-read-again")
        .expect("a defect");
    let (_, mut program) = races::about(info).expect("a race");
    let mut runner = pair(&Planted::defect(info.name));
    let verdict = runner.observe(&program).verdict;
    let wanted = signature(&verdict).expect("it diverges");
    let small = shrunk(&mut runner, &program, wanted).program;
    assert_eq!(can_go(&mut runner, &small, wanted), None, "{small}");
    program = small;
    let twice = program.schedule.switches[0];
    program.schedule.switches.insert(0, twice);
    let noticed = can_go(&mut runner, &program, wanted);
    assert_eq!(noticed.as_deref(), Some("switch 1"), "{program}");
}

#[test]
fn defects_declare_rules_that_exist() {
    for design in DESIGNS {
        for info in defects(design) {
            for rule in rules(design, info) {
                let exists = Rule::from_name(rule).is_some();
                assert!(exists, "{} declares `{rule}`", info.name);
            }
        }
    }
}
