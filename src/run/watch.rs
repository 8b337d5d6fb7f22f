//! Watching a run from outside the judge: coverage and statistics.

use std::cell::Cell;

use vmadiff_contract::{Config, Event, Outcome, Snapshot};

use super::Woven;
use crate::program::{Program, Step};

/// Sees each call of the candidate as it ends; judges nothing.
pub trait Watch {
    /// A program begins.
    fn begin(&mut self, config: &Config);
    /// One of its calls has ended. The exits and the quiescing that end every run are not shown.
    fn call(&mut self, seen: &Seen<'_>);
    /// A woven program has run; its calls are not shown one by one.
    fn woven(&mut self, _program: &Program, _woven: &Woven) {}
    /// Where a woven run counts which write met which read, if anywhere.
    fn pairs(&mut self) -> Option<&[Cell<u8>]> {
        None
    }
}

/// One call of the candidate.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The call.
    pub step: &'a Step,
    /// Its outcome.
    pub outcome: Outcome,
    /// The events it raised.
    pub events: &'a [Event],
    /// The state after it.
    pub state: &'a Snapshot,
}

/// Nobody watches.
impl Watch for () {
    fn begin(&mut self, _config: &Config) {}
    fn call(&mut self, _seen: &Seen<'_>) {}
}

/// Both watch.
impl<A: Watch, B: Watch> Watch for (&mut A, &mut B) {
    fn begin(&mut self, config: &Config) {
        self.0.begin(config);
        self.1.begin(config);
    }

    fn call(&mut self, seen: &Seen<'_>) {
        self.0.call(seen);
        self.1.call(seen);
    }

    fn woven(&mut self, program: &Program, woven: &Woven) {
        self.0.woven(program, woven);
        self.1.woven(program, woven);
    }

    fn pairs(&mut self) -> Option<&[Cell<u8>]> {
        self.0.pairs().or_else(|| self.1.pairs())
    }
}
