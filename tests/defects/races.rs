//! Each race program that names a defect shows it, under a rule that the defect declares. That
//! they agree without it, the corpus test sees to.

use vmadiff_candidate::{Defect, Defects};

use crate::{by_program, pair, signature};

macro_rules! race {
    ($name:literal) => {
        (
            $name,
            include_str!(concat!("../../corpus/races/", $name, ".vma")),
        )
    };
}

/// A program's name and text.
type Race = (&'static str, &'static str);

/// Which program shows which defect.
const RACES: &[(Defect, Race)] = &[
    (Defect::DestinationOpen, race!("mremap-destination-closed")),
    (
        Defect::DestinationOpen,
        race!("mremap-merged-destination-closed"),
    ),
    (
        Defect::CollapseUnnoticed,
        race!("collapse-replaces-the-table"),
    ),
    (Defect::TableMovedUnlocked, race!("mremap-moves-a-table")),
    (Defect::PolicyWithoutReference, race!("mbind-under-a-fault")),
    (
        Defect::PolicyWithoutReference,
        race!("mbind-under-an-allocation"),
    ),
    (Defect::SourceOpenEarly, race!("mremap-source-closed")),
    (Defect::AnonBeforeCount, race!("anon-vma-undone")),
    (Defect::PolicyFreedAtOnce, race!("mbind-under-a-fault")),
];

#[test]
fn a_race_shows_its_defect() {
    let mut wrong = Vec::new();
    for &(defect, (race, text)) in RACES {
        let info = defect.info();
        let mut runner = pair(Defects::only(defect));
        let found = by_program(&mut runner, text);
        let fired = found
            .as_ref()
            .and_then(|(_, _, ran)| signature(&ran.verdict));
        match fired {
            Some(fired) if info.rules.contains(&fired.rule.name()) => {}
            other => wrong.push(format!("{} in {race}: {other:?}", info.name)),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
