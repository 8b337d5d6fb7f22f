//! Fresh woven programs find the defects that need calls to interleave, each under a rule that it
//! declares and within a bounded number of programs. `vmadiff hunt` measures it with an engine.

use vmadiff::judge::Verdict;
use vmadiff::pair::pair;
use vmadiff::program::mutate::{Flavour, Profile, generate};
use vmadiff_candidate::{Defect, Defects};

/// Programs in which each must show itself.
const PROGRAMS: u64 = 8000;

/// Those that show without feedback. The others want a rarer meeting: they are for engines, and each
/// has its program in corpus/races.
const FOUND: [Defect; 7] = [
    Defect::BoundsBeforeCount,
    Defect::BracketUnderRead,
    Defect::NodeNotCleared,
    Defect::FreedAtOnce,
    Defect::NoReference,
    Defect::NoRcuReadLock,
    Defect::PutWithoutGracePeriod,
];

/// How many programs it took, and under what signature it showed.
fn hunt(defect: Defect) -> Option<(u64, String)> {
    let mut pair = pair(Defects::only(defect));
    let profile = Profile {
        flavour: Flavour::Interleaved,
        calls: pair.known(),
    };
    let rules = defect.info().rules;
    (0..PROGRAMS).find_map(|seed| {
        let ran = pair.run(&generate(seed, &profile), &mut ())?;
        match ran.verdict {
            Verdict::Diverge(found) if rules.contains(&found.signature.rule.name()) => {
                Some((seed + 1, found.signature.to_string()))
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
