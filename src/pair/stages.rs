//! How far a program came with a defect that is planted: to its place, and to a difference.

use vmadiff_contract::{Event, Outcome, Snapshot};

use super::Pair;
use crate::program::Program;
use crate::run::{Observation, Woven};

impl Pair {
    /// Whether this program, the last that was run, came to where a planted defect stands.
    pub fn has_reached_defect(&self, program: &Program) -> bool {
        match &self.interleaved {
            Some(interleaved) if !program.schedule.is_serial() => {
                interleaved.weaver.has_reached_defect()
            }
            _ => self.candidate.instance.manager.has_reached_defect(),
        }
    }

    /// Whether callers could tell this candidate from the other pair's by this program: by what a call
    /// answers, by what happens to objects, or by a state. Nobody judges which of both is right, and
    /// what faults note on their way does not count.
    pub fn differs_from(&mut self, other: &mut Self, program: &Program) -> bool {
        let (one, other) = (self.observe(program), other.observe(program));
        match (&one.woven, &other.woven) {
            (Some(one), Some(other)) => !alike_woven(one, other),
            _ => !alike(&one.candidate, &other.candidate),
        }
    }
}

fn alike(one: &Observation, other: &Observation) -> bool {
    let mut calls = one.calls.iter().zip(&other.calls);
    one.panicked == other.panicked
        && one.calls.len() == other.calls.len()
        && calls.all(|(one, other)| {
            one.outcome == other.outcome
                && is_same(&one.state, &other.state)
                && told(&one.events).eq(told(&other.events))
        })
        && told(&one.deferred).eq(told(&other.deferred))
        && is_same(&one.last, &other.last)
}

fn alike_woven(one: &Woven, other: &Woven) -> bool {
    fn raised(woven: &Woven) -> impl Iterator<Item = Event> {
        let events = woven.events.iter().map(|raised| raised.event);
        events.filter(|event| !matches!(event, Event::Note(_)))
    }
    fn exits(woven: &Woven) -> impl Iterator<Item = Outcome> {
        woven.exits.iter().map(|exited| exited.seen.outcome)
    }
    one.panicked == other.panicked
        && one.trace.end() == other.trace.end()
        && one.outcomes == other.outcomes
        && raised(one).eq(raised(other))
        && is_same(&one.state, &other.state)
        && exits(one).eq(exits(other))
        && is_same(&one.last, &other.last)
}

/// Events without what is only noted.
fn told(events: &[Event]) -> impl Iterator<Item = Event> {
    let events = events.iter().copied();
    events.filter(|event| !matches!(event, Event::Note(_)))
}

/// Whether two states show the same; counts of the protocol are nothing that a caller sees.
fn is_same(one: &Snapshot, other: &Snapshot) -> bool {
    let plain = |state: &Snapshot| Snapshot {
        protocol: Vec::new(),
        ..state.clone()
    };
    plain(one) == plain(other)
}
