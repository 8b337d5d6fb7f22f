//! What races of a theme are made of.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::program::mutate::Flavour;
use mutatis::Session;

/// Themes of some seeds, and a race of each.
fn races(count: u64) -> Vec<Program> {
    struct Themed;
    impl mutatis::Generate<Program> for Themed {
        fn generate(&mut self, context: &mut mutatis::Context) -> mutatis::Result<Program> {
            let profile = Profile {
                flavour: Flavour::Interleaved,
                ..Profile::default()
            };
            Ok(race(&mut Dice(context.rng()), &profile).expect("all calls are known"))
        }
    }
    impl mutatis::Mutate<Program> for Themed {
        fn mutate(
            &mut self,
            _: &mut mutatis::Candidates<'_>,
            _: &mut Program,
        ) -> mutatis::Result<()> {
            Ok(())
        }
    }
    let of = |seed| Session::new().seed(seed).generate_with(&mut Themed);
    (0..count).map(|seed| of(seed).expect("a race")).collect()
}

/// The calls but accesses that a race makes, and how often each.
fn kinds(program: &Program) -> BTreeMap<&'static str, usize> {
    let mut kinds = BTreeMap::new();
    for kind in program.calls.iter().map(|step| step.call.kind()) {
        if !is_access(kind) {
            *kinds.entry(kind.name()).or_default() += 1;
        }
    }
    kinds
}

#[test]
fn a_race_makes_few_calls_often_and_each_call_is_in_some_themes() {
    let races = races(2000);
    let mut races_with: BTreeMap<&str, usize> = BTreeMap::new();
    for race in &races {
        let kinds = kinds(race);
        // Four of the theme, what undoes two of them, and what makes the setup.
        assert!(kinds.len() <= 8, "{kinds:?}");
        for kind in kinds.into_keys() {
            *races_with.entry(kind).or_default() += 1;
        }
    }
    for kind in CallKind::ALL.iter().filter(|kind| !is_access(**kind)) {
        let count = races_with.get(kind.name()).copied().unwrap_or(0);
        assert!(count > 40, "{} in {count} races", kind.name());
    }
}

#[test]
fn all_accesses_are_to_a_few_places() {
    for race in races(500) {
        let addresses = race.calls.iter().filter_map(|step| {
            let kind = step.call.kind();
            is_access(kind).then(|| shape::words(&step.call)[0])
        });
        let addresses: BTreeSet<u64> = addresses.collect();
        // Six, and the one below them.
        assert!(addresses.len() <= 7, "{race}");
    }
}
