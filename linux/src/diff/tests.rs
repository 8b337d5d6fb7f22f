//! That differences are found where they are, and only those that count.

use vmadiff_contract::{MmId, VmFlags};

use super::*;
use crate::seen::{Area, Object, Page, Space};

const BY_PAGE: View = view(false);
const WITH_BOUNDARIES: View = view(true);

fn area(start: u64, end: u64, flags: VmFlags) -> Area {
    Area {
        start,
        end,
        flags,
        object: None,
        pgoff: 0,
    }
}

fn seen(areas: &[Area]) -> Seen {
    let space = Space {
        mm: MmId(1),
        areas: areas.to_vec(),
        ..Space::default()
    };
    Seen {
        spaces: vec![space],
    }
}

#[track_caller]
fn check(ours: &Seen, theirs: &Seen, view: View, expected: Option<(Field, u64)>) {
    let found = differences(ours, theirs, view);
    assert_eq!(found.first().map(|d| (d.field, d.at.1)), expected);
}

#[test]
fn boundaries_matter_only_where_asked() {
    let (r, w) = (VmFlags::READ, VmFlags::WRITE);
    let one = seen(&[area(0, 0x3000, r)]);
    let two = seen(&[area(0, 0x1000, r), area(0x1000, 0x3000, r)]);
    check(&one, &two, BY_PAGE, None);
    check(&two, &one, BY_PAGE, None);
    let at = Some((Field::Boundary, 0x1000));
    check(&one, &two, WITH_BOUNDARIES, at);
    check(&two, &one, WITH_BOUNDARIES, at);
    let other = seen(&[area(0, 0x1000, r), area(0x1000, 0x3000, w)]);
    check(&one, &other, BY_PAGE, Some((Field::Flags, 0x1000)));
    let hole = seen(&[area(0, 0x1000, r), area(0x2000, 0x3000, r)]);
    check(&one, &hole, BY_PAGE, Some((Field::Mapped, 0x1000)));
    check(&hole, &one, BY_PAGE, Some((Field::Mapped, 0x1000)));
}

#[test]
fn objects_are_the_same_only_as_a_whole() {
    let of = |keys: [u64; 2]| {
        let file = |key| Some(Object { key, named: true });
        let mut areas = [
            area(0, 0x1000, VmFlags::READ),
            area(0x2000, 0x3000, VmFlags::READ),
        ];
        (areas[0].object, areas[1].object) = (file(keys[0]), file(keys[1]));
        seen(&areas)
    };
    check(&of([1, 2]), &of([9, 7]), BY_PAGE, None);
    let second = Some((Field::Object, 0x2000));
    check(&of([1, 1]), &of([9, 7]), BY_PAGE, second);
    check(&of([1, 2]), &of([9, 9]), BY_PAGE, second);
}

#[test]
fn only_pages_of_objects_may_be_there_unasked() {
    let page = |anon, zero| Page {
        addr: 0x1000,
        present: true,
        anon,
        zero: Some(zero),
    };
    let with = |pages: &[Page], bytes: &[(u64, u8)]| {
        let mut seen = seen(&[]);
        seen.spaces[0].pages = pages.to_vec();
        seen.spaces[0].bytes = bytes.to_vec();
        seen
    };
    let none = with(&[], &[]);
    let at = Some((Field::Page, 0x1000));
    check(&none, &with(&[page(false, false)], &[]), BY_PAGE, None);
    check(&none, &with(&[page(true, false)], &[]), BY_PAGE, at);
    check(&none, &with(&[page(false, true)], &[]), BY_PAGE, at);
    check(&with(&[page(false, false)], &[]), &none, BY_PAGE, at);
    let (one, two) = (
        with(&[], &[(5, 1), (7, 2)]),
        with(&[], &[(5, 1), (6, 2), (7, 2)]),
    );
    check(&one, &two, BY_PAGE, Some((Field::Bytes, 6)));
    check(&two, &one, BY_PAGE, Some((Field::Bytes, 6)));
}

#[test]
fn what_a_view_does_not_show_is_not_compared() {
    let file = |key| Some(Object { key, named: true });
    let full = |flags, object, pgoff, byte, total| {
        let mut seen = seen(&[Area {
            object,
            pgoff,
            ..area(0, 0x1000, flags)
        }]);
        seen.spaces[0].bytes = vec![(5, byte)];
        seen.spaces[0].totals = [total; 5];
        seen
    };
    let (r, w) = (VmFlags::READ, VmFlags::WRITE);
    let one = full(r, file(1), 0, 1, 1);
    let flags = BY_PAGE.area_flags();
    for (other, field, blind) in [
        (
            full(r | w, file(1), 0, 1, 1),
            Field::Flags,
            BY_PAGE.flags(flags - w),
        ),
        (
            full(r, None, 0, 1, 1),
            Field::Object,
            BY_PAGE.without(Shown::FILES),
        ),
        (
            full(r, file(1), 1, 1, 1),
            Field::Offset,
            BY_PAGE.without(Shown::OFFSETS),
        ),
        (
            full(r, file(1), 0, 2, 1),
            Field::Bytes,
            BY_PAGE.without(Shown::CONTENTS),
        ),
        (
            full(r, file(1), 0, 1, 2),
            Field::Totals,
            BY_PAGE.without(Shown::COUNTERS),
        ),
        (
            Seen::default(),
            Field::Spaces,
            BY_PAGE.without(Shown::TASKS),
        ),
    ] {
        let found = differences(&one, &other, BY_PAGE);
        assert_eq!(found.first().map(|d| d.field), Some(field));
        check(&one, &other, blind, None);
    }
}
