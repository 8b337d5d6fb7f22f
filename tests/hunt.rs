//! Fresh woven programs find the defects that need calls to interleave, each under a rule that it
//! declares and within a bounded number of programs. `vmadiff hunt` measures it with an engine.

use vmadiff::designs::{Planted, defects, rules};
use vmadiff::judge::Verdict;
use vmadiff::pair::pair;
use vmadiff::program::mutate::{Flavour, generate};

/// Programs in which each must show itself.
const PROGRAMS: u64 = 24_000;

/// Those that show without feedback. The others want a rarer meeting: they are for engines, and each
/// has its program in corpus/races.
const FOUND: [&str; 10] = [
    "a11-bracket-under-read",
    "a19-node-not-cleared",
    "a21-freed-at-once",
    "no-reference",
    "no-rcu-read-lock",
    "put-without-grace-period",
    "a10-collapse-unnoticed",
    "a28-source-open-early",
    "a29-pmd-read-again",
    "skip-last-recheck",
];

/// Programs in which [`RARE`] shows itself.
const MANY: u64 = 96_000;

/// What wants two switches at two places: a list of switches has them, and policies that draw seldom do.
const RARE: &str = "a6-bounds-before-count";

/// How many programs it took, and under what signature it showed.
fn hunt(defect: &str, programs: u64) -> Option<(u64, String)> {
    let mut guilty = pair(&Planted::defect(defect));
    let profile = guilty.profile(Flavour::Interleaved);
    let mut innocent = pair(&Planted::default());
    let mut infos = defects(guilty.design());
    let info = infos.find(|info| info.name == defect).expect("a defect");
    let rules = rules(guilty.design(), info);
    (0..programs).find_map(|seed| {
        let program = generate(seed, &profile);
        let ran = guilty.run(&program, &mut ())?;
        match ran.verdict {
            Verdict::Diverge(found) if rules.contains(&found.signature.rule.name()) => {
                // A false alarm says nothing of the defect.
                let without = innocent.run(&program, &mut ());
                let agrees = without.is_none_or(|ran| !matches!(ran.verdict, Verdict::Diverge(_)));
                agrees.then(|| (seed + 1, found.signature.to_string()))
            }
            _ => None,
        }
    })
}

#[test]
fn fresh_races_find_the_defects() {
    let mut missed = Vec::new();
    let all = FOUND.map(|defect| (defect, PROGRAMS));
    for (defect, programs) in all.into_iter().chain([(RARE, MANY)]) {
        match hunt(defect, programs) {
            Some((tried, signature)) => {
                println!("{defect}: {signature} after {tried} programs");
            }
            None => missed.push(format!("{defect} not in {programs} programs")),
        }
    }
    assert!(missed.is_empty(), "{missed:?}");
}
