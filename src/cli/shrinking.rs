//! Shrinking a program that diverges, as the commands do it: in a limited time.

use std::time::{Duration, Instant};

use vmadiff::judge::{Signature, Verdict};
use vmadiff::pair::Pair;
use vmadiff::program::Program;
use vmadiff::shrink::{Attempt, Shrunk, shrink};

use super::interrupt::Interrupt;

/// Shrinks a program that diverges with this signature. When the time is over, or Ctrl-C came, it
/// stops with the best so far.
pub fn shrink_to(
    pair: &mut Pair,
    program: &Program,
    wanted: &Signature,
    limit: Option<Duration>,
    interrupt: &Interrupt,
) -> Shrunk {
    let start = Instant::now();
    let spelled_out = pair.spelled_out(program);
    let same = match pair.observe(&spelled_out).verdict {
        Verdict::Diverge(divergence) => divergence.signature == *wanted,
        _ => false,
    };
    let program = if same { &spelled_out } else { program };
    shrink(program, |smaller| {
        if interrupt.came() || limit.is_some_and(|limit| start.elapsed() > limit) {
            return Attempt::Stop;
        }
        match pair.run(smaller, &mut ()).map(|ran| ran.verdict) {
            Some(Verdict::Diverge(divergence)) if divergence.signature == *wanted => Attempt::Same,
            _ => Attempt::Other,
        }
    })
}
