//! Counts how often a schedule shows a defect, given the calls: of each race of `corpus/races` that shows a
//! defect of its design only the calls are kept, and schedules are made for them as the engine does, by
//! forcing pairs of a run into another order, or by a policy alone.
//!
//! ```text
//! cargo run --release --example schedules -- 2000
//! cargo run --release --example schedules -- 2000 NAME…
//! ```
//!
//! The first number is of schedules for each; names choose among races and defects. What a fuzzer has to do
//! besides is to come to such calls.

use std::path::Path;

use anyhow::{Context, Result};
use vmadiff::designs::{DESIGNS, Planted, defects, rules};
use vmadiff::judge::Verdict;
use vmadiff::pair::{Pair, pair};
use vmadiff::program::mutate::forced::{Chain, Met};
use vmadiff::program::{Case, Policy, Program, Schedule};
use vmadiff_contract::{DefectInfo, DefectKind, DesignInfo};

/// The ways, by name; none: as the engine does.
const WAYS: [(&str, Option<Policy>); 5] = [
    ("forced", None),
    ("POS", Some(Policy::Pos)),
    ("SURW", Some(Policy::Surw)),
    ("PCT", Some(Policy::Pct)),
    ("random walk", Some(Policy::RandomWalk)),
];

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (schedules, names) = words
        .split_first()
        .context("expected a number of schedules")?;
    let schedules: u32 = schedules
        .parse()
        .context("expected a number of schedules")?;
    println!(
        "| design | race | defect | {} |",
        WAYS.map(|(name, _)| name).join(" | ")
    );
    println!("|---|---|---|{}", "---|".repeat(WAYS.len()));
    for (name, case) in races()? {
        let design = case.design.unwrap_or(DESIGNS[0]);
        for info in defects(design).filter(|info| info.kind == DefectKind::Interleaved) {
            let named = |wanted: &String| name.contains(wanted) || info.name.contains(wanted);
            if (names.is_empty() || names.iter().any(named)) && shows(&case.program, design, info) {
                let counts =
                    WAYS.map(|(_, way)| count(&case.program, design, info, way, schedules));
                let counts = counts.map(|count| count.to_string()).join(" | ");
                println!("| {} | {name} | {} | {counts} |", design.name, info.name);
            }
        }
    }
    Ok(())
}

/// The races of the corpus, by name.
fn races() -> Result<Vec<(String, Case)>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/races");
    let mut all = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let file = path.display().to_string();
        let text = std::fs::read_to_string(&path).with_context(|| file.clone())?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        all.push((name.into_owned(), Case::parse(&file, &text)?));
    }
    all.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(all)
}

fn planted(design: &'static DesignInfo, info: &DefectInfo) -> Pair {
    pair(&Planted::new(design, &[info.name]).expect("a defect of the design"))
}

/// Whether the pair's verdict is what the defect is for.
fn is_shown(pair: &mut Pair, program: &Program, rules: &[&str]) -> bool {
    let ran = pair.run(program, &mut ());
    matches!(ran.map(|ran| ran.verdict), Some(Verdict::Diverge(found))
        if rules.contains(&found.signature.rule.name()))
}

fn shows(program: &Program, design: &'static DesignInfo, info: &DefectInfo) -> bool {
    let mut pair = planted(design, info);
    is_shown(&mut pair, program, &rules(design, info))
}

/// How many of the schedules show it.
fn count(
    program: &Program,
    design: &'static DesignInfo,
    info: &DefectInfo,
    way: Option<Policy>,
    schedules: u32,
) -> u32 {
    let (mut pair, rules) = (planted(design, info), rules(design, info));
    let mut met = Met::default();
    let mut shown = 0;
    for nth in 0..schedules {
        let mut program = Program {
            schedule: Schedule::default(),
            ..program.clone()
        };
        // Spread, since what is drawn goes by a seed's bits.
        let seed = nth.wrapping_mul(0x9e37_79b9);
        match way {
            Some(policy) => {
                program.schedule.policy = policy;
                program.schedule.seed = seed.into();
            }
            None => {
                let chain = Chain::of(seed);
                pair.force(&mut program, seed, chain, &mut met);
            }
        }
        shown += u32::from(is_shown(&mut pair, &program, &rules));
    }
    shown
}
