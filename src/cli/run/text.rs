//! What came of a program, in lines.

use super::outcome::Outcome;
use crate::cli::input::name;
use crate::cli::paint;
use crate::counted::counted;

/// The verdict, and a line for each thing else that there is to say.
pub fn text(outcome: &Outcome) -> String {
    let Outcome { file, calls, .. } = outcome;
    let file = name(file);
    let taken = match outcome.form {
        Some("bytes") => ", read as bytes",
        _ => "",
    };
    let verdict = match outcome {
        Outcome {
            signature: Some(signature),
            ..
        } => {
            format!("{} {file}: {signature}", paint::bad("diverge"))
        }
        Outcome {
            skipped: Some(why), ..
        } => {
            format!("{} {file}: {why}", paint::warning("skip   "))
        }
        _ if outcome.is_fine() => {
            format!(
                "{} {file}: {}{taken}",
                paint::good("agree  "),
                made(*calls, outcome.not_made.len())
            )
        }
        _ if outcome.unmet.is_empty() => {
            format!("{} {file}: the managers agree", paint::bad("unasked"))
        }
        _ => format!("{} {file}: the managers agree", paint::bad("unmet  ")),
    };
    let not_made = not_made(outcome);
    let more = not_made.iter().chain(&outcome.known);
    let more = more.chain(&outcome.unmet).chain(&outcome.unasked);
    let more = more.chain(&outcome.warnings);
    std::iter::once(verdict)
        .chain(more.map(|line| format!("  {line}")))
        .map(|line| line + "\n")
        .collect()
}

/// How many calls a program has, and how many of them were made, if not all.
fn made(calls: usize, left_out: usize) -> String {
    let all = counted(calls, "call");
    match left_out {
        0 => all,
        some => format!("{} of {all}", calls - some),
    }
}

/// Calls that are named one by one where some were not made.
const NAMED: usize = 8;

/// Which calls were not made, of a program of which others were.
fn not_made(outcome: &Outcome) -> Option<String> {
    let calls = &outcome.not_made;
    if calls.is_empty() || calls.len() == outcome.calls {
        return None;
    }
    let mut named: Vec<String> = calls.iter().take(NAMED).map(usize::to_string).collect();
    if calls.len() > NAMED {
        named.push(format!("and {} more", calls.len() - NAMED));
    }
    Some(format!(
        "not made, since the candidate has not what they ask: {} {}",
        if calls.len() == 1 { "call" } else { "calls" },
        named.join(", ")
    ))
}
