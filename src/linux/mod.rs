//! The reference on trial: programs on the running kernel.
//!
//! A program is [narrowed](narrow) to what the machine can do, run on Linux and on the reference,
//! and what differs is either a known difference of newer kernels or a finding about the reference.

mod narrow;

pub use narrow::narrow;

use vmadiff_contract::{Call, TaskId};
use vmadiff_linux::{Closeness, Stopped, Trial, Verdict};
use vmadiff_reference::Reference;

use crate::program::Program;
use crate::shrink::{Attempt, Shrunk, shrink};

/// The reference against the running kernel.
pub type Court = Trial<Reference>;

/// Runs a program on both.
///
/// # Errors
/// If it can not be run here, or the harness fails.
pub fn judge(court: &mut Court, program: &Program, how: Closeness) -> Result<Verdict, Stopped> {
    let calls: Vec<(TaskId, Call)> = program
        .calls
        .iter()
        .map(|step| (step.task, step.call))
        .collect();
    court.judge(&program.config, &calls, how)
}

/// Makes a program that differs smaller, as long as the same field differs at the same kind of call
/// and no known difference explains it.
pub fn smallest(court: &mut Court, program: &Program, how: Closeness) -> Shrunk {
    let sign = |court: &mut Court, program: &Program| match judge(court, program, how) {
        Ok(Verdict::Differs(finding)) => {
            let kind = finding.call.map(|index| program.calls[index].call.kind());
            Some((finding.difference.field, kind))
        }
        _ => None,
    };
    let wanted = sign(court, program);
    shrink(program, |smaller| {
        if sign(court, smaller) == wanted {
            Attempt::Same
        } else {
            Attempt::Other
        }
    })
}
