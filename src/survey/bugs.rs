//! How soon fresh programs show a defect, without an engine.

use vmadiff_contract::{DefectInfo, DefectKind, DesignInfo};

use crate::designs::{Planted, shows_by};
use crate::judge::{Signature, Verdict};
use crate::pair::pair;
use crate::program::mutate::{Flavour, generate};

/// A defect that showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstFound {
    /// Programs that were run.
    pub programs: u64,
    /// As what.
    pub signature: Signature,
}

/// The first of at most so many fresh programs that diverges by a rule that the defect breaks, and
/// agrees without it. The programs are the design's: serial ones for a serial defect, woven ones for
/// the others.
pub fn first_found(
    design: &'static DesignInfo,
    info: &'static DefectInfo,
    limit: u64,
) -> Option<FirstFound> {
    let planted = Planted::new(design, &[info.name]).ok()?;
    let mut guilty = pair(&planted);
    let mut innocent = pair(&Planted::nothing(design));
    let profile = guilty.profile(match info.kind {
        DefectKind::Serial => Flavour::Serial,
        DefectKind::Interleaved => Flavour::Interleaved,
    });
    (0..limit).find_map(|seed| {
        let program = generate(seed, &profile);
        let ran = guilty.run(&program, &mut ())?;
        let Verdict::Diverge(found) = ran.verdict else {
            return None;
        };
        let without = innocent.run(&program, &mut ());
        let agrees = without.is_none_or(|ran| !matches!(ran.verdict, Verdict::Diverge(_)));
        let shows = shows_by(design, info, found.signature.rule.name());
        (agrees && shows).then_some(FirstFound {
            programs: seed + 1,
            signature: found.signature,
        })
    })
}
