//! Tells a race scene by scene, for pictures: the reference's state as it is taken along the marks, beside
//! what could be seen of the candidate then.

use vmadiff_contract::{Outcome, Snapshot, Stepped};
use vmadiff_interleave::Site;
use vmadiff_interleave::at;
use vmadiff_interleave::sim::{TASKS, What as Traced};

use super::{Follower, StepJudge};
use crate::program::Program;
use crate::run::{Shot, Woven};

/// What a part of a call did to the state.
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

/// A step of the trace at which both are looked at.
struct Look {
    call: usize,
    did: &'static str,
    step: u32,
    quiet: bool,
}

impl StepJudge {
    /// The scenes of a run, by a reference that may be in any state. Behind the step at which they part,
    /// the reference's calls go on to their ends as it does, one after another.
    pub fn scenes(
        &mut self,
        program: &Program,
        reference: &mut dyn Stepped,
        woven: &Woven,
        shots: &[Shot],
    ) -> Vec<Scene> {
        let looks = looks(program, woven);
        let mut seen: Vec<Snapshot> = Vec::new();
        let names = self.with_race(program, woven, |_, race| {
            let mut follower = Follower::default();
            follower.follow_through(race, reference, &mut |at, reference| {
                while looks.get(seen.len()).is_some_and(|look| look.step < at) {
                    let mut ours = Snapshot::default();
                    reference.see(&mut ours);
                    seen.push(ours);
                }
            });
            follower.names().clone()
        });
        let scene = |call, did, step, quiet, ours: Snapshot, theirs: &Snapshot| {
            let mut named = Snapshot::default();
            // What is paired half-way must not stay so.
            names.clone().translate(&ours, theirs, &mut named);
            Scene {
                call,
                did,
                step,
                quiet,
                ours,
                theirs: named,
            }
        };
        let mut scenes: Vec<Scene> = Vec::new();
        for (look, ours) in looks.iter().zip(seen) {
            let shot = shots.iter().rfind(|shot| shot.step <= look.step);
            if let Some(shot) = shot {
                let Look {
                    call,
                    did,
                    step,
                    quiet,
                } = *look;
                scenes.push(scene(Some(call), did, step, quiet, ours, &shot.state));
            }
        }
        if woven.finished() {
            let mut ours = Snapshot::default();
            reference.see(&mut ours);
            let step = woven.trace.steps().len() as u32;
            scenes.push(scene(None, "", step, true, ours, &woven.state));
        }
        scenes
    }
}

/// Where both are looked at: at the marks of each call, and where it returns if nothing of another call is
/// looked at between. What follows in one call is one scene.
fn looks(program: &Program, woven: &Woven) -> Vec<Look> {
    let mut looks: Vec<Look> = Vec::new();
    let mut running: [Option<usize>; TASKS + 1] = [None; TASKS + 1];
    for (i, step) in woven.trace.steps().iter().enumerate() {
        let running_here = &mut running[usize::from(step.task)];
        let (call, did) = match step.what {
            Traced::Begin(call) => {
                *running_here = Some(call as usize);
                continue;
            }
            Traced::End(call) => {
                *running_here = None;
                (call as usize, None)
            }
            Traced::Mark(_) => match *running_here {
                Some(call) => (call, Some(did(step.site, woven.outcomes[call]))),
                None => continue,
            },
            Traced::Access { .. } | Traced::Chose(_) => continue,
        };
        let unmade = matches!(woven.outcomes[call], None | Some(Outcome::Unsupported));
        if unmade || program.calls[call].task.0 == 0 {
            continue;
        }
        let quiet = did.is_none() && running.iter().all(Option::is_none);
        let seen = looks.iter().any(|look| look.call == call);
        let step = i as u32;
        match looks.last_mut().filter(|last| last.call == call) {
            Some(last) => {
                (last.did, last.step, last.quiet) = (did.unwrap_or(last.did), step, quiet);
            }
            // What it did is told already.
            None if did.is_none() && seen => {}
            None => looks.push(Look {
                call,
                did: did.unwrap_or("takes effect"),
                step,
                quiet,
            }),
        }
    }
    looks
}

/// A mark in words.
fn did(site: Site, outcome: Option<Outcome>) -> &'static str {
    if site == at::FAULT {
        "its fault is served"
    } else if site == at::REFUSED {
        "a page is not to be had"
    } else if site != at::ACCESS {
        "takes effect"
    } else if matches!(outcome, Some(Outcome::Value(_))) {
        "its access is made"
    } else {
        "it is refused"
    }
}
