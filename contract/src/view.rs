//! What is compared of a state. Both managers are looked at through one view, so nothing behind it
//! can differ, be reported or be drawn.
//!
//! ```
//! use vmadiff_contract::{Shown, View};
//!
//! let view = View::areas().joined();
//! assert!(view.shows(Shown::AREAS) && !view.shows(Shown::IDENTITIES));
//! ```

use crate::VmFlags;
use bitflags::bitflags;

bitflags! {
    /// Parts of a state, and of what leads to it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Shown: u32 {
        /// Areas: where they start and end, and their flags as far as the view has them.
        const AREAS = 1;
        /// Offsets of areas.
        const OFFSETS = 1 << 1;
        /// Which file an area maps, open descriptors, and files with what they hold.
        const FILES = 1 << 2;
        /// Which VMA an area is: who survives a merge, and in which order VMAs were allocated.
        const IDENTITIES = 1 << 3;
        /// Memory policies of areas and tasks.
        const POLICIES = 1 << 4;
        /// anon_vmas.
        const ANON_VMAS = 1 << 5;
        /// Entries of page tables.
        const PAGES = 1 << 6;
        /// Contents of private pages.
        const CONTENTS = 1 << 7;
        /// Tasks, and in which address space each lives.
        const TASKS = 1 << 8;
        /// Counts of faults.
        const FAULTS = 1 << 9;
        /// Counters of address spaces (`map_count`, `total_vm` and the like) and of the machine.
        const COUNTERS = 1 << 10;
        /// What calls raise, compared and judged by laws.
        const EVENTS = 1 << 11;
        /// Which error a call fails with; otherwise only that it fails.
        const ERRORS = 1 << 12;
    }
}

/// A selection of what can be observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    shown: Shown,
    flags: VmFlags,
    joined: bool,
}

impl View {
    /// All that the contract knows.
    pub const fn all() -> Self {
        Self {
            shown: Shown::all(),
            flags: VmFlags::all(),
            joined: false,
        }
    }

    /// Areas with what may be done there. Nothing else of a state: no tasks, pages or identities.
    pub const fn areas() -> Self {
        Self {
            shown: Shown::AREAS.union(Shown::ERRORS),
            flags: VmFlags::READ.union(VmFlags::WRITE).union(VmFlags::EXEC),
            joined: false,
        }
    }

    /// As [`View::areas`], and which task lives in which address space.
    pub const fn processes() -> Self {
        Self::areas().with(Shown::TASKS)
    }

    /// Neighbours that look alike are one area: for managers that merge less, or more, than Linux.
    #[must_use]
    pub const fn joined(self) -> Self {
        Self {
            joined: true,
            ..self
        }
    }

    /// These parts, too.
    #[must_use]
    pub const fn with(self, more: Shown) -> Self {
        Self {
            shown: self.shown.union(more),
            ..self
        }
    }

    /// All but these parts.
    #[must_use]
    pub const fn without(self, less: Shown) -> Self {
        Self {
            shown: self.shown.difference(less),
            ..self
        }
    }

    /// Only these flags of areas.
    #[must_use]
    pub const fn flags(self, flags: VmFlags) -> Self {
        Self { flags, ..self }
    }

    /// The parts that are compared.
    pub const fn shown(&self) -> Shown {
        self.shown
    }

    /// Whether these parts are compared.
    pub const fn shows(&self, parts: Shown) -> bool {
        self.shown.contains(parts)
    }

    /// Whether all that the contract knows is compared.
    pub fn is_all(&self) -> bool {
        *self == Self::all()
    }

    /// The flags of areas that are compared.
    pub const fn area_flags(&self) -> VmFlags {
        self.flags
    }

    /// Whether neighbours that look alike are one area.
    pub const fn joins(&self) -> bool {
        self.joined
    }
}

impl Default for View {
    fn default() -> Self {
        Self::all()
    }
}
