//! Compares what a call answered.

use vmadiff_contract::Outcome;

/// How two answers differ: the signature's field and a sentence; none if they are the same.
pub fn difference(reference: Outcome, candidate: Outcome) -> Option<(&'static str, String)> {
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
    let (ours, theirs) = (show(reference), show(candidate));
    Some((
        field,
        format!("the reference answers {ours}, the candidate {theirs}"),
    ))
}

/// An answer, as program text writes it.
pub fn show(outcome: Outcome) -> String {
    match outcome {
        Outcome::Value(value @ 0..=9) => value.to_string(),
        Outcome::Value(value) => format!("{value:#x}"),
        Outcome::Errno(errno) => errno.to_string(),
        Outcome::Segv(code) => format!("SIGSEGV({code})"),
        Outcome::Bus => "SIGBUS".to_owned(),
        Outcome::Oom => "OOM".to_owned(),
        Outcome::Livelock => "LIVELOCK".to_owned(),
        Outcome::NoTask => "NO TASK".to_owned(),
        Outcome::Unsupported => "UNSUPPORTED".to_owned(),
    }
}
