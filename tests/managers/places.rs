//! Who chooses where memory goes.

use std::ops::Range;

use vmadiff::areas::{Areas, Place};
use vmadiff::compare::Compare;
use vmadiff::contract::{CallKind, Config, Errno, Outcome, Prot};
use vmadiff::{Placement, View, World, compare};

use super::space::{self, ROOM, Space};
use super::{agrees, case, divergence, finds, first, programs};

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

/// A manager that has no more room than it says is full where the reference is, whoever chooses.
#[test]
fn a_manager_that_is_full_is_no_finding() {
    let within = || World::plain().within(ROOM);
    for placement in [Placement::FollowReference, Placement::Free] {
        let small = || placed::<{ space::SMALL }>(placement);
        agrees(small().world(within()), 2000);
        let mut pair = small().world(within()).pair();
        let full = Outcome::Errno(Errno::ENOMEM);
        let is_full = programs(&pair, 200).filter(|program| {
            let ran = pair.observe(program);
            let mut made = program.calls.iter().zip(&ran.candidate.calls);
            made.any(|(step, seen)| step.call.kind() == CallKind::Mmap && seen.outcome == full)
        });
        assert!(is_full.count() > 20, "few programs fill it");
        // Who does not say how much room there is cannot be full.
        assert!(first(&mut small().pair(), 300).is_some());
    }
}

/// Who is told all places need not know when there is none.
#[test]
fn who_follows_is_not_asked_where_there_is_no_place() {
    let told = placed::<{ space::PLACES_OVER }>(Placement::FollowReference);
    agrees(told.world(World::plain().within(ROOM)), 1000);
    // What is not open is asked: here a place that is none of the range's.
    let mut world = World::plain().within(ROOM);
    world.absurd = true;
    let told = placed::<{ space::RIGHT }>(Placement::FollowReference).world(world);
    let beyond =
        case("mmap(0x200000, 0x1000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)");
    let ran = told.pair().observe(&beyond.program);
    let found = divergence(&ran).map(|found| found.signature.to_string());
    assert_eq!(found.as_deref(), Some("outcome/mmap/succeeded"));
}

/// It says that there is room where it puts nothing, and the other way round.
#[test]
fn another_end_than_it_says_is_found() {
    let said =
        |range| placed::<{ space::SMALL }>(Placement::Free).world(World::plain().within(range));
    finds(
        said(ROOM.start..ROOM.end + 0x1000),
        "outcome/mmap/failed",
        1,
    );
    finds(
        said(ROOM.start + 0x1000..ROOM.end),
        "outcome/mmap/succeeded",
        1,
    );
}

/// Where nobody found a place, or one alone, nothing is drawn at address 0.
#[test]
#[should_panic(expected = "column a page:\n             00100000\n  before\n  mmap       *\n")]
fn what_has_no_place_is_not_drawn_at_the_beginning() {
    let world = World::plain().within(ROOM.start + 0x1000..ROOM.end);
    let small = placed::<{ space::SMALL }>(Placement::Free).world(world);
    small.check("mmap(NULL, 0x1000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0)");
}

/// Has room between the bounds that it was told, in pages and at addresses of its own.
struct Bounded {
    space: Space<{ space::RIGHT }, 0x4000, 0xffff_8000_0000_0000>,
    bounds: Range<u64>,
}

impl Areas for Bounded {
    const HAS: &'static [CallKind] = &[CallKind::Mmap, CallKind::Munmap];
    const PAGE_SIZE: u64 = 0x4000;
    const BASE: u64 = 0xffff_8000_0000_0000;

    fn boot(config: &Config) -> Self {
        Self {
            space: Space::boot(config),
            bounds: config.mmap_min_addr..config.task_size,
        }
    }

    fn map(&mut self, range: Range<u64>, prot: Prot, how: Place) -> Result<u64, Errno> {
        if range.start < self.bounds.start || self.bounds.end < range.end {
            return Err(Errno::ENOMEM);
        }
        self.space.map(range, prot, how)
    }

    fn unmap(&mut self, range: Range<u64>) -> Result<(), Errno> {
        self.space.unmap(range)
    }

    fn each(&self, visit: impl FnMut(Range<u64>, Prot)) {
        self.space.each(visit);
    }
}

#[test]
fn bounds_are_told_as_the_manager_has_addresses() {
    let compared = compare::<Bounded>("bounded")
        .view(View::areas().joined())
        .placement(Placement::FollowReference)
        .world(World::plain().within(ROOM));
    agrees(compared, 1000);
}
