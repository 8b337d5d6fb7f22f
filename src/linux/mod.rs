//! The reference on trial: programs on the running kernel.
//!
//! A program is run on Linux and on the reference; what differs is either a known difference of
//! newer kernels or a finding about the reference. For fuzzing, programs are [narrowed](narrow) to
//! what the machine can do.

mod fuzz;
mod narrow;
mod programs;

pub use fuzz::{Calls, Campaign, Found, Tally, fuzz, signature};
pub use narrow::{narrow, with_nodes};
pub use programs::Programs;

use vmadiff_contract::{Call, Manager, TaskId};
use vmadiff_linux::{Closeness, Linux, Stopped, Trial, Verdict};
use vmadiff_reference::Reference;

use crate::program::Program;
use crate::shrink::{Attempt, Shrunk, shrink};

/// The reference against the running kernel.
pub fn court(linux: Linux) -> Trial {
    Trial::new(linux, Reference::boot)
}

/// Runs a program on both. The number of memory nodes may be the machine's, where no call of the
/// program can tell.
///
/// # Errors
/// If it can not be run here, or the harness fails.
pub fn judge(court: &mut Trial, program: &Program, how: Closeness) -> Result<Verdict, Stopped> {
    let config = with_nodes(program, court.linux.machine().nodes);
    let steps = program.calls.iter();
    let calls: Vec<(TaskId, Call)> = steps.map(|step| (step.task, step.call)).collect();
    court.judge(&config, &calls, how)
}

/// Makes a program that differs smaller, as long as the same field differs after the same kind of
/// call and no known difference explains it.
pub fn smallest(court: &mut Trial, program: &Program, how: Closeness) -> Shrunk {
    let mut named = |program: &Program| match judge(court, program, how) {
        Ok(Verdict::Differs(finding)) => Some(signature(program, &finding)),
        _ => None,
    };
    let wanted = named(program);
    shrink(program, |smaller| {
        if named(smaller) == wanted {
            Attempt::Same
        } else {
            Attempt::Other
        }
    })
}
