//! On what terms two managers are compared: what programs are made of, what is looked at, who
//! chooses places, and which differences are no news.

use vmadiff_contract::{Call, Errno, MapFlags, MoveFlags, Outcome, PAGE_SIZE, Version};

use super::{Difference, KEPT_APART, Known, View, World};
use crate::program::Step;

/// Who chooses where memory goes that may go anywhere: what is mapped so, and what mremap may move
/// (`MREMAP_MAYMOVE`) since it grows. Whether it has to move is a part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Placement {
    /// Each manager by the rules: they must choose the same.
    #[default]
    ByTheRules,
    /// The reference; the candidate is told the place. Where there is none it is told nothing and not asked, unless
    /// the [`World`] has limits or allocations that fail, for which there is the same error (`ENOMEM`).
    FollowReference,
    /// The candidate. The reference is told the place, and refuses one that is taken (`EEXIST`, of mremap,
    /// too, which on Linux would put aside what is there) or out of bounds, which shows as a difference.
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

    /// What is no news of any manager that is looked at so.
    pub(crate) fn always_known(&self) -> Option<&'static Known> {
        self.view.joins().then_some(&KEPT_APART)
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

    /// Whether the reference has found no place, and whoever follows it has none to go to.
    #[inline]
    pub(crate) fn has_no_place(&self, step: &Step, reference: Outcome) -> bool {
        reference == Outcome::Errno(Errno::ENOMEM)
            && self.placement == Placement::FollowReference
            && !(self.world.limits || self.world.fail)
            && leaves_open(&step.call)
    }

    /// The call as the second manager makes it, when the first has answered; none: as it is.
    #[inline]
    pub(crate) fn second(&self, step: &Step, first: Outcome) -> Option<Step> {
        let open = matches!(step.call, Call::Mmap { .. } | Call::Mremap { .. });
        match first {
            Outcome::Value(place) if open && self.placement != Placement::ByTheRules => {
                let mut told = *step;
                tell(&mut told.call, place);
                Some(told)
            }
            _ => None,
        }
    }
}

/// Whether a call leaves it open where memory goes.
fn leaves_open(call: &Call) -> bool {
    match *call {
        Call::Mmap { flags, .. } => !flags.intersects(MapFlags::FIXED | MapFlags::FIXED_NOREPLACE),
        Call::Mremap {
            old_len,
            new_len,
            flags,
            ..
        } => {
            let pages = |len: u64| len.div_ceil(PAGE_SIZE);
            // What does not grow has no need to move.
            let grows = old_len == 0 || pages(new_len) > pages(old_len);
            grows && flags == MoveFlags::MAYMOVE
        }
        _ => false,
    }
}

/// Tells a call that leaves it open the place that was chosen.
fn tell(call: &mut Call, place: u64) {
    if !leaves_open(call) {
        return;
    }
    match call {
        Call::Mmap { addr, flags, .. } => {
            *addr = place;
            *flags |= MapFlags::FIXED_NOREPLACE;
        }
        Call::Mremap {
            addr,
            flags,
            new_addr,
            ..
        } => {
            if place == *addr {
                *flags = MoveFlags::empty();
            } else {
                *new_addr = place;
                *flags |= MoveFlags::FIXED;
            }
        }
        _ => {}
    }
}
