//! Where a run on aligned managers is, and what an objection there is about.

use crate::judge::{Divergence, Rule, Side, Signature};
use crate::pair::AT_DROP;

/// Where a run is, and who is at work.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub at: Option<usize>,
    pub call: &'static str,
    pub side: Side,
}

/// A place, and whether an objection there is about one side only.
#[derive(Clone, Copy)]
pub(super) struct Objection(Place, Option<Side>);

impl Place {
    /// The candidate is thrown away.
    pub const DROP: Self = Self {
        at: None,
        call: AT_DROP,
        side: Side::Candidate,
    };

    pub fn of_both(self) -> Objection {
        Objection(self, None)
    }

    pub fn of_side(self) -> Objection {
        Objection(self, Some(self.side))
    }
}

impl Objection {
    pub fn diverges(self, rule: Rule, field: &'static str, what: String) -> Divergence {
        let Self(Place { at, call, .. }, side) = self;
        Divergence {
            at,
            side,
            ..Divergence::of(Signature { rule, call, field }, what)
        }
    }
}
