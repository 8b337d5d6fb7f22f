//! The ways in which the running kernel is known to differ from the rules, each with the kernels
//! that have it and a program that shows it. A difference that no entry explains is a finding
//! about the manager.

mod merges;
mod table;

use vmadiff_contract::{Call, Config, Origin, Outcome, TaskId};

use crate::diff::{Difference, Field};
use crate::machine::Machine;
use crate::seen::{Answer, Seen};

pub use merges::Merges;
pub use table::known;

/// What an entry of the table asks.
type Explains = dyn Fn(&Context<'_>) -> bool + Send + Sync;

/// A way in which the kernel differs from the rules; a release is one of Linux.
pub type Known = vmadiff_contract::Known<Explains>;

/// Whose doing a difference is: releases of Linux, or the model.
pub fn whose(known: &Known) -> String {
    match known.origin {
        Origin::Changed(change) => change.to_string(),
        Origin::Chosen => "a choice of the model".to_owned(),
    }
}

/// A difference and how it came about.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The machine.
    pub machine: &'a Machine,
    /// The program's configuration.
    pub config: &'a Config,
    /// The calls so far.
    pub calls: &'a [(TaskId, Call)],
    /// What the manager said to them.
    pub said: &'a [Outcome],
    /// What Linux answered to them.
    pub answers: &'a [Answer],
    /// The last call is the one that made the difference; else it is some call before.
    pub placed: bool,
    /// The manager's and Linux's state; none where an answer differs.
    pub seen: Option<(&'a Seen, &'a Seen)>,
    /// The same before the last call, where that was looked at.
    pub before: Option<(&'a Seen, &'a Seen)>,
    /// What only Linux merged, in the states before that were looked at.
    pub merges: &'a Merges,
    /// The difference.
    pub difference: &'a Difference,
}

impl Context<'_> {
    /// The last call, what the manager said and what Linux answered, where these differ.
    fn answered(&self) -> Option<(Call, Outcome, &Answer)> {
        if self.difference.field != Field::Answer {
            return None;
        }
        let (_, call) = *self.calls.last()?;
        Some((call, *self.said.last()?, self.answers.last()?))
    }

    /// The last call and what both sides said, where the state after it is the first to differ.
    fn left(&self) -> Option<(Call, Outcome)> {
        if self.difference.field == Field::Answer || !self.placed {
            return None;
        }
        let (_, call) = *self.calls.last()?;
        Some((call, *self.said.last()?))
    }
}

/// The entry that explains a difference, if one does.
pub fn explain(context: &Context) -> Option<&'static Known> {
    let release = Some(context.machine.version());
    let mut candidates = known().filter(|known| known.applies_to(release));
    candidates.find(|known| (known.explains)(context))
}
