//! Shrinking a program that diverges, as the commands do it: in a limited time, and past smaller programs at which
//! somebody else's manager hangs or dies.

use std::time::{Duration, Instant};

use vmadiff::designs::{self, Planted};
use vmadiff::judge::Verdict;
use vmadiff::pair::{Pair, Ran, pair};
use vmadiff::program::Program;
use vmadiff::shrink::{Attempt, Passes, Shrunk, shrink};

use super::interrupt::Interrupt;
use super::lost::{Lost, is_of_lost};
use super::output::complain;
use super::trial::Trials;

/// Seconds that a call of a smaller program may take. One takes microseconds; of a manager that hangs each try
/// takes as long.
const PATIENCE: u64 = 1;

/// Both managers, made when somebody first has use for them: one may hang as it is made.
pub struct Later<'a> {
    planted: &'a Planted,
    made: Option<Pair>,
}

impl<'a> Later<'a> {
    /// Of this candidate.
    pub fn new(planted: &'a Planted) -> Self {
        let made = None;
        Self { planted, made }
    }

    /// They are there from now on.
    pub fn get(&mut self) -> &mut Pair {
        self.made.get_or_insert_with(|| pair(self.planted))
    }
}

/// Shrinks programs of one candidate.
pub struct Shrinking<'a> {
    pub planted: &'a Planted,
    /// With the best so far it stops when so much time is over,
    pub limit: Option<Duration>,
    /// or Ctrl-C came.
    pub interrupt: &'a Interrupt,
}

impl Shrinking<'_> {
    /// Shrinks a program that diverges with this signature.
    pub fn shrink(&self, pair: &mut Later<'_>, program: &Program, wanted: &str) -> Shrunk {
        let start = Instant::now();
        // This project's designs come back, and are tried in this process, which is faster.
        let mut trials = (!designs::are_own()).then(|| Trials::new(self.planted, PATIENCE));
        shrink(program, |smaller| {
            let over = self.limit.is_some_and(|limit| start.elapsed() > limit);
            if self.interrupt.came() || over {
                return Attempt::Stop;
            }
            match trials
                .as_mut()
                .map_or(Ok(None), |trials| trials.lost(smaller))
            {
                Ok(Some(lost)) if lost.signature == wanted => Attempt::Same,
                Ok(Some(_)) => Attempt::Other,
                Ok(None) if is_of_lost(wanted) => Attempt::Other,
                Ok(None) => ran(pair.get(), smaller, wanted),
                Err(error) => {
                    complain(&error);
                    Attempt::Stop
                }
            }
        })
    }

    /// As [`Shrinking::shrink`], of a program at which the candidate is lost in more than so many seconds. What is
    /// said of the smaller one; it is as it was where that is not lost for as long. After Ctrl-C nothing is.
    ///
    /// # Errors
    ///
    /// If no process could be started for it.
    pub fn shrink_lost(
        &self,
        pair: &mut Later<'_>,
        program: &Program,
        wanted: &str,
        seconds: u64,
    ) -> anyhow::Result<(Shrunk, Option<Lost>)> {
        let mut shrunk = self.shrink(pair, program, wanted);
        if self.interrupt.came() {
            return Ok((shrunk, None));
        }
        let mut patient = Trials::new(self.planted, seconds);
        let mut same = |program: &Program| {
            let lost = patient.lost(program)?;
            anyhow::Ok(lost.filter(|lost| lost.signature == wanted))
        };
        let mut lost = same(&shrunk.program)?;
        if lost.is_none() && shrunk.program != *program {
            shrunk.program.clone_from(program);
            lost = same(program)?;
        }
        Ok((shrunk, lost))
    }
}

fn ran(pair: &mut Pair, program: &Program, wanted: &str) -> Attempt {
    match pair.run(program, &mut ()) {
        Some(ran) if signature(&ran).as_deref() == Some(wanted) => {
            let woven = ran.woven.as_deref();
            woven.map_or(Attempt::Same, |woven| Attempt::Woven(Passes::of(woven)))
        }
        _ => Attempt::Other,
    }
}

fn signature(ran: &Ran) -> Option<String> {
    match &ran.verdict {
        Verdict::Diverge(divergence) => Some(divergence.signature.to_string()),
        Verdict::Agree | Verdict::Skip(_) => None,
    }
}
