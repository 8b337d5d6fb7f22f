//! Judges woven runs: explains what the candidate did, while its calls overlapped, by the reference.
//!
//! The run falls into parts (`parts`, `read`): sections, faults, accesses. In the order in which they were
//! marked they are replayed on the reference (`replay`), and almost always that agrees: outcomes,
//! what sections did to VMAs, and the state at the end, in the reference's names (`names`). Where it
//! doesn't, parts that overlap a section are moved to its other side (`order`, `search`): what a
//! page was before or after it is admissible to them, and nothing in between. If none of these
//! orders explains the run, all are tried (`wing_gong`), and if none of them does it is a divergence; if
//! one does that has sections in another order than their marks, the marks are wrong.
//!
//! What is compared and what not is in docs/compared.md.

mod beyond;
mod order;
mod parts;
mod read;
mod replay;
mod rewritten;
mod scenes;
mod search;
mod wing_gong;

use vmadiff_contract::Replay;

use super::{Divergence, Rule, Signature, Verdict};
use crate::program::Program;
use crate::run::Woven;
use order::Order;
use parts::Parts;
use replay::{Objection, Replayer, Trial};
pub use scenes::Scene;
use search::Found;
use wing_gong::{Answer, Keep};

/// Why a run is left unjudged that no order was found for, and not all could be tried. What may be wrong
/// in it shows in smaller ones.
const UNDECIDED: &str =
    "no order was found that explains the run, and it is too large to try them all";

/// Judges woven runs by a reference that is replayed; keeps its memory from run to run.
#[derive(Default)]
pub struct WovenJudge {
    parts: Parts,
    replayer: Replayer,
    order: Order,
    sorted: Vec<usize>,
    /// It agreed to the last run only by moving parts.
    moved: bool,
    /// It objected to the last run for what may be legal.
    doubtful: bool,
}

impl WovenJudge {
    /// Whether it agreed to the last run only by moving parts: what steps say goes before that.
    pub fn moved(&self) -> bool {
        self.moved
    }

    /// Whether it objected to the last run only for what may be legal, step by step: what steps say goes
    /// before that.
    pub fn doubts(&self) -> bool {
        self.doubtful
    }

    /// Judges a run that came to its end, by a reference that may be in any state.
    pub fn judge(
        &mut self,
        program: &Program,
        reference: &mut dyn Replay,
        woven: &Woven,
    ) -> Verdict {
        let Self {
            parts,
            replayer,
            order,
            sorted,
            moved,
            doubtful,
        } = self;
        (*moved, *doubtful) = (false, false);
        parts.read(program, woven);
        if let Some(divergence) = miscounted(parts, woven) {
            return Verdict::Diverge(divergence);
        }
        order::natural(program, parts, order);
        order::sorted(order, sorted);
        let trial = Trial {
            program,
            woven,
            parts,
        };
        if replayer.run(&trial, reference, sorted, order, true) {
            return Verdict::Agree;
        }
        *moved = true;
        let left = match search::search(replayer, &trial, reference, order) {
            Found::Order(_) => return Verdict::Agree,
            Found::Nothing(left) => left,
        };
        let answer = wing_gong::explains(replayer, &trial, reference, order, Keep::Marks);
        if answer == Answer::Explained {
            return Verdict::Agree;
        }
        // The order that explains the most may have put what is beyond orders on something else.
        let beyond = |objections| beyond::why(&trial, objections);
        if let Some(why) = beyond(&left.best).or_else(|| beyond(&left.natural)) {
            return Verdict::Skip(why.to_owned());
        }
        if answer == Answer::Unknown {
            return Verdict::Skip(UNDECIDED.to_owned());
        }
        *doubtful = [&left.best, &left.natural]
            .iter()
            .any(|objections| beyond::steps_know(&trial, objections));
        let objection = left.best.first().expect("no order is without objections");
        let mut divergence = diverges(&trial, objection);
        let answer = wing_gong::explains(replayer, &trial, reference, order, Keep::Time);
        if answer == Answer::Explained {
            divergence.signature.rule = Rule::CommitPoint;
            divergence.what = format!(
                "another order of sections explains the run, that of their marks does not: {}",
                divergence.what
            );
        }
        Verdict::Diverge(divergence)
    }
}

/// Faults are counted as they are served, however calls overlap.
fn miscounted(parts: &Parts, woven: &Woven) -> Option<Divergence> {
    let state = woven.state.tasks.iter().find(|task| {
        let served = parts.faults.get(usize::from(task.task.0));
        served.is_some_and(|&served| served != task.minor_faults + task.major_faults)
    })?;
    let served = parts.faults[usize::from(state.task.0)];
    let counted = state.minor_faults + state.major_faults;
    let signature = Signature {
        rule: Rule::FaultCount,
        call: "end",
        field: "tasks.faults",
    };
    let what = format!(
        "in the candidate, task {} was served {served} faults and counts {counted}",
        state.task
    );
    Some(Divergence {
        side: Some(super::Side::Candidate),
        ..Divergence::of(signature, what)
    })
}

fn diverges(trial: &Trial<'_>, objection: &Objection) -> Divergence {
    let part = objection.part.map(|i| &trial.parts.list[i]);
    let call = part.map_or("end", |part| {
        trial.program.calls[part.call].call.kind().name()
    });
    let signature = Signature {
        rule: objection.rule,
        call,
        field: objection.field,
    };
    Divergence {
        at: part.map(|part| part.call),
        step: part.map(|part| part.at as usize),
        ..Divergence::of(signature, objection.what.clone())
    }
}
