//! A difference that is no news: what is told instead of a finding, where it applies, and how it is
//! recognised. One type for managers and for kernels; what a matcher is shown of a difference is its
//! parameter, since a kernel shows less of itself than a manager.
//!
//! ```
//! use vmadiff_contract::{Change, Known, Origin, Outcome};
//!
//! type Matcher = dyn Fn(&(Outcome, Outcome)) -> bool + Send + Sync;
//!
//! const KNOWN: Known<Matcher> = Known {
//!     goes_on: false,
//!     origin: Origin::Changed(Change::since((0, 3), (0, 2), (0, 4))),
//!     ..Known::new("succeeds-instead", &|(_, other)| other.is_success())
//! };
//! assert!(KNOWN.applies_to(Some((0, 4))) && !KNOWN.applies_to(Some((0, 2))));
//! assert!((KNOWN.explains)(&(Outcome::Oom, Outcome::Value(0))));
//! ```

use std::fmt;

/// A difference that is no news. `M` is the type of its matcher, a `dyn Fn`.
pub struct Known<M: ?Sized + 'static> {
    /// The name by which the difference is told and counted.
    pub name: &'static str,
    /// What is different, in a sentence; empty where the name says it.
    pub what: &'static str,
    /// Why it is so, and in which releases.
    pub origin: Origin,
    /// The section of `docs/rules.md` that is not followed, if it is known.
    pub section: Option<u8>,
    /// A program, as text, that shows the difference; empty where there is none.
    pub program: &'static str,
    /// Whether what follows can still be compared, provided that both sides can be brought together.
    pub goes_on: bool,
    /// Whether the difference that it is shown is this one.
    pub explains: &'static M,
}

impl<M: ?Sized> Known<M> {
    /// A difference that all releases have, of which nothing more is said.
    pub const fn new(name: &'static str, explains: &'static M) -> Self {
        Self {
            name,
            what: "",
            origin: Origin::Chosen,
            section: None,
            program: "",
            goes_on: true,
            explains,
        }
    }

    /// Whether a release may show the difference; without a release, whether any does.
    pub fn applies_to(&self, release: Option<Version>) -> bool {
        match (self.origin, release) {
            (Origin::Changed(change), Some(release)) => change.may_be_in(release),
            (Origin::Chosen, _) | (Origin::Changed(_), None) => true,
        }
    }
}

impl<M: ?Sized> Clone for Known<M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M: ?Sized> Copy for Known<M> {}

/// By its name.
impl<M: ?Sized> fmt::Debug for Known<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// A release: major and minor number.
pub type Version = (u32, u32);

/// Why there is a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Some releases have it.
    Changed(Change),
    /// All releases that were seen have it: of Linux, where the model was chosen smaller than the
    /// kernel (`docs/rules.md`, section 18); of a manager, a choice, a limit, or a bug that stays.
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
    pub fn may_be_in(&self, version: Version) -> bool {
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

    #[test]
    fn bounds_are_asked_only_of_a_release_that_is_known() {
        type Matcher = dyn Fn(&u8) -> bool;
        let chosen: Known<Matcher> = Known::new("any", &|_| true);
        let bounded = Known {
            origin: Origin::Changed(Change::since((2, 0), (1, 9), (2, 0))),
            ..chosen
        };
        let releases = [None, Some((1, 9)), Some((2, 1))];
        assert_eq!(releases.map(|at| chosen.applies_to(at)), [true; 3]);
        let applies = releases.map(|at| bounded.applies_to(at));
        assert_eq!(applies, [true, false, true]);
    }
}
