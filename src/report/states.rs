//! What differs between the states after the call at which a run diverged.

use super::{Report, Role};
use crate::compare::View;
use crate::judge::{Divergence, Side};
use crate::run::Observation;
use crate::views::states;

pub fn add(
    report: &mut Report,
    view: View,
    divergence: &Divergence,
    reference: &Observation,
    candidate: &Observation,
) {
    let (ours, theirs) = match divergence.at {
        None => (Some(&reference.last), Some(&candidate.last)),
        Some(at) => (reference.state(at), candidate.state(at)),
    };
    let (Some(ours), Some(theirs)) = (ours, theirs) else {
        return;
    };
    let lines = states::differences(view, ours, theirs);
    if lines.is_empty() {
        return;
    }
    report.heading("state afterwards, - reference, + candidate");
    for (side, text) in lines {
        let role = match side {
            None => Role::Plain,
            Some(Side::Reference) => Role::Reference,
            Some(Side::Candidate) => Role::Candidate,
        };
        report.line(role, format!("  {text}"));
    }
}
