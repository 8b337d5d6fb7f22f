//! Shrinking a program that diverges, as the commands do it: in a limited time.

use std::time::{Duration, Instant};

use vmadiff::judge::{Signature, Verdict};
use vmadiff::pair::Pair;
use vmadiff::pair::Ran;
use vmadiff::program::Program;
use vmadiff::shrink::{Attempt, Passes, Shrunk, shrink};

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
    shrink(program, |smaller| {
        if interrupt.came() || limit.is_some_and(|limit| start.elapsed() > limit) {
            return Attempt::Stop;
        }
        match pair.run(smaller, &mut ()) {
            Some(ran) if signature(&ran) == Some(wanted) => {
                let woven = ran.woven.as_deref();
                woven.map_or(Attempt::Same, |woven| Attempt::Woven(Passes::of(woven)))
            }
            _ => Attempt::Other,
        }
    })
}

fn signature(ran: &Ran) -> Option<&Signature> {
    match &ran.verdict {
        Verdict::Diverge(divergence) => Some(&divergence.signature),
        Verdict::Agree | Verdict::Skip(_) => None,
    }
}
