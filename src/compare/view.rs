//! What is compared of a state. Both managers are looked at through one view, so nothing behind it
//! can differ, be reported or be drawn.
//!
//! ```
//! use vmadiff::{Shown, View};
//!
//! let view = View::areas().joined();
//! assert!(view.shows(Shown::AREAS) && !view.shows(Shown::IDENTITIES));
//! ```

use bitflags::bitflags;
use vmadiff_contract::{MmState, PAGE_SIZE, Snapshot, TaskState, VmFlags, VmaId, VmaState};

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

    /// Whether these parts are compared.
    pub const fn shows(&self, parts: Shown) -> bool {
        self.shown.contains(parts)
    }

    /// Whether all that the contract knows is compared.
    pub fn is_all(&self) -> bool {
        *self == Self::all()
    }

    /// Whether neighbours that look alike are one area.
    pub const fn joins(&self) -> bool {
        self.joined
    }

    /// Takes out of a state what is not compared.
    pub fn narrow(&self, state: &mut Snapshot) {
        if self.is_all() {
            return;
        }
        self.narrow_areas(&mut state.vmas);
        let unless = |parts| !self.shows(parts);
        if unless(Shown::PAGES) {
            state.pages.clear();
        }
        if unless(Shown::CONTENTS) {
            state.bytes.clear();
        }
        if unless(Shown::FILES) {
            state.fds.clear();
            state.files.clear();
            state.file_bytes.clear();
            state.absent.clear();
        }
        if unless(Shown::TASKS) {
            state.tasks.clear();
        }
        for task in &mut state.tasks {
            self.narrow_task(task);
        }
        if unless(Shown::COUNTERS) {
            (state.committed, state.anon_frames) = (0, 0);
            state.limits.clear();
            for mm in &mut state.mms {
                *mm = MmState {
                    mm: mm.mm,
                    ..MmState::default()
                };
            }
        }
        if unless(Shown::ANON_VMAS) {
            state.anons = 0;
        }
        if unless(Shown::EVENTS) {
            state.protocol.clear();
        }
    }

    fn narrow_task(&self, task: &mut TaskState) {
        if !self.shows(Shown::FAULTS) {
            (task.minor_faults, task.major_faults) = (0, 0);
        }
        if !self.shows(Shown::POLICIES) {
            task.policy = None;
        }
    }

    fn narrow_areas(&self, areas: &mut Vec<VmaState>) {
        if !self.shows(Shown::AREAS) {
            areas.clear();
        }
        for area in areas.iter_mut() {
            self.narrow_area(area);
        }
        if self.joined {
            areas.dedup_by(|next, area| {
                let joins = self.join(area, next);
                if joins {
                    area.end = next.end;
                }
                joins
            });
        }
    }

    fn narrow_area(&self, area: &mut VmaState) {
        area.flags &= self.flags;
        if !self.shows(Shown::IDENTITIES) {
            // Reports give a letter to each: the same where an area starts at the same place.
            area.vma = VmaId((area.start / PAGE_SIZE) as u32);
        }
        if !self.shows(Shown::OFFSETS) {
            area.pgoff = 0;
        }
        if !self.shows(Shown::FILES) {
            area.file = None;
        }
        if !self.shows(Shown::POLICIES) {
            area.policy = None;
        }
        if !self.shows(Shown::ANON_VMAS) {
            (area.anon, area.anon_chain) = (None, 0);
        }
    }

    /// Whether two areas, one behind the other, look like one.
    fn join(&self, area: &VmaState, next: &VmaState) -> bool {
        let pages = (area.end - area.start) / PAGE_SIZE;
        let follows = !self.shows(Shown::OFFSETS) || area.pgoff.wrapping_add(pages) == next.pgoff;
        let same = VmaState {
            start: next.start,
            end: next.end,
            vma: next.vma,
            pgoff: next.pgoff,
            ..*area
        } == *next;
        area.end == next.start && follows && same
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vmadiff_contract::MmId;

    fn area(start: u64, end: u64, flags: VmFlags) -> VmaState {
        VmaState {
            mm: MmId(1),
            start: start * PAGE_SIZE,
            end: end * PAGE_SIZE,
            vma: VmaId(7),
            flags,
            pgoff: 77,
            file: None,
            policy: None,
            anon: None,
            anon_chain: 2,
        }
    }

    fn seen(view: View, areas: &[VmaState]) -> Vec<(u64, u64)> {
        let mut state = Snapshot {
            vmas: areas.to_vec(),
            committed: 5,
            ..Snapshot::default()
        };
        view.narrow(&mut state);
        let pages = state.vmas.iter();
        pages
            .map(|v| (v.start / PAGE_SIZE, v.end / PAGE_SIZE))
            .collect()
    }

    #[test]
    fn alike_neighbours_are_one_only_if_asked_for() {
        let (read, write) = (VmFlags::READ, VmFlags::READ | VmFlags::WRITE);
        let areas = [
            area(1, 2, read),
            area(2, 3, read | VmFlags::ACCOUNT),
            area(3, 4, write),
            area(5, 6, write),
        ];
        assert_eq!(seen(View::areas(), &areas).len(), 4);
        let joined = seen(View::areas().joined(), &areas);
        assert_eq!(joined, [(1, 3), (3, 4), (5, 6)]);
        let all = View::areas().joined().flags(VmFlags::all());
        assert_eq!(seen(all, &areas).len(), 4);
    }

    #[test]
    fn nothing_is_left_of_what_is_not_shown() {
        let mut state = Snapshot {
            vmas: vec![area(1, 2, VmFlags::all())],
            committed: 5,
            anons: 1,
            ..Snapshot::default()
        };
        let whole = state.clone();
        View::all().narrow(&mut state);
        assert_eq!(state, whole);
        View::areas().narrow(&mut state);
        let VmaState {
            flags,
            pgoff,
            anon_chain,
            ..
        } = state.vmas[0];
        let all = VmFlags::READ | VmFlags::WRITE | VmFlags::EXEC;
        assert_eq!((flags, pgoff, anon_chain), (all, 0, 0));
        assert_eq!((state.committed, state.anons), (0, 0));
        View::areas().without(Shown::AREAS).narrow(&mut state);
        assert!(state.vmas.is_empty());
    }
}
