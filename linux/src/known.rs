//! The ways in which the running kernel is known to differ from the rules, each with the kernels
//! that have it and a program that shows it. A difference that no entry explains is a finding
//! about the manager.

mod merges;
mod table;

use std::fmt;

use vmadiff_contract::{Call, Config, Outcome, TaskId};

use crate::diff::{Difference, Field};
use crate::machine::Machine;
use crate::view::{Answer, View};

pub use merges::Merges;
pub use table::known;

/// A way in which the kernel differs from the rules.
#[derive(Debug)]
pub struct Known {
    /// Its name.
    pub name: &'static str,
    /// The section of `docs/rules.md` that the kernel does not follow.
    pub section: u8,
    /// Whose doing it is.
    pub origin: Origin,
    /// What is different, in a sentence.
    pub what: &'static str,
    /// A program, as text, that shows it.
    pub program: &'static str,
    /// Whether what follows can still be compared.
    pub goes_on: bool,
    /// Whether it explains a difference.
    explains: fn(&Context) -> bool,
}

/// Why the kernel differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It changed after 5.1: the first release that has it.
    Since(u32, u32),
    /// The model was chosen smaller than the kernel (`docs/rules.md`, section 18).
    Chosen,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Since(major, minor) => write!(f, "since {major}.{minor}"),
            Self::Chosen => f.write_str("a choice of the model"),
        }
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
    pub views: Option<(&'a View, &'a View)>,
    /// The same before the last call, where that was looked at.
    pub before: Option<(&'a View, &'a View)>,
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
    let version = context.machine.version();
    let there = |known: &&Known| match known.origin {
        Origin::Since(major, minor) => version >= (major, minor),
        Origin::Chosen => true,
    };
    let mut candidates = known().filter(there);
    candidates.find(|known| (known.explains)(context))
}
