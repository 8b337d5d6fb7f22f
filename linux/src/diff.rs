//! Compares two views of a state: a manager's, which says what should be, and Linux's.

use std::collections::HashMap;
use std::fmt;

use vmadiff_contract::VmFlags;

use crate::view::{Area, Object, Page, Space, View};

/// What of a state differs: the name under which differences are known and grouped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// A call's answer.
    Answer,
    /// Which address spaces live.
    Spaces,
    /// Which pages are mapped.
    Mapped,
    /// Flags of a mapped page's area.
    Flags,
    /// What a page maps: a file or not, the same as elsewhere or not.
    Object,
    /// The offset in it.
    Offset,
    /// Where one area ends and the next one starts.
    Boundary,
    /// Which pages have an entry, and of what kind.
    Page,
    /// Bytes of private pages.
    Bytes,
    /// Totals of pages.
    Totals,
}

impl Field {
    /// Its name in a signature: one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Spaces => "spaces",
            Self::Mapped => "mapped",
            Self::Flags => "flags",
            Self::Object => "object",
            Self::Offset => "offset",
            Self::Boundary => "boundary",
            Self::Page => "page",
            Self::Bytes => "bytes",
            Self::Totals => "totals",
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Answer => "answer",
            Self::Spaces => "address spaces",
            Self::Mapped => "mapped pages",
            Self::Flags => "flags",
            Self::Object => "object",
            Self::Offset => "offset",
            Self::Boundary => "boundary",
            Self::Page => "page",
            Self::Bytes => "contents",
            Self::Totals => "totals",
        })
    }
}

/// A difference between two states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Of what.
    pub field: Field,
    /// In which address space, by number, and at which address; 0 where there is none.
    pub at: (u8, u64),
    /// For flags: those that only the manager has, and those that only Linux has.
    pub flags: [VmFlags; 2],
    /// In words: what the manager says, and what Linux.
    pub what: String,
}

impl Difference {
    /// A difference in anything but flags.
    pub fn new(field: Field, at: (u8, u64), what: String) -> Self {
        let flags = [VmFlags::empty(); 2];
        Self {
            field,
            at,
            flags,
            what,
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            field,
            at: (mm, addr),
            what,
            ..
        } = self;
        match field {
            Field::Answer | Field::Spaces => write!(f, "{field}: {what}"),
            Field::Totals => write!(f, "{field} of mm{mm}: {what}"),
            _ => write!(f, "{field} at {addr:#x} of mm{mm}: {what}"),
        }
    }
}

/// How areas are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Areas {
    /// Page by page: which areas they form does not matter.
    ByPage,
    /// With their boundaries. Newer kernels merge where 5.1 does not.
    WithBoundaries,
}

impl Areas {
    /// By whether boundaries matter.
    pub fn new(boundaries: bool) -> Self {
        if boundaries {
            Self::WithBoundaries
        } else {
            Self::ByPage
        }
    }
}

/// What differs between a manager's view and Linux's.
pub fn differences(manager: &View, linux: &View, areas: Areas) -> Vec<Difference> {
    let numbers = |view: &View| {
        view.spaces
            .iter()
            .map(|space| space.mm.0)
            .collect::<Vec<_>>()
    };
    if numbers(manager) != numbers(linux) {
        let what = format!("{:?}, Linux {:?}", numbers(manager), numbers(linux));
        return vec![Difference::new(Field::Spaces, (0, 0), what)];
    }
    let mut objects = Objects::default();
    let mut found = Vec::new();
    for (manager, linux) in manager.spaces.iter().zip(&linux.spaces) {
        let mut pair = Pair {
            manager,
            linux,
            found: &mut found,
        };
        pair.areas(&mut objects);
        pair.pages();
        pair.bytes();
        pair.totals();
        if areas == Areas::WithBoundaries {
            pair.boundaries();
        }
    }
    found
}

/// Which object of one side is which of the other's.
#[derive(Default)]
struct Objects {
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

struct Pair<'a> {
    manager: &'a Space,
    linux: &'a Space,
    found: &'a mut Vec<Difference>,
}

impl Pair<'_> {
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
        if a.flags != b.flags {
            let flags = [a.flags - b.flags, b.flags - a.flags];
            let names = flags.map(|flags| flags.iter_names().map(|f| f.0).collect::<Vec<_>>());
            let [ours, theirs] = names.map(|names| names.join("|"));
            self.note(
                Field::Flags,
                a.start,
                format!("also {ours}, Linux also {theirs}"),
            );
            self.found.last_mut().expect("just noted").flags = flags;
        }
        if !objects.same(a.object, b.object) {
            self.note(
                Field::Object,
                a.start,
                format!("{:?}, Linux {:?}", a.object, b.object),
            );
        }
        if a.pgoff != b.pgoff {
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
        let theirs: HashMap<u64, Page> = self.linux.pages.iter().map(|p| (p.addr, *p)).collect();
        let ours: HashMap<u64, Page> = self.manager.pages.iter().map(|p| (p.addr, *p)).collect();
        for page in &self.manager.pages {
            let other = theirs.get(&page.addr);
            if !other.is_some_and(|other| same_page(page, other)) {
                let what = format!("{}, Linux {}", kind(Some(page)), kind(other));
                self.note(Field::Page, page.addr, what);
            }
        }
        for page in &self.linux.pages {
            let around = !page.anon && page.zero != Some(true);
            if !around && !ours.contains_key(&page.addr) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use vmadiff_contract::MmId;

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
}
