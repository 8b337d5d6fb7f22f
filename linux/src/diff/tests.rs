//! That differences are found where they are, and only those that count.

use vmadiff_contract::{MmId, VmFlags};

use super::*;
use crate::view::{Area, Object, Page, Space};

fn area(start: u64, end: u64, flags: VmFlags) -> Area {
    Area {
        start,
        end,
        flags,
        object: None,
        pgoff: 0,
    }
}

fn view(areas: &[Area]) -> View {
    let space = Space {
        mm: MmId(1),
        areas: areas.to_vec(),
        ..Space::default()
    };
    View {
        spaces: vec![space],
    }
}

#[track_caller]
fn check(ours: &View, theirs: &View, areas: Areas, expected: Option<(Field, u64)>) {
    let found = differences(ours, theirs, areas);
    assert_eq!(found.first().map(|d| (d.field, d.at.1)), expected);
}

#[test]
fn boundaries_matter_only_where_asked() {
    let (r, w) = (VmFlags::READ, VmFlags::WRITE);
    let one = view(&[area(0, 0x3000, r)]);
    let two = view(&[area(0, 0x1000, r), area(0x1000, 0x3000, r)]);
    check(&one, &two, Areas::ByPage, None);
    check(&two, &one, Areas::ByPage, None);
    let at = Some((Field::Boundary, 0x1000));
    check(&one, &two, Areas::WithBoundaries, at);
    check(&two, &one, Areas::WithBoundaries, at);
    let other = view(&[area(0, 0x1000, r), area(0x1000, 0x3000, w)]);
    check(&one, &other, Areas::ByPage, Some((Field::Flags, 0x1000)));
    let hole = view(&[area(0, 0x1000, r), area(0x2000, 0x3000, r)]);
    check(&one, &hole, Areas::ByPage, Some((Field::Mapped, 0x1000)));
    check(&hole, &one, Areas::ByPage, Some((Field::Mapped, 0x1000)));
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
        view(&areas)
    };
    check(&of([1, 2]), &of([9, 7]), Areas::ByPage, None);
    let second = Some((Field::Object, 0x2000));
    check(&of([1, 1]), &of([9, 7]), Areas::ByPage, second);
    check(&of([1, 2]), &of([9, 9]), Areas::ByPage, second);
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
        let mut view = view(&[]);
        view.spaces[0].pages = pages.to_vec();
        view.spaces[0].bytes = bytes.to_vec();
        view
    };
    let none = with(&[], &[]);
    let at = Some((Field::Page, 0x1000));
    check(
        &none,
        &with(&[page(false, false)], &[]),
        Areas::ByPage,
        None,
    );
    check(&none, &with(&[page(true, false)], &[]), Areas::ByPage, at);
    check(&none, &with(&[page(false, true)], &[]), Areas::ByPage, at);
    check(&with(&[page(false, false)], &[]), &none, Areas::ByPage, at);
    let (one, two) = (
        with(&[], &[(5, 1), (7, 2)]),
        with(&[], &[(5, 1), (6, 2), (7, 2)]),
    );
    check(&one, &two, Areas::ByPage, Some((Field::Bytes, 6)));
    check(&two, &one, Areas::ByPage, Some((Field::Bytes, 6)));
}
