//! The mutations of a program, in groups by what they change.

use mutatis::{Candidates, Context, Mutate, Result};
use vmadiff_contract::{CallKind, Config, Fail, TaskId};

use super::dice::Dice;
use super::generate;
use super::{Flavour, Profile, aim, fresh, most_calls, reargue, switches, weights};
use crate::program::bytes::MAX_STEPS;
use crate::program::settings::SETTINGS;
use crate::program::world::World;
use crate::program::{Policy, Program};

/// Changes a program; when shrinking, only by taking away or making plainer.
pub(super) struct Mutator<'a>(pub &'a Profile);

type Change = fn(&mut Dice<'_>, &mut Program, &Profile);

/// How likely a change of the list of calls is, of 100 in all; the rest is for one call.
/// Insertions weigh as much as removals of all kinds, so that programs keep their length.
const CALLS: &[(u32, Change)] = &[
    (24, insert),
    (14, delete),
    (4, delete_run),
    (9, duplicate),
    (8, swap),
    (5, shift),
];
const CALL: &[(u32, Change)] = &[
    (30, reargue::change),
    (6, retask),
    (4, refail),
    (6, replace),
];
const MACHINE: &[(u32, Change)] = &[(4, reconfigure)];

/// Of an interleaved program, on top of the others.
const SCHEDULE: &[(u32, Change)] = &[(10, add_switch), (3, repolicy)];
const SWITCH: &[(u32, Change)] = &[(4, drop_switch), (8, change_switch)];

/// What makes a program smaller.
const SHRINK_CALLS: &[(u32, Change)] = &[
    (10, delete),
    (6, delete_run),
    (2, unfail),
    (2, untask),
    (3, reargue::plainer),
];
const SHRINK_SWITCH: &[(u32, Change)] = &[(10, drop_switch)];
const SHRINK_MACHINE: &[(u32, Change)] = &[(2, unconfigure)];

impl Mutate<Program> for Mutator<'_> {
    fn mutate(&mut self, candidates: &mut Candidates<'_>, program: &mut Program) -> Result<()> {
        let has_calls = !program.calls.is_empty();
        let has_switches = !program.schedule.switches.is_empty();
        let interleaved = self.0.flavour == Flavour::Interleaved;
        let groups: &[(bool, &[(u32, Change)])] = if candidates.shrink() {
            &[
                (has_calls, SHRINK_CALLS),
                (has_switches, SHRINK_SWITCH),
                (program.config != Config::default(), SHRINK_MACHINE),
            ]
        } else {
            &[
                (has_calls, CALLS),
                (!has_calls, &CALLS[..1]),
                (has_calls, CALL),
                (true, MACHINE),
                (interleaved, SCHEDULE),
                (interleaved && has_switches, SWITCH),
            ]
        };
        for (_, group) in groups.iter().filter(|(applies, _)| *applies) {
            for &(weight, change) in *group {
                candidates.mutation_group(weight, |context: &mut Context, _| {
                    let shrink = context.shrink();
                    let dice = &mut Dice(context.rng());
                    change(dice, program, self.0);
                    if !shrink {
                        aim::aim(dice, program, self.0);
                    }
                    Ok(())
                })?;
            }
        }
        Ok(())
    }
}

fn insert(dice: &mut Dice<'_>, program: &mut Program, profile: &Profile) {
    let mut at = dice.index(program.calls.len() + 1);
    let calls = program.calls.len();
    if calls >= most_calls(profile) {
        program.calls.remove(dice.index(calls));
        at = at.min(program.calls.len());
    }
    let world = World::after(program, at);
    let task = fresh::task(dice, &world);
    let kind = kind(dice, profile);
    program
        .calls
        .insert(at, fresh::step(dice, &world, profile.calls, kind, task));
}

pub(super) fn kind(dice: &mut Dice<'_>, profile: &Profile) -> CallKind {
    let known = weights::known(profile.calls, |weights| weights.serial);
    if known.is_empty() {
        return CallKind::Mmap;
    }
    dice.weighted(&known)
}

fn delete(dice: &mut Dice<'_>, program: &mut Program, _: &Profile) {
    program.calls.remove(dice.index(program.calls.len()));
}

