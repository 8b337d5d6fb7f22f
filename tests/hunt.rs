//! Fresh woven programs find the defects that need calls to interleave, each under a rule that it
//! declares and within a bounded number of programs. `vmadiff hunt` measures it with an engine.

use vmadiff::judge::Verdict;
use vmadiff::pair::pair;
use vmadiff::program::mutate::{Flavour, Profile, generate};
use vmadiff_candidate::{Defect, Defects};

/// Programs in which each must show itself.
const PROGRAMS: u64 = 24_000;

/// Those that show without feedback. The others want a rarer meeting: they are for engines, and each
/// has its program in corpus/races.
const FOUND: [Defect; 11] = [
    Defect::BoundsBeforeCount,
    Defect::BracketUnderRead,
    Defect::NodeNotCleared,
    Defect::FreedAtOnce,
    Defect::NoReference,
    Defect::NoRcuReadLock,
    Defect::PutWithoutGracePeriod,
    Defect::CollapseUnnoticed,
    Defect::SourceOpenEarly,
    Defect::PmdReadAgain,
    Defect::SkipLastRecheck,
];

/// How many programs it took, and under what signature it showed.
fn hunt(defect: Defect) -> Option<(u64, String)> {
    let mut guilty = pair(Defects::only(defect));
    let profile = Profile {
        flavour: Flavour::Interleaved,
        calls: guilty.known(),
    };
    let mut innocent = pair(Defects::NONE);
    let rules = defect.info().rules;
    (0..PROGRAMS).find_map(|seed| {
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
    for defect in FOUND {
        match hunt(defect) {
            Some((tried, signature)) => {
                println!("{}: {signature} after {tried} programs", defect.name());
            }
            None => missed.push(defect.name()),
        }
    }
    assert!(missed.is_empty(), "not in {PROGRAMS} programs: {missed:?}");
}
