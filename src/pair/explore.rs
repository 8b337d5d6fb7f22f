//! Every schedule of a small program, judged one by one.

use vmadiff_interleave::policy::{Explored, Search};

use super::{Pair, Ran};
use crate::judge::Verdict;
use crate::program::{Policy, Program, Schedule, Switch};

impl Pair {
    /// Runs a program by every schedule that a search has, and judges each run. The first `ground`
    /// calls are made one after another before all others. The program's own schedule is not asked.
    /// A call that stands behind one that makes tasks does not begin before that has returned.
    ///
    /// # Errors
    /// The first run that diverges, and the program with the schedule that shows it again.
    pub fn explore(
        &mut self,
        program: &Program,
        ground: usize,
        search: &mut impl Search,
    ) -> Result<Explored, Box<(Program, Ran)>> {
        while search.advance() {
            let verdict = self.weave_by(program, ground, search);
            if verdict != Verdict::Agree {
                let ran = self.ran_woven(verdict);
                return Err(Box::new((shown(program, &ran), ran)));
            }
        }
        Ok(search.explored())
    }
}

/// The program with the schedule that a run of it had.
fn shown(program: &Program, ran: &Ran) -> Program {
    let switches = ran.woven.iter().flat_map(|woven| woven.trace.switches());
    Program {
        schedule: Schedule {
            policy: Policy::Preemptions,
            seed: 0,
            switches: switches.map(Switch::from).collect(),
        },
        ..program.clone()
    }
}
