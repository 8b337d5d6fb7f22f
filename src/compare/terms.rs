//! On what terms two managers are compared: what programs are made of, what is looked at, who
//! chooses places, and which differences are no news.

use vmadiff_contract::{Call, MapFlags, Outcome, Version};

use super::{Difference, Known, View, World};
use crate::program::Step;

/// Who chooses where memory goes that may go anywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Placement {
    /// Each manager by the rules: they must choose the same.
    #[default]
    ByTheRules,
    /// The reference; the candidate is told the place.
    FollowReference,
    /// The candidate. The reference is told the place, and refuses one that is taken or out of
    /// bounds, which shows as a difference.
    Free,
}

/// On what terms two managers are compared.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// What programs are made of.
    pub world: World,
    /// What is looked at.
    pub view: View,
    /// Who chooses places.
    pub placement: Placement,
    /// Differences that are no news.
    pub known: Vec<Known>,
    /// The manager's release, by which known differences apply that are bounded by releases; none:
    /// all of them.
    pub release: Option<Version>,
}

impl Terms {
    /// Whether all is compared, by the rules: how designs are.
    pub fn are_whole(&self) -> bool {
        self.view.is_all()
            && self.world == World::all()
            && self.placement == Placement::ByTheRules
            && self.known.is_empty()
    }

    /// The entry that explains a difference after this call, if one does.
    pub(crate) fn explain(&self, step: &Step, difference: &Difference<'_>) -> Option<Known> {
        let mut known = self.known.iter();
        let explains =
            |known: &&Known| known.applies_to(self.release) && (known.explains)(step, difference);
        known.find(explains).copied()
    }

    /// Whether the candidate makes each call first.
    pub(crate) fn candidate_first(&self) -> bool {
        self.placement == Placement::Free
    }

    /// The call as the second manager makes it, when the first has answered.
    pub(crate) fn second(&self, step: &Step, first: Outcome) -> Step {
        let (Call::Mmap { flags, .. }, Outcome::Value(place)) = (step.call, first) else {
            return *step;
        };
        let told = flags.intersects(MapFlags::FIXED | MapFlags::FIXED_NOREPLACE);
        if told || self.placement == Placement::ByTheRules {
            return *step;
        }
        let mut step = *step;
        if let Call::Mmap { addr, flags, .. } = &mut step.call {
            *addr = place;
            *flags |= MapFlags::FIXED_NOREPLACE;
        }
        step
    }
}
