//! The ways in which the running kernel is known to differ from the rules, each with the kernels
//! that have it and a program that shows it. A difference that no entry explains is a finding
//! about the manager.

mod merges;
mod table;

use std::fmt;

use vmadiff_contract::{Call, Config, Outcome, TaskId};

use crate::diff::{Difference, Field};
use crate::machine::Machine;
use crate::seen::{Answer, Seen};

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

/// A release of Linux: major and minor number.
pub type Version = (u32, u32);

/// Why the kernel differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It changed after 5.1.
    Changed(Change),
    /// The model was chosen smaller than the kernel (`docs/rules.md`, section 18).
    Chosen,
}

/// Which releases have a change, and how far that was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The first release that has it by its history, or that may have it, if that is not known.
    pub first: Version,
    /// The newest release before that was seen without it.
    pub absent: Version,
    /// The oldest release that was seen with it.
    pub seen: Version,
    /// The oldest release after that was seen without it again, if there is one.
    pub gone: Option<Version>,
}

impl Change {
    /// A change that stays.
    pub const fn since(first: Version, absent: Version, seen: Version) -> Self {
        Self {
            first,
            absent,
            seen,
            gone: None,
        }
    }

    /// Whether a release has it; none: between those that were seen.
    pub fn is_in(&self, version: Version) -> Option<bool> {
        if self.gone.is_some_and(|gone| version >= gone) || version <= self.absent {
            return Some(false);
        }
        let past_seen = self.gone.is_some() && version > self.seen;
        (version >= self.seen && !past_seen).then_some(true)
    }

    /// Whether a release may have it.
    fn may_be_in(&self, version: Version) -> bool {
        version >= self.first && self.is_in(version) != Some(false)
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |(major, minor): Version| format!("{major}.{minor}");
        let (absent, seen) = (of(self.absent), of(self.seen));
        match self.gone {
            Some(gone) => write!(f, "seen in {seen}, not in {absent} and {}", of(gone)),
            None => write!(
                f,
                "since {} (not in {absent}, seen in {seen})",
                of(self.first)
            ),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed(change) => change.fmt(f),
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
    let version = context.machine.version();
    let there = |known: &&Known| match known.origin {
        Origin::Changed(change) => change.may_be_in(version),
        Origin::Chosen => true,
    };
    let mut candidates = known().filter(there);
    candidates.find(|known| (known.explains)(context))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_bounded_by_what_was_seen() {
        let stays = Change::since((5, 16), (5, 10), (6, 1));
        let at = [(5, 10), (5, 12), (5, 17), (6, 1), (7, 0)];
        let known = [Some(false), None, None, Some(true), Some(true)];
        assert_eq!(at.map(|version| stays.is_in(version)), known);
        assert_eq!(
            at.map(|version| stays.may_be_in(version)),
            [false, false, true, true, true]
        );
        let went = Change {
            gone: Some((6, 12)),
            ..stays
        };
        let known = [Some(false), None, None, Some(true), Some(false)];
        assert_eq!(at.map(|version| went.is_in(version)), known);
        assert!(went.may_be_in((6, 5)) && !went.may_be_in((6, 12)));
    }
}
