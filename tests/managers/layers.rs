//! Each layer: what is right agrees, and a bug of its own is found.

use vmadiff::compare::Compare;
use vmadiff::{CallKind, Placement, Prot, Shown, View, World, compare, events, memory, processes};

use super::space::{self, Space};
use super::{agrees, divergence, finds, first};

/// Places are the reference's, and pages of a kind are one area.
fn seen(compared: Compare, view: View) -> Compare {
    compared
        .view(view.joined())
        .placement(Placement::FollowReference)
}

fn areas<const BUG: u8>() -> Compare {
    seen(compare::<Space<BUG>>("space"), View::areas())
}

fn with_memory<const BUG: u8>() -> Compare {
    seen(memory::compare::<Space<BUG>>("space"), View::areas())
}

fn with_processes<const BUG: u8>() -> Compare {
    seen(processes::compare::<Space<BUG>>("space"), View::processes())
}

fn with_events<const BUG: u8>() -> Compare {
    let view = View::areas().with(Shown::EVENTS);
    seen(events::compare::<Space<BUG>>("space"), view)
}

#[test]
fn what_is_right_agrees_at_every_layer() {
    agrees(areas::<{ space::RIGHT }>(), 2000);
    agrees(with_memory::<{ space::RIGHT }>(), 2000);
    agrees(with_processes::<{ space::RIGHT }>(), 2000);
    agrees(with_events::<{ space::RIGHT }>(), 2000);
}

#[test]
fn a_bug_is_found_at_its_layer() {
    finds(
        areas::<{ space::LEAVES_LAST }>(),
        "state/munmap/vmas.extra",
        2,
    );
    finds(
        areas::<{ space::SKIPS_HOLES }>(),
        "outcome/mprotect/succeeded",
        2,
    );
    finds(areas::<{ space::PANICS }>(), "panic/munmap/panic", 1);
    finds(
        with_memory::<{ space::STORES_ANYWHERE }>(),
        "outcome/store/succeeded",
        2,
    );
    finds(
        with_processes::<{ space::SHARES }>(),
        "outcome/load/value",
        5,
    );
    let (_, leaked) = first(&mut with_events::<{ space::LEAKS }>().pair(), 3000).expect("a leak");
    let law = divergence(&leaked).map(|found| found.signature.rule.name());
    assert_eq!(law, Some("vma-freed-late"));
}

#[test]
fn a_bug_below_is_found_above_and_one_above_is_not_seen_below() {
    finds(
        with_processes::<{ space::LEAVES_LAST }>(),
        "state/munmap/vmas.extra",
        2,
    );
    agrees(areas::<{ space::STORES_ANYWHERE }>(), 500);
    agrees(with_memory::<{ space::SHARES }>(), 500);
    agrees(with_processes::<{ space::LEAKS }>(), 500);
}

#[test]
fn what_is_not_in_the_view_is_not_compared() {
    let another = || areas::<{ space::ANOTHER_ERROR }>();
    finds(another(), "outcome/mmap/errno", 2);
    let view = View::areas().joined().without(Shown::ERRORS);
    agrees(another().view(view), 500);
    // Without the calls that tell, nobody can.
    let calls = [CallKind::Mmap, CallKind::Munmap];
    let world = World::plain().calls(&calls);
    agrees(areas::<{ space::SKIPS_HOLES }>().world(world), 500);
}

#[test]
fn pages_may_be_larger_and_addresses_begin_elsewhere() {
    let kernel = compare::<Space<{ space::RIGHT }, 0x4000, 0xffff_8000_0000_0000>>("kernel");
    agrees(seen(kernel, View::areas()), 1000);
    let kernel = memory::compare::<Space<{ space::STORES_ANYWHERE }, 0x4000, 0x100_0000>>("k");
    finds(seen(kernel, View::areas()), "outcome/store/succeeded", 2);
}

/// The last byte of a page of a program is that of one of the manager's, and it is accessed often enough.
#[test]
fn a_bug_at_the_border_of_pages_is_found() {
    let found = "outcome/load/value";
    finds(with_memory::<{ space::LOSES_LAST }>(), found, 3);
    finds(with_memory::<{ space::SPILLS }>(), found, 3);
    let large = memory::compare::<Space<{ space::LOSES_LAST }, 0x4000>>("large");
    finds(seen(large, View::areas()), found, 3);
}

#[test]
fn a_test_can_check_a_text() {
    vmadiff::check::<Space<{ space::RIGHT }>>(
        "mmap(0x1f0000, 0x3000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0) = 0x1f0000
         mprotect(0x1f1000, 0x1000, PROT_READ|PROT_WRITE) = 0
         munmap(0x1f2000, 0x1000) = 0",
    );
}

#[test]
#[should_panic(expected = "only the candidate has the area 0x1f1000-0x1f2000")]
fn a_test_fails_with_the_report() {
    vmadiff::check::<Space<{ space::LEAVES_LAST }>>(
        "mmap(0x1f0000, 0x2000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)
         munmap(0x1f0000, 0x2000)",
    );
}

#[test]
#[should_panic(expected = "call 1: expected 0x1, the reference has 0x1f0000")]
fn a_test_checks_what_a_text_expects() {
    vmadiff::check::<Space<{ space::RIGHT }>>(
        "mmap(0x1f0000, 0x2000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0) = 1",
    );
}

#[test]
fn protections_that_are_not_had_are_not_asked_for() {
    let world = World::plain().prot(Prot::READ);
    let pair = areas::<{ space::RIGHT }>().world(world).pair();
    let asked = super::programs(&pair, 200).flat_map(|program| program.calls);
    let more = asked.filter(|step| format!("{step}").contains("PROT_WRITE"));
    assert_eq!(more.count(), 0);
}
