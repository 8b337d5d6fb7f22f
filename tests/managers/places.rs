//! Who chooses where memory goes.

use vmadiff::compare::Compare;
use vmadiff::{Placement, View, compare};

use super::space::{self, Space};
use super::{agrees, finds};

fn placed<const BUG: u8>(placement: Placement) -> Compare {
    compare::<Space<BUG>>("space")
        .view(View::areas().joined())
        .placement(placement)
}

/// It places from the bottom up, Linux from the top down.
#[test]
fn by_the_rules_another_place_is_a_difference() {
    finds(
        placed::<{ space::RIGHT }>(Placement::ByTheRules),
        "outcome/mmap/value",
        1,
    );
}

#[test]
fn a_place_may_be_told_or_free() {
    agrees(placed::<{ space::RIGHT }>(Placement::FollowReference), 1000);
    agrees(placed::<{ space::RIGHT }>(Placement::Free), 1000);
}

#[test]
fn a_free_place_is_one_where_nothing_is() {
    agrees(
        placed::<{ space::PLACES_OVER }>(Placement::FollowReference),
        500,
    );
    finds(
        placed::<{ space::PLACES_OVER }>(Placement::Free),
        "outcome/mmap/succeeded",
        2,
    );
}
