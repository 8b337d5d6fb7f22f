//! How a defect shows: the signatures of all programs that diverge with it and agree without.

use std::collections::BTreeMap;

use vmadiff_contract::{DefectInfo, DefectKind, DesignInfo};

use crate::designs::Planted;
use crate::judge::{Signature, Verdict};
use crate::pair::{Pair, pair};
use crate::program::mutate::{Flavour, generate};
use crate::program::{Case, Program};

/// What programs showed of a defect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// How many showed it, by signature.
    pub signatures: BTreeMap<Signature, u64>,
    /// How many were run.
    pub programs: u64,
}

impl Shown {
    /// The signatures, those that most programs show first.
    pub fn by_count(&self) -> Vec<(&Signature, u64)> {
        let all = self.signatures.iter();
        let mut all: Vec<_> = all.map(|(signature, count)| (signature, *count)).collect();
        all.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
        all
    }
}

/// Runs these programs, and so many fresh ones: serial ones for a serial defect, woven ones for the
/// others.
pub fn signatures(
    design: &'static DesignInfo,
    info: &'static DefectInfo,
    cases: &[Case],
    fresh: u64,
) -> Shown {
    let Ok(planted) = Planted::new(design, &[info.name]) else {
        return Shown::default();
    };
    let mut guilty = pair(&planted);
    let mut innocent = pair(&Planted::nothing(design));
    let profile = guilty.profile(match info.kind {
        DefectKind::Serial => Flavour::Serial,
        DefectKind::Interleaved => Flavour::Interleaved,
    });
    let given = cases.iter().map(|case| case.program.clone());
    let fresh = (0..fresh).map(|seed| generate(seed, &profile));
    let mut shown = Shown::default();
    for program in given.chain(fresh) {
        shown.programs += 1;
        let Some(found) = signature(&mut guilty, &program) else {
            continue;
        };
        if signature(&mut innocent, &program).is_none() {
            *shown.signatures.entry(found).or_default() += 1;
        }
    }
    shown
}

fn signature(pair: &mut Pair, program: &Program) -> Option<Signature> {
    match pair.run(program, &mut ())?.verdict {
        Verdict::Diverge(found) => Some(found.signature),
        Verdict::Agree | Verdict::Skip(_) => None,
    }
}
