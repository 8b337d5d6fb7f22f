//! Compares two seen of a state: a manager's, which says what should be, and Linux's.

mod pair;
#[cfg(test)]
mod tests;

use std::fmt;

use vmadiff_contract::{Shown, View, VmFlags};

use crate::seen::{Area, Seen};
use pair::{Objects, Pair};

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

/// What is compared with Linux: all that /proc tells of a process, and what calls answer. Newer kernels
/// merge areas where 5.1 does not, so where one area ends and the next one starts is compared only if
/// it is asked for; else page by page.
pub const fn view(boundaries: bool) -> View {
    let parts = Shown::AREAS
        .union(Shown::OFFSETS)
        .union(Shown::FILES)
        .union(Shown::PAGES)
        .union(Shown::CONTENTS)
        .union(Shown::COUNTERS)
        .union(Shown::TASKS)
        .union(Shown::ERRORS);
    let view = View::areas().with(parts).flags(Area::SHOWN);
    if boundaries { view } else { view.joined() }
}

/// What differs, of what a view shows, between what is seen of a manager and of Linux.
pub fn differences(manager: &Seen, linux: &Seen, view: View) -> Vec<Difference> {
    let numbers = |seen: &Seen| {
        seen.spaces
            .iter()
            .map(|space| space.mm.0)
            .collect::<Vec<_>>()
    };
    if numbers(manager) != numbers(linux) && view.shows(Shown::TASKS) {
        let what = format!("{:?}, Linux {:?}", numbers(manager), numbers(linux));
        return vec![Difference::new(Field::Spaces, (0, 0), what)];
    }
    let mut objects = Objects::default();
    let mut found = Vec::new();
    for (manager, linux) in manager.spaces.iter().zip(&linux.spaces) {
        let mut pair = Pair {
            manager,
            linux,
            view,
            found: &mut found,
        };
        pair.compare(&mut objects);
    }
    found
}
