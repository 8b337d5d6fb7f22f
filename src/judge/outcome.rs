//! Compares what a call answered.

use vmadiff_contract::{CallKind, Outcome};

use crate::program::text::outcome_text;

/// How two answers differ: the signature's field and a sentence; none if they are the same.
pub fn difference(
    call: CallKind,
    reference: Outcome,
    candidate: Outcome,
) -> Option<(&'static str, String)> {
    if reference == candidate {
        return None;
    }
    let field = match (reference, candidate) {
        (Outcome::Value(_), Outcome::Value(_)) => "value",
        (Outcome::Errno(_), Outcome::Errno(_)) => "errno",
        (Outcome::Segv(_), Outcome::Segv(_)) => "si_code",
        (Outcome::Value(_), _) => "failed",
        (_, Outcome::Value(_)) => "succeeded",
        _ => "kind",
    };
    let (ours, theirs) = (outcome_text(call, reference), outcome_text(call, candidate));
    let mut what = format!("the reference answers {ours}, the candidate {theirs}");
    if candidate == Outcome::Unsupported {
        what += &format!(": it declares that it has {}", call.name());
    }
    Some((field, what))
}
