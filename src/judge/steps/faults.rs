//! Faults are counted as they are served, however calls overlap: as many as were marked.

use vmadiff_interleave::at;
use vmadiff_interleave::sim::{TASKS, What};

use crate::judge::{Divergence, Rule, Side, Signature};
use crate::run::Woven;

/// A task that counts other faults than it was served.
pub(super) fn miscounted(woven: &Woven) -> Option<Divergence> {
    let mut served = [0; TASKS + 1];
    for step in woven.trace.steps() {
        if matches!(step.what, What::Mark(_)) && step.site == at::FAULT {
            served[usize::from(step.task).min(TASKS)] += 1;
        }
    }
    let state = woven.state.tasks.iter().find(|state| {
        let served = served.get(usize::from(state.task.0));
        served.is_some_and(|&served| served != state.minor_faults + state.major_faults)
    })?;
    let served = served[usize::from(state.task.0)];
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
        side: Some(Side::Candidate),
        ..Divergence::of(signature, what)
    })
}
