//! The judge of woven runs on many of them: with no defect it agrees, whatever the schedule.

mod between;
mod defects;
mod races;
mod weave;

use std::ops::Range;

use vmadiff::designs::Planted;
use vmadiff::judge::Verdict;
use vmadiff::program::Policy;
use weave::Loom;

/// Objections to programs of these seeds, and what is left unjudged, told with the program.
fn objections(loom: &mut Loom, seeds: Range<u64>) -> Vec<String> {
    let mut found = Vec::new();
    for seed in seeds {
        let mut program = loom.program(seed);
        // Most schedules of the generator are a few preemptions: here half of them are wilder.
        program.schedule.policy = match seed % 6 {
            0 => Policy::RandomWalk,
            1 => Policy::Pct,
            2 => Policy::Pos,
            _ => program.schedule.policy,
        };
        program.schedule.seed ^= seed;
        match loom.run(&program) {
            Some(Verdict::Agree) => {}
            Some(Verdict::Skip(why)) => found.push(format!("seed {seed}: {why}")),
            Some(Verdict::Diverge(divergence)) => found.push(format!(
                "seed {seed}: {}: {} (call {:?}, step {:?})\n{}\n{}",
                divergence.signature,
                divergence.what,
                divergence.at,
                divergence.step,
                program,
                loom.trace()
            )),
            None => found.push(format!("seed {seed} did not come to its end")),
        }
    }
    found
}

/// A number from the environment, for longer runs.
fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |n| n.parse().expect("a number"))
}

#[test]
fn what_has_no_defect_is_agreed_to() {
    let (from, count) = (number("WOVEN_FROM", 0), number("WOVEN_COUNT", 2000));
    let defects = std::env::var("WOVEN_DEFECT").map(|name| Planted::defect(&name));
    let mut loom = Loom::new(&defects.unwrap_or_default());
    let found = objections(&mut loom, from..from + count);
    let few = &found[..found.len().min(number("WOVEN_SHOW", 3) as usize)];
    assert!(
        found.is_empty(),
        "{} objections:\n{}",
        found.len(),
        few.join("\n")
    );
}
