//! How many faults each design serves without mmap_sem, in one campaign.

use vmadiff_contract::DesignInfo;

use crate::coverage::{Stats, Summary};
use crate::designs::{self, Planted};
use crate::pair::pair;
use crate::program::Policy;
use crate::program::mutate::{Flavour, Profile, generate};

/// Programs of the campaign.
pub const CAMPAIGN: u64 = 1_000;

/// What the campaign came to in a design. Its programs are the same whatever the design: they are
/// made for the first, and switched by drawing, since points have different names.
pub fn faults(design: &'static DesignInfo) -> Summary {
    let mut pair = pair(&Planted::nothing(design));
    let profile = Profile {
        flavour: Flavour::Interleaved,
        calls: pair.known(),
        design: designs::first(),
        ..Profile::default()
    };
    let mut stats = Stats::default();
    for seed in 0..CAMPAIGN {
        let mut program = generate(seed, &profile);
        program.schedule.switches.clear();
        program.schedule.policy = Policy::RandomWalk;
        program.schedule.seed = seed;
        pair.run(&program, &mut stats);
    }
    stats.summary(design)
}
