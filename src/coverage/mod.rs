//! What a run reached: counters for a fuzzing engine, and totals for people.
//!
//! Edges of the managers' code say little about what a program made happen, so the engine is fed
//! with what happened: which call answered how, which merge case it took, why a fault did not go
//! the speculative way, how areas came to be freed, which calls met on the same bytes. One walk
//! over the [`Features`](features) of a call serves both readers.

mod features;
mod layout;
mod races;
mod stats;

pub use layout::{COUNTERS, PAIRS as NAMED_COUNTERS, WOVEN_COUNTERS};
pub use stats::{CallStats, Stats, Summary};

use std::cell::Cell;

use vmadiff_contract::Config;

use crate::program::Program;
use crate::run::{Seen, Watch, Woven};
use features::Features;

/// Counts what runs reach, in an engine's counters and in totals.
///
/// The counters are [`COUNTERS`] bytes that stop at 255, or [`WOVEN_COUNTERS`] where programs with
/// schedules run. The engine clears them before each input; fewer bytes than that lose the features
/// beyond.
pub struct Coverage<'a> {
    counters: &'a mut [u8],
    stats: &'a mut Stats,
    features: Features,
}

impl<'a> Coverage<'a> {
    /// Counts one program.
    pub fn new(counters: &'a mut [u8], stats: &'a mut Stats) -> Self {
        Self {
            counters,
            stats,
            features: Features::default(),
        }
    }
}

impl Watch for Coverage<'_> {
    fn begin(&mut self, _config: &Config) {
        self.stats.begin();
        self.features.begin();
    }

    fn woven(&mut self, program: &Program, woven: &Woven) {
        let Self {
            counters,
            stats,
            features,
        } = self;
        features.woven(program, woven, |feature| {
            stats.hit(feature);
            if let Some(counter) = counters.get_mut(feature) {
                *counter = counter.saturating_add(1);
            }
        });
    }

    fn pairs(&mut self) -> Option<&[Cell<u8>]> {
        let pairs = self.counters.get_mut(layout::PAIRS..)?;
        Some(Cell::from_mut(pairs).as_slice_of_cells())
    }

    fn call(&mut self, seen: &Seen<'_>) {
        let Self {
            counters,
            stats,
            features,
        } = self;
        features.of(seen, |feature| {
            stats.hit(feature);
            if let Some(counter) = counters.get_mut(feature) {
                *counter = counter.saturating_add(1);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::designs::DESIGNS;
    use crate::program::Step;
    use vmadiff_contract::{Call, Errno, Event, Fail, Note, Outcome, Snapshot, TaskId};

    fn step(call: Call) -> Step {
        Step {
            task: TaskId(1),
            call,
            fail: Fail::NONE,
        }
    }

    /// Watches calls with these outcomes and events, one program.
    fn watched(calls: &[(Call, Outcome, &[Event])]) -> (Vec<u8>, Stats) {
        let (mut counters, mut stats) = (vec![0; COUNTERS], Stats::default());
        let mut coverage = Coverage::new(&mut counters, &mut stats);
        coverage.begin(&Config::default());
        let state = &Snapshot::default();
        for &(call, outcome, events) in calls {
            coverage.call(&Seen {
                step: &step(call),
                outcome,
                events,
                state,
            });
        }
        (counters, stats)
    }

    const MUNMAP: Call = Call::Munmap {
        addr: 0x1000,
        len: 0x1000,
    };
    const LOAD: Call = Call::Load { addr: 0x1fff };

    #[test]
    fn another_outcome_is_another_counter() {
        let reached = |outcome| watched(&[(MUNMAP, outcome, &[])]).0;
        let outcomes = Errno::ALL.iter().map(|&e| Outcome::Errno(e));
        let all: Vec<_> = outcomes.chain([Outcome::Value(0)]).map(reached).collect();
        for (i, a) in all.iter().enumerate() {
            assert!(all[..i].iter().all(|b| a != b));
        }
    }

    #[test]
    fn calls_on_the_same_bytes_meet_and_others_do_not() {
        let fine = Outcome::Value(0);
        let apart = Call::Load { addr: 0x2000 };
        let sum = |calls: &[_]| watched(calls).0.iter().map(|&c| u32::from(c)).sum::<u32>();
        let meeting = sum(&[(MUNMAP, fine, &[]), (LOAD, fine, &[])]);
        let strangers = sum(&[(MUNMAP, fine, &[]), (apart, fine, &[])]);
        assert_eq!(meeting, strangers + 1);
    }

    #[test]
    fn totals_tell_what_happened() {
        let reasons = DESIGNS[0].reasons.concat();
        let why = reasons.iter().find(|reason| reason.name == "NoAnonVma");
        let gave_up = Event::Note(Note::GiveUp(why.expect("a reason of the first design")));
        let (_, stats) = watched(&[
            (
                LOAD,
                Outcome::Value(0),
                &[gave_up, Event::Note(Note::Classic)],
            ),
            (LOAD, Outcome::Value(0), &[Event::Note(Note::Speculative)]),
            (MUNMAP, Outcome::Errno(Errno::EINVAL), &[]),
        ]);
        let summary = stats.summary(DESIGNS[0]);
        let sent = Stats::from_counts(stats.executions(), stats.counts());
        assert_eq!(sent.summary(DESIGNS[0]), summary);
        assert_eq!(
            (summary.executions, summary.calls, summary.succeeded),
            (1, 3, 2)
        );
        assert_eq!((summary.speculative, summary.classic), (1, 1));
        assert_eq!(summary.gave_up, [("NoAnonVma", 1)]);
        let munmap = summary.by_call.iter().find(|c| c.call == "munmap");
        assert_eq!(munmap.map(|c| (c.made, c.succeeded)), Some((1, 0)));
        assert_eq!(munmap.map(|c| c.errors.clone()), Some(vec![("EINVAL", 1)]));
        assert!(summary.never.contains(&"vma_merge: case 6".to_owned()));
        assert!(
            !summary
                .never
                .contains(&"a call that succeeds: load".to_owned())
        );
    }
}
