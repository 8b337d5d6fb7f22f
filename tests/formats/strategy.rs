//! Programs as proptest makes them: every call, with arguments at the edges and anywhere.

use proptest::collection::vec;
use proptest::prelude::*;
use vmadiff::program::settings::{SETTINGS, fit_together};
use vmadiff::program::shape::{self, Param};
use vmadiff::program::{Moment, Policy, Program, Schedule, Step, Switch};
use vmadiff_contract::{CallKind, Config, Fail, MAX_TASKS, TaskId};

/// Bytes that look like a program's: whole records, whose kinds and classes are all met.
pub fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..500),
        vec(prop_oneof![Just(0), any::<u8>()], 0..1200)
    ]
}

/// A program of up to `calls` calls.
pub fn program(calls: usize) -> impl Strategy<Value = Program> {
    (config(), vec(step(), 0..calls), schedule()).prop_map(|(config, calls, schedule)| Program {
        config,
        calls,
        schedule,
    })
}

fn config() -> impl Strategy<Value = Config> {
    vec((0..SETTINGS.len(), word()), 0..6).prop_map(|changes| {
        let mut config = Config::default();
        for (i, value) in changes {
            SETTINGS[i].set(&mut config, SETTINGS[i].fit(value));
        }
        fit_together(&mut config);
        config
    })
}

pub fn step() -> impl Strategy<Value = Step> {
    let kind = (0..CallKind::ALL.len()).prop_map(|i| CallKind::ALL[i]);
    let task = 0..=MAX_TASKS;
    let fail = prop_oneof![3 => Just(0), 1 => any::<u8>()];
    (kind, vec(word(), shape::MAX_PARAMS), task, fail).prop_map(|(kind, words, task, fail)| {
        let mut all = [0; shape::MAX_PARAMS];
        for (i, (&param, word)) in shape::params(kind).iter().zip(words).enumerate() {
            // Descriptors are 32 bits, signed; the others are cut off by `build`.
            all[i] = if param == Param::Fd {
                i64::from(word as i32) as u64
            } else {
                word
            };
        }
        Step {
            task: TaskId(task),
            call: shape::build(kind, &all),
            fail: Fail(fail),
        }
    })
}

fn word() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0),
        Just(u64::MAX),
        0..40_u64,
        (0..40_u64).prop_map(|page| page * 4096),
        (0..80_u64).prop_map(|page| Config::WINDOW + page * 4096),
        0..0x30_0000_u64,
        any::<u64>(),
        any::<u32>().prop_map(u64::from),
    ]
}

fn schedule() -> impl Strategy<Value = Schedule> {
    let policy = prop_oneof![
        4 => Just(Policy::Preemptions),
        1 => Just(Policy::RandomWalk),
        1 => Just(Policy::Pct),
        1 => Just(Policy::Pos),
        1 => Just(Policy::Surw),
    ];
    let moment = prop_oneof![
        any::<u32>().prop_map(Moment::Gap),
        (1..=u32::MAX).prop_map(|nth| Moment::Callback { nth }),
        (0..=MAX_TASKS, any::<u32>(), 1..=u32::MAX).prop_map(|(task, site, nth)| Moment::Site {
            task: TaskId(task),
            site,
            nth
        }),
    ];
    let switch = (moment, 0..=MAX_TASKS).prop_map(|(at, to)| Switch { at, to: TaskId(to) });
    let seed = prop_oneof![Just(0), any::<u64>()];
    (policy, seed, vec(switch, 0..8)).prop_map(|(policy, seed, switches)| Schedule {
        policy,
        seed,
        switches,
    })
}
