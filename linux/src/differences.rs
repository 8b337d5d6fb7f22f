//! The ways in which newer kernels differ from the rules, each with the kernels that have it and a
//! program that shows it. A difference that no entry explains is a finding about the manager.

use vmadiff_contract::{Call, Config, Outcome, TaskId};

use crate::machine::Machine;
use crate::trial::Finding;
use crate::view::Answer;

/// A way in which newer kernels differ.
#[derive(Debug)]
pub struct KnownDifference {
    /// Its name.
    pub name: &'static str,
    /// The section of `docs/rules.md` that newer kernels do not follow.
    pub section: u8,
    /// The first kernel that has it, as far as is known.
    pub since: (u32, u32),
    /// What is different, in a sentence.
    pub what: &'static str,
    /// A program, as text, that shows it.
    pub program: &'static str,
    /// Whether it explains a difference.
    explains: fn(&Context) -> bool,
}

/// A difference and how it came about.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The machine.
    pub machine: &'a Machine,
    /// The program's configuration.
    pub config: &'a Config,
    /// The calls up to the one that shows the difference.
    pub calls: &'a [(TaskId, Call)],
    /// What the manager said to them.
    pub said: &'a [Outcome],
    /// What Linux answered, to these and perhaps to later ones.
    pub answers: &'a [Answer],
    /// The difference.
    pub finding: &'a Finding,
}

/// The entry that explains a difference, if one does.
pub fn explain(context: &Context) -> Option<&'static KnownDifference> {
    let version = context.machine.version();
    let mut candidates = KNOWN_DIFFERENCES
        .iter()
        .filter(|known| version >= known.since);
    candidates.find(|known| (known.explains)(context))
}

/// All that are known.
pub const KNOWN_DIFFERENCES: &[KnownDifference] = &[];
