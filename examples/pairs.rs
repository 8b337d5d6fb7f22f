//! Counts how many distinct pairs of accesses fresh races come to, by each way to schedule them: as the
//! engine does, by forcing pairs of a run into another order, or by a policy alone.
//!
//! ```text
//! cargo run --release --example pairs -- 1000000
//! ```
//!
//! A pair are two accesses to one object, one right after the other, of two tasks, of which one writes: by
//! both sites and what was done to the object. The calls are the same for each way.

use std::collections::HashSet;
use std::sync::Arc;

use anyhow::{Context, Result};
use vmadiff::designs::Planted;
use vmadiff::pair::pair;
use vmadiff::program::mutate::forced::{Chain, Met};
use vmadiff::program::mutate::{Flavour, Profile, generate};
use vmadiff::program::{Policy, Program};
use vmadiff::run::Weaver;
use vmadiff_contract::{Capabilities, DesignInfo};
use vmadiff_interleave::Kind;
use vmadiff_interleave::sim::{Step, What};

/// Sites and kinds of two accesses.
type Pair = ((u32, Kind), (u32, Kind));

/// The ways, by name; none: the fresh program's own schedule, and the engine's.
const WAYS: [(&str, Option<Policy>); 5] = [
    ("own", None),
    ("forced", None),
    ("POS", Some(Policy::Pos)),
    ("SURW", Some(Policy::Surw)),
    ("random walk", Some(Policy::RandomWalk)),
];

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let programs = words.first().context("expected a number of programs")?;
    let programs: u64 = programs.parse().context("expected a number of programs")?;
    let planted = Planted::default();
    let design = planted.design();
    let mut forcing = pair(&planted);
    let mut weaver = Weaver::new(Arc::new(move |config, events| planted.boot(config, events)));
    let mut curves = WAYS.map(|_| HashSet::new());
    let mut met = Met::default();
    println!("| races | {} |", WAYS.map(|(name, _)| name).join(" | "));
    println!("|---|{}", "---|".repeat(WAYS.len()));
    let mut next = 1000;
    for seed in 0..programs {
        let race = race(seed, design, weaver.supports());
        for ((name, policy), pairs) in WAYS.iter().zip(&mut curves) {
            let mut program = race.clone();
            match policy {
                Some(policy) => by(*policy, seed, &mut program),
                None if *name == "forced" => {
                    let seed = seed as u32;
                    forcing.force(&mut program, seed, Chain::of(seed), &mut met);
                }
                None => {}
            }
            let known = weaver.supports();
            count(weaver.weave(&program, known, None).trace.steps(), pairs);
        }
        if seed + 1 == next || seed + 1 == programs {
            let counts = curves.each_ref().map(|pairs| pairs.len().to_string());
            println!("| {} | {} |", seed + 1, counts.join(" | "));
            next = if next.to_string().starts_with('1') {
                next * 3
            } else {
                next / 3 * 10
            };
        }
    }
    Ok(())
}

fn race(seed: u64, design: &'static DesignInfo, calls: Capabilities) -> Program {
    let profile = Profile {
        flavour: Flavour::Interleaved,
        calls,
        design,
        ..Profile::default()
    };
    generate(seed, &profile)
}

/// Has a policy draw from where the race starts.
fn by(policy: Policy, seed: u64, program: &mut Program) {
    program.schedule.switches.truncate(1);
    program.schedule.policy = policy;
    program.schedule.seed = seed;
}

/// Adds the pairs of a run.
fn count(steps: &[Step], pairs: &mut HashSet<Pair>) {
    let mut last = std::collections::HashMap::new();
    for step in steps {
        let What::Access { kind, object } = step.what else {
            continue;
        };
        let at = (step.site.number(), kind);
        if object == 0 {
            continue;
        }
        if let Some((task, before)) = last.insert(object, (step.task, at))
            && task != step.task
            && (kind.writes() || before.1.writes())
        {
            pairs.insert((before, at));
        }
    }
}
