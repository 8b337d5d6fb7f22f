//! Compares one address space of a manager's view with Linux's, field by field.

use std::collections::HashMap;

use vmadiff_contract::{Shown, View, VmFlags};

use super::{Difference, Field};
use crate::seen::{Area, Object, Page, Space};

/// Which object of one side is which of the other's.
#[derive(Default)]
pub(super) struct Objects {
    forth: HashMap<Object, Object>,
    back: HashMap<Object, Object>,
}

impl Objects {
    fn same(&mut self, manager: Option<Object>, linux: Option<Object>) -> bool {
        match (manager, linux) {
            (Some(one), Some(other)) => {
                one.named == other.named
                    && *self.forth.entry(one).or_insert(other) == other
                    && *self.back.entry(other).or_insert(one) == one
            }
            (one, other) => one == other,
        }
    }
}

/// One address space on both sides.
pub(super) struct Pair<'a> {
    pub manager: &'a Space,
    pub linux: &'a Space,
    pub view: View,
    pub found: &'a mut Vec<Difference>,
}

impl Pair<'_> {
    pub fn compare(&mut self, objects: &mut Objects) {
        let shows = |part| self.view.shows(part);
        let [areas, pages, bytes, totals] =
            [Shown::AREAS, Shown::PAGES, Shown::CONTENTS, Shown::COUNTERS].map(shows);
        if areas {
            self.areas(objects);
        }
        if pages {
            self.pages();
        }
        if bytes {
            self.bytes();
        }
        if totals {
            self.totals();
        }
        if areas && !self.view.joins() {
            self.boundaries();
        }
    }

    fn note(&mut self, field: Field, addr: u64, what: String) {
        let at = (self.manager.mm.0, addr);
        self.found.push(Difference::new(field, at, what));
    }

    /// Both sides' areas, cut at each other's boundaries.
    fn areas(&mut self, objects: &mut Objects) {
        let (mut one, mut other) = (Cuts::of(self.manager), Cuts::of(self.linux));
        loop {
            let (a, b) = (one.now, other.now);
            let (start, other_start) = (a.map(|a| a.start), b.map(|b| b.start));
            let (Some(a), Some(b)) = (a, b) else {
                let Some(left) = a.or(b) else { return };
                self.note(Field::Mapped, left.start, mapped(a.is_some()));
                one.advance(left.end);
                other.advance(left.end);
                continue;
            };
            if start != other_start {
                let ours = a.start < b.start;
                let (start, end) = (a.start.min(b.start), a.start.max(b.start));
                self.note(Field::Mapped, start, mapped(ours));
                let behind = if ours { &mut one } else { &mut other };
                behind.advance(end.min(if ours { a.end } else { b.end }));
                continue;
            }
            self.area(&a, &b, objects);
            let end = a.end.min(b.end);
            one.advance(end);
            other.advance(end);
        }
    }

    /// Two areas, or pieces of them, that start at the same address.
    fn area(&mut self, a: &Area, b: &Area, objects: &mut Objects) {
        let flags = [a.flags - b.flags, b.flags - a.flags].map(|f| f & self.view.area_flags());
        if flags != [VmFlags::empty(); 2] {
            let names = flags.map(|flags| flags.iter_names().map(|f| f.0).collect::<Vec<_>>());
            let [ours, theirs] = names.map(|names| names.join("|"));
            self.note(
                Field::Flags,
                a.start,
                format!("also {ours}, Linux also {theirs}"),
            );
            self.found.last_mut().expect("just noted").flags = flags;
        }
        if self.view.shows(Shown::FILES) && !objects.same(a.object, b.object) {
            self.note(
                Field::Object,
                a.start,
                format!("{:?}, Linux {:?}", a.object, b.object),
            );
        }
        if self.view.shows(Shown::OFFSETS) && a.pgoff != b.pgoff {
            self.note(
                Field::Offset,
                a.start,
                format!("{:#x}, Linux {:#x}", a.pgoff, b.pgoff),
            );
        }
    }

    /// Entries of private pages and of the zero page must be the same. A page of an object that the
    /// manager shows must be there; Linux may show more, since it maps the neighbours of a page
    /// that is read along with it (fault-around).
    fn pages(&mut self) {
        let (ours, theirs) = (&self.manager.pages, &self.linux.pages);
        for page in ours {
            let other = page_at(theirs, page.addr);
            if !other.is_some_and(|other| same_page(page, other)) {
                let what = format!("{}, Linux {}", kind(Some(page)), kind(other));
                self.note(Field::Page, page.addr, what);
            }
        }
        for page in theirs {
            let around = !page.anon && page.zero != Some(true);
            if !around && page_at(ours, page.addr).is_none() {
                let what = format!("nothing, Linux {}", kind(Some(page)));
                self.note(Field::Page, page.addr, what);
            }
        }
    }

    /// The first byte of private pages that differs.
    fn bytes(&mut self) {
        let (ours, theirs) = (&self.manager.bytes, &self.linux.bytes);
        let first = ours.iter().zip(theirs).position(|(a, b)| a != b);
        let first = first.unwrap_or(ours.len().min(theirs.len()));
        let (a, b) = (ours.get(first), theirs.get(first));
        let Some(addr) = a.into_iter().chain(b).map(|(addr, _)| *addr).min() else {
            return;
        };
        let value = |byte: Option<&(u64, u8)>| byte.filter(|b| b.0 == addr).map_or(0, |b| b.1);
        let what = format!("{}, Linux {}", value(a), value(b));
        self.note(Field::Bytes, addr, what);
    }

    fn totals(&mut self) {
        let (ours, theirs) = (self.manager.totals, self.linux.totals);
        for (index, name) in Space::TOTALS.into_iter().enumerate() {
            if ours[index] != theirs[index] {
                let what = format!("{name} {}, Linux {}", ours[index], theirs[index]);
                self.note(Field::Totals, 0, what);
            }
        }
    }

    fn boundaries(&mut self) {
        let starts = |space: &Space| space.areas.iter().map(|a| a.start).collect::<Vec<_>>();
        let (ours, theirs) = (starts(self.manager), starts(self.linux));
        for &start in ours.iter().filter(|start| !theirs.contains(start)) {
            self.note(
                Field::Boundary,
                start,
                "an area starts, Linux has one area".into(),
            );
        }
        for &start in theirs.iter().filter(|start| !ours.contains(start)) {
            self.note(
                Field::Boundary,
                start,
                "one area, Linux has a boundary".into(),
            );
        }
    }
}

