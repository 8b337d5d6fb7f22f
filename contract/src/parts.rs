//! Parts of a state, so that what no call has touched need not be looked at again.

use crate::{Shown, View};

/// How often each part of a state may have moved since the boot: as long as a number is the same, the
/// part is. A number may rise though nothing has changed; it never stays where something has.
///
/// All else of a state (tasks, counters of address spaces and of the machine, counts that areas carry)
/// is small, and looked at every time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moves {
    /// [`Snapshot::vmas`](crate::Snapshot::vmas).
    pub areas: u64,
    /// [`Snapshot::pages`](crate::Snapshot::pages) and [`Snapshot::bytes`](crate::Snapshot::bytes).
    pub pages: u64,
    /// Descriptors, files, their contents and absent pages, and limits.
    pub files: u64,
}

impl Moves {
    /// The parts that may have moved since `before`.
    pub fn since(self, before: Self) -> Parts {
        Parts {
            areas: self.areas != before.areas,
            pages: self.pages != before.pages,
            files: self.files != before.files,
        }
    }
}

/// Some parts of a state; see [`Moves`] for what each is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// Areas.
    pub areas: bool,
    /// Pages and their contents.
    pub pages: bool,
    /// Files, descriptors and limits.
    pub files: bool,
}

impl Parts {
    /// Every part.
    pub const ALL: Self = Self {
        areas: true,
        pages: true,
        files: true,
    };

    /// The parts of a state that a view shows any of; none: it shows some of what is small, too, and is
    /// looked at every time.
    pub fn alone_in(view: &View) -> Option<Self> {
        let small = Shown::TASKS
            | Shown::FAULTS
            | Shown::COUNTERS
            | Shown::POLICIES
            | Shown::ANON_VMAS
            | Shown::EVENTS;
        let shows = |parts: Shown| view.shown().intersects(parts);
        (!shows(small)).then(|| Self {
            areas: shows(Shown::AREAS),
            pages: shows(Shown::PAGES | Shown::CONTENTS),
            files: shows(Shown::FILES),
        })
    }

    /// Whether any of these are among those.
    pub fn meet(self, those: Self) -> bool {
        (self.areas && those.areas) || (self.pages && those.pages) || (self.files && those.files)
    }

    /// The parts of either.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            areas: self.areas | other.areas,
            pages: self.pages | other.pages,
            files: self.files | other.files,
        }
    }
}
