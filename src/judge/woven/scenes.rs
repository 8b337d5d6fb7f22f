//! Tells a run part by part, for pictures: the reference's state after each part, as it is replayed,
//! beside what could be seen of the candidate then.

use vmadiff_contract::{Replay, Snapshot};

use super::WovenJudge;
use super::order;
use super::parts::{Act, Parts};
use super::replay::Trial;
use super::search::{Found, search};
use crate::program::Program;
use crate::run::{Shot, Woven};

/// What one part of a run, or more of one call, did to the state.
#[derive(Clone, Debug)]
pub struct Scene {
    /// The call; none: all have returned.
    pub call: Option<usize>,
    /// What the call did here.
    pub did: &'static str,
    /// The step of the trace at which the candidate was looked at.
    pub step: u32,
    /// No other call was under way then: nothing may differ.
    pub quiet: bool,
    /// The reference's state.
    pub ours: Snapshot,
    /// The candidate's, in the reference's names.
    pub theirs: Snapshot,
}

impl WovenJudge {
    /// The scenes of a run, in the order that explains it; where none does, in that of the marks.
    pub fn scenes(
        &mut self,
        program: &Program,
        reference: &mut dyn Replay,
        woven: &Woven,
        shots: &[Shot],
    ) -> Vec<Scene> {
        let Self {
            parts,
            replayer,
            order,
            sorted,
            ..
        } = self;
        parts.read(program, woven);
        order::natural(program, parts, order);
        let trial = Trial {
            program,
            woven,
            parts,
        };
        if woven.finished()
            && let Found::Order(found) = search(replayer, &trial, reference, order)
        {
            *order = found;
        }
        order::sorted(order, sorted);
        // Once to know which objects are which: some are seen before both have them.
        replayer.run(&trial, reference, sorted, order, false);
        let names = replayer.names().clone();
        let both = |reference: &dyn Replay, theirs: &Snapshot| {
            let (mut ours, mut named) = (Snapshot::default(), Snapshot::default());
            reference.snapshot(&mut ours);
            // What is paired half-way must not stay so.
            names.clone().translate(&ours, theirs, &mut named);
            (ours, named)
        };
        replayer.begin(&trial, reference);
        let mut scenes: Vec<Scene> = Vec::new();
        for (place, &index) in sorted.iter().enumerate() {
            replayer.part(&trial, reference, index, order[index]);
            let call = parts.list[index].call;
            let goes_on = sorted.get(place + 1);
            if goes_on.is_some_and(|&next| parts.list[next].call == call) {
                continue;
            }
            let step = looked_at(parts, woven, index);
            let shot = shots.iter().find(|shot| shot.step == step);
            let Some(shot) = shot.or_else(|| shots.iter().rfind(|shot| shot.step < step)) else {
                continue;
            };
            let (ours, theirs) = both(reference, &shot.state);
            scenes.push(Scene {
                call: Some(call),
                did: did(parts.list[index].act),
                step,
                quiet: is_quiet(parts, woven, call, step),
                ours,
                theirs,
            });
        }
        if woven.finished() {
            let (ours, theirs) = both(reference, &woven.state);
            scenes.push(Scene {
                call: None,
                did: "",
                step: woven.trace.steps().len() as u32,
                quiet: true,
                ours,
                theirs,
            });
        }
        scenes
    }
}

/// Where the candidate is looked at to see what a part came to: at the end of its call if no other
/// part comes before that, else at its mark.
fn looked_at(parts: &Parts, woven: &Woven, index: usize) -> u32 {
    let part = &parts.list[index];
    let end = parts.spans[part.call].end;
    let between = |at: u32| part.at < at && at < end;
    let alone = !parts.list.iter().any(|other| between(other.at));
    if alone && woven.outcomes[part.call].is_some() {
        end
    } else {
        part.at
    }
}

/// Whether nobody is in the middle of a call at this step.
fn is_quiet(parts: &Parts, woven: &Woven, call: usize, step: u32) -> bool {
    let spans = parts.spans.iter().enumerate();
    let mut under_way = spans.filter(|(other, span)| {
        let returned = woven.outcomes[*other].is_some();
        let begun = span.begin != 0 && span.begin < step;
        begun && (!returned || step < span.end)
    });
    parts.spans[call].end == step && under_way.next().is_none()
}

/// A part in words.
fn did(act: Act) -> &'static str {
    match act {
        Act::Section => "takes effect",
        Act::Fault(_) => "its fault is served",
        Act::Access => "its access is made",
        Act::Refused(_) => "it is refused",
        Act::Unserved(_) => "a page is not to be had",
    }
}