fn delete_run(dice: &mut Dice<'_>, program: &mut Program, _: &Profile) {
    let start = dice.index(program.calls.len());
    let len = 1 + dice.index((program.calls.len() - start).min(8));
    program.calls.drain(start..start + len);
}

fn duplicate(dice: &mut Dice<'_>, program: &mut Program, profile: &Profile) {
    let step = dice.pick(&program.calls);
    let calls = program.calls.len();
    if calls < most_calls(profile) {
        program.calls.insert(dice.index(calls + 1), step);
    } else {
        let at = dice.index(calls);
        program.calls[at] = step;
    }
}

fn swap(dice: &mut Dice<'_>, program: &mut Program, _: &Profile) {
    let calls = program.calls.len();
    program.calls.swap(dice.index(calls), dice.index(calls));
}

fn shift(dice: &mut Dice<'_>, program: &mut Program, _: &Profile) {
    let step = program.calls.remove(dice.index(program.calls.len()));
    program
        .calls
        .insert(dice.index(program.calls.len() + 1), step);
}

fn retask(dice: &mut Dice<'_>, program: &mut Program, _: &Profile) {
    let at = dice.index(program.calls.len());
    let world = World::after(program, at);
    program.calls[at].task = fresh::task(dice, &world);
}

fn refail(dice: &mut Dice<'_>, program: &mut Program, _: &Profile) {
    let at = dice.index(program.calls.len());
    let fail = &mut program.calls[at].fail;
    *fail = if fail.0 == 0 {
        Fail(1 + dice.below(6) as u8)
    } else {
        Fail::NONE
    };
}

fn replace(dice: &mut Dice<'_>, program: &mut Program, profile: &Profile) {
    let at = dice.index(program.calls.len());
    let world = World::after(program, at);
    let kind = kind(dice, profile);
    let task = program.calls[at].task;
    program.calls[at] = fresh::step(dice, &world, profile.calls, kind, task);
}

fn reconfigure(dice: &mut Dice<'_>, program: &mut Program, profile: &Profile) {
    if dice.one_in(3) {
        unconfigure(dice, program, profile);
    } else {
        generate::limit(dice, &mut program.config);
    }
}

fn add_switch(dice: &mut Dice<'_>, program: &mut Program, profile: &Profile) {
    let switch = switches::switch(dice, profile.design, program);
    let switches = &mut program.schedule.switches;
    if switches.len() < MAX_STEPS {
        switches.insert(dice.index(switches.len() + 1), switch);
    }
}

fn drop_switch(dice: &mut Dice<'_>, program: &mut Program, _: &Profile) {
    let switches = &mut program.schedule.switches;
    switches.remove(dice.index(switches.len()));
}

fn change_switch(dice: &mut Dice<'_>, program: &mut Program, profile: &Profile) {
    let at = dice.index(program.schedule.switches.len());
    let mut switch = program.schedule.switches[at];
    switches::change(dice, profile.design, &mut switch, program);
    program.schedule.switches[at] = switch;
}

fn repolicy(dice: &mut Dice<'_>, program: &mut Program, _: &Profile) {
    let schedule = &mut program.schedule;
    schedule.policy = switches::policy(dice);
    schedule.seed = if schedule.policy == Policy::Preemptions {
        0
    } else {
        dice.word()
    };
}

fn unfail(dice: &mut Dice<'_>, program: &mut Program, _: &Profile) {
    let at = dice.index(program.calls.len());
    program.calls[at].fail = Fail::NONE;
}

fn untask(dice: &mut Dice<'_>, program: &mut Program, _: &Profile) {
    let at = dice.index(program.calls.len());
    program.calls[at].task = TaskId(1);
}

fn unconfigure(dice: &mut Dice<'_>, program: &mut Program, _: &Profile) {
    let default = Config::default();
    let differs = |config: &Config, i: usize| SETTINGS[i].get(config) != SETTINGS[i].get(&default);
    let changed = (0..SETTINGS.len())
        .filter(|&i| differs(&program.config, i))
        .count();
    if changed > 0 {
        let nth = dice.index(changed);
        let mut all = SETTINGS
            .iter()
            .filter(|s| s.get(&program.config) != s.get(&default));
        if let Some(setting) = all.nth(nth) {
            setting.set(&mut program.config, setting.get(&default));
        }
    }
}