fn mapped(ours: bool) -> String {
    let (a, b) = if ours { ("", "not ") } else { ("not ", "") };
    format!("{a}mapped, Linux {b}mapped")
}

/// The page at an address, of pages in the order of addresses.
fn page_at(pages: &[Page], addr: u64) -> Option<&Page> {
    let at = pages.binary_search_by_key(&addr, |page| page.addr);
    at.ok().map(|at| &pages[at])
}

fn same_page(manager: &Page, linux: &Page) -> bool {
    let zero = linux.zero.is_none_or(|zero| Some(zero) == manager.zero);
    // Where the zero page can not be told, it looks like a private page.
    let anon = manager.anon == linux.anon || linux.zero.is_none() && manager.zero == Some(true);
    manager.present == linux.present && zero && anon
}

fn kind(page: Option<&Page>) -> &'static str {
    match page {
        None => "nothing",
        Some(page) if !page.present => "swapped out",
        Some(page) if page.zero == Some(true) => "the zero page",
        Some(page) if page.anon => "a private page",
        Some(_) => "an object's page",
    }
}

/// Areas, one after the other, the current one shortened from its start.
struct Cuts<'a> {
    rest: std::slice::Iter<'a, Area>,
    now: Option<Area>,
}

impl<'a> Cuts<'a> {
    fn of(space: &'a Space) -> Self {
        let mut rest = space.areas.iter();
        let now = rest.next().copied();
        Self { rest, now }
    }

    fn advance(&mut self, to: u64) {
        let Some(area) = &mut self.now else { return };
        if to >= area.end {
            self.now = self.rest.next().copied();
        } else {
            if area.object.is_some() {
                area.pgoff += (to - area.start) / 4096;
            }
            area.start = to;
        }
    }
}
