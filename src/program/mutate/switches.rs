//! Fresh schedules, and changes to them.

use vmadiff_contract::{DesignInfo, TaskId};

use super::Profile;
use super::dice::Dice;
use crate::program::sites::Sites;
use crate::program::{Moment, Policy, Program, Schedule, Switch};

/// A schedule for this program: a few preemptions, now and then a policy that draws.
pub(super) fn schedule(dice: &mut Dice<'_>, profile: &Profile, program: &Program) -> Schedule {
    let policy = policy(dice);
    let count = if policy == Policy::Preemptions {
        1 + dice.below(5)
    } else {
        dice.below(2)
    };
    Schedule {
        policy,
        seed: if policy == Policy::Preemptions {
            0
        } else {
            dice.word()
        },
        switches: (0..count)
            .map(|i| nth_switch(dice, profile.design, program, i))
            .collect(),
    }
}

/// The first preemption comes after what the race needs has run; later ones come soon after it.
fn nth_switch(
    dice: &mut Dice<'_>,
    design: &'static DesignInfo,
    program: &Program,
    i: u64,
) -> Switch {
    let mut switch = switch(dice, design, program);
    if let (0, Moment::Gap(gap)) = (i, &mut switch.at) {
        *gap += dice.below(256) as u32;
    }
    switch
}

/// Policies that draw, as often as they are worth it: in as many fresh races SURW, PCT and POS show more of some
/// defects than a random walk does (docs/figures.md, "Policies of fresh races").
const DRAWING: &[(u32, Policy)] = &[
    (1, Policy::RandomWalk),
    (3, Policy::Pct),
    (3, Policy::Pos),
    (3, Policy::Surw),
];

/// Of a hundred schedules so many are preemption lists. They shrink, feedback can work on them, and what wants two
/// switches at two places is theirs; but they show fewest of those defects, and half of all races get one in any
/// case, where pairs are forced.
const PREEMPTIONS: u64 = 35;

/// What chooses: a preemption list, or a policy that draws.
pub(super) fn policy(dice: &mut Dice<'_>) -> Policy {
    if dice.below(100) < PREEMPTIONS {
        return Policy::Preemptions;
    }
    drawing_policy(dice)
}

/// One that draws, as often beside the others that do.
pub(super) fn drawing_policy(dice: &mut Dice<'_>) -> Policy {
    dice.weighted(DRAWING)
}

/// Has a policy choose, and it alone: one that draws needs no switches.
pub(super) fn choose_by(policy: Policy, schedule: &mut Schedule, seed: u32) {
    let draws = policy != Policy::Preemptions;
    if draws {
        schedule.switches.clear();
    }
    if schedule.policy != policy {
        schedule.policy = policy;
        // Spread over all bits: neighbouring seeds are to draw apart.
        let spread = u64::from(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        schedule.seed = if draws { spread } else { 0 };
    }
}

/// A preemption: after a gap that is more often short, or at a named site. Most sites are not met
/// by a given program, and a switch that waits for one keeps all later ones waiting, so there are
/// fewer of them.
pub(super) fn switch(
    dice: &mut Dice<'_>,
    design: &'static DesignInfo,
    program: &Program,
) -> Switch {
    let all = Sites::of_design(design).all();
    let at = if all.is_empty() || !dice.one_in(4) {
        Moment::Gap(gap(dice))
    } else {
        Moment::Site {
            task: task(dice, program, 1),
            site: dice.pick(all).number(),
            nth: dice.weighted(&[(5, 1), (2, 2), (1, 3)]),
        }
    };
    Switch {
        at,
        to: task(dice, program, 0),
    }
}

/// Changes a preemption: when, or to whom.
pub(super) fn change(
    dice: &mut Dice<'_>,
    design: &'static DesignInfo,
    switch: &mut Switch,
    program: &Program,
) {
    match (dice.below(4), &mut switch.at) {
        (0, _) => switch.to = task(dice, program, 0),
        (1, _) => *switch = self::switch(dice, design, program),
        (2, Moment::Gap(gap)) => *gap = gap.saturating_add_signed(dice.pick(&[-1, 1])),
        (_, Moment::Gap(gap)) => *gap = self::gap(dice),
        (2, Moment::Site { nth, .. }) => {
            *nth = nth.saturating_add_signed(dice.pick(&[-1, 1])).max(1);
        }
        (_, Moment::Site { task, .. }) => *task = self::task(dice, program, 1),
        (_, Moment::Callback { nth }) => *nth = 1 + dice.below(4) as u32,
    }
}

fn gap(dice: &mut Dice<'_>) -> u32 {
    let bits = dice.below(8);
    dice.below(1 << bits) as u32
}

/// A task that makes a call of this program; 0, where it may be, is the softirq.
pub(super) fn task(dice: &mut Dice<'_>, program: &Program, least: u8) -> TaskId {
    if least == 0 && dice.one_in(6) {
        return TaskId(0);
    }
    match program.calls.len() {
        0 => TaskId(1),
        calls => program.calls[dice.index(calls)].task,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::mutate::{Flavour, crossover, mutate};

    /// What becomes of an empty input, and of its cross with another.
    fn made(profile: &Profile, from: &[u8], seed: u32) -> [Program; 2] {
        let mut data = [0; 4096];
        data[..from.len()].copy_from_slice(from);
        let engine = |_: &mut [u8], size: usize, _: usize| size;
        let size = mutate(&mut data, from.len(), 4096, seed, profile, engine);
        let mut out = [0; 4096];
        let crossed = crossover(&data[..size], from, &mut out, seed, profile);
        [&data[..size], &out[..crossed]].map(Program::decode)
    }

    #[test]
    fn one_policy_chooses_alone() {
        for (_, policy) in Policy::ALL {
            let profile = Profile {
                flavour: Flavour::Interleaved,
                policy: Some(policy),
                ..Profile::default()
            };
            let mut seeds = std::collections::BTreeSet::new();
            let mut input = Vec::new();
            for seed in 1..200 {
                for program in made(&profile, &input, seed) {
                    let schedule = &program.schedule;
                    assert_eq!(schedule.policy, policy);
                    let draws = policy != Policy::Preemptions;
                    assert!(!draws || schedule.switches.is_empty(), "{program}");
                    seeds.insert(schedule.seed);
                    input = program.encode();
                }
            }
            assert_eq!(
                seeds.len() > 50,
                policy != Policy::Preemptions,
                "{policy:?}"
            );
        }
    }

    #[test]
    fn what_is_made_anew_has_nothing_of_what_was() {
        let [fresh, changed] = [true, false].map(|fresh| Profile {
            flavour: Flavour::Interleaved,
            fresh,
            ..Profile::default()
        });
        let [other, _] = made(&changed, &[], 77);
        let other = other.encode();
        let mut differ = 0;
        for seed in 1..100 {
            assert_eq!(made(&fresh, &[], seed), made(&fresh, &other, seed));
            differ += u32::from(made(&changed, &[], seed) != made(&changed, &other, seed));
        }
        assert!(differ > 50, "{differ}");
    }
}
