//! When a range becomes part of its neighbours, and which area goes (sections 1 to 3).

use std::ops::Range;

use vmadiff_contract::{About, AnonId, Event, FileId, Note, PAGE_SIZE, PolicyId, VmFlags};

use crate::anon::Rmap;
use crate::area::Area;
use crate::guard::Guard;
use crate::world::{NoMemory, World};

/// A range as it is to be: what vma_merge is asked about. The userfaultfd context is in the flags:
/// an address space has one.
#[derive(Clone, Copy, Debug, Default, Hash)]
pub(crate) struct Wanted {
    pub start: u64,
    pub end: u64,
    pub flags: VmFlags,
    pub pgoff: u64,
    pub file: Option<FileId>,
    pub anon: Option<AnonId>,
    pub policy: Option<PolicyId>,
}

impl Wanted {
    /// A part of an area with other flags.
    pub fn part(area: &Area, start: u64, end: u64, flags: VmFlags) -> Self {
        Self {
            start,
            end,
            flags,
            pgoff: area.pgoff_at(start),
            file: area.file,
            anon: area.rmap.anon,
            policy: area.policy,
        }
    }

    /// Length in pages.
    pub fn pages(&self) -> u64 {
        (self.end - self.start) / PAGE_SIZE
    }
}

/// What a range became a part of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Merged {
    /// The survivor's place.
    pub place: usize,
    /// It is to take in the next area as well, in a step of its own ([`World::merge_next`]).
    pub half: bool,
}

impl Merged {
    fn whole(place: usize) -> Self {
        Self { place, half: false }
    }
}

/// Who gives its anon_vma to whom when areas merge, by place.
struct Import {
    from: usize,
    to: usize,
}

impl World {
    /// Where areas merge the file's list changes.
    pub fn may_merge(&self, m: usize, prev: Option<usize>, wanted: &Wanted) -> Option<Guard> {
        let guard = self.may_change_list(wanted.file)?;
        let (left, right, _) = self.sides(m, prev, wanted);
        (left.is_some() || right.is_some()).then_some(guard)
    }

    /// The neighbours that the range may be one with, by place, and whether it takes in a whole area.
    fn sides(
        &self,
        m: usize,
        prev: Option<usize>,
        wanted: &Wanted,
    ) -> (Option<usize>, Option<usize>, bool) {
        let areas = &self.mms[m].areas;
        let area = prev.map_or(0, |prev| prev + 1);
        let swallowed = areas.get(area).is_some_and(|area| area.end == wanted.end);
        let next = area + usize::from(swallowed);
        let left = prev.filter(|&prev| self.merges_after(&areas[prev], wanted));
        let right = areas.get(next);
        let right = right.filter(|next| self.merges_before(next, wanted));
        (left, right.map(|_| next), swallowed)
    }

    /// Makes a range part of its neighbours if they may be one (`vma_merge`). `prev` is the area
    /// before the range, or the one that the range starts inside. None: nothing has changed.
    pub fn merge(&mut self, m: usize, prev: Option<usize>, wanted: &Wanted) -> Option<Merged> {
        let (left, right, swallowed) = self.sides(m, prev, wanted);
        let areas = &self.mms[m].areas;
        let merged = match (left, right) {
            (Some(prev), Some(next)) if may_join(&areas[prev].rmap, &areas[next].rmap) => {
                self.merge_both(m, prev, next, swallowed)
            }
            (Some(prev), _) => self.merge_left(m, prev, wanted.end, swallowed),
            (None, Some(next)) => self.merge_right(m, prev, next, wanted, swallowed),
            (None, None) => None,
        };
        if let Some(merged) = merged {
            self.about(About::Area(self.mms[m].areas[merged.place].id));
        }
        merged
    }

    /// Cases 1 and 6: `prev` takes in the range and `next`. Where the range is an area it takes that in
    /// first, and the locks of file and anon_vma are let go between (`__vma_adjust`).
    fn merge_both(
        &mut self,
        m: usize,
        prev: usize,
        next: usize,
        swallowed: bool,
    ) -> Option<Merged> {
        let areas = &self.mms[m].areas;
        let from = (prev + 1..=next).find(|&i| areas[i].rmap.anon.is_some());
        self.import(
            m,
            Import {
                from: from.unwrap_or(next),
                to: prev,
            },
        )
        .ok()?;
        self.take_in_next(m, prev);
        self.note(Note::Merge(if swallowed { 6 } else { 1 }));
        Some(Merged {
            place: prev,
            half: swallowed,
        })
    }

    /// The other half of case 6.
    pub fn merge_next(&mut self, m: usize, prev: usize) {
        self.take_in_next(m, prev);
        self.about(About::Area(self.mms[m].areas[prev].id));
    }

    /// Whether the next area may leave its file's list.
    pub fn may_merge_next(&self, m: usize, prev: usize) -> Option<Guard> {
        self.is_unmapped(self.mms[m].areas[prev].file)
    }

    fn take_in_next(&mut self, m: usize, prev: usize) {
        self.mms[m].areas[prev].end = self.mms[m].areas[prev + 1].end;
        self.absorb(m, prev + 1..prev + 2);
    }

    /// Cases 2, 5 and 7: `prev` takes in the range, which is a gap, or the start of the area
    /// after it, or all of that.
    fn merge_left(&mut self, m: usize, prev: usize, end: u64, swallowed: bool) -> Option<Merged> {
        let area = prev + 1;
        let cut = self.mms[m]
            .areas
            .get(area)
            .is_some_and(|area| area.start < end);
        if cut {
            self.import(
                m,
                Import {
                    from: area,
                    to: prev,
                },
            )
            .ok()?;
        }
        let case = if swallowed {
            self.absorb(m, area..area + 1);
            7
        } else if cut {
            self.move_start(m, area, end);
            5
        } else {
            2
        };
        self.mms[m].areas[prev].end = end;
        self.note(Note::Merge(case));
        Some(Merged::whole(prev))
    }

    /// Cases 3, 4 and 8: `next` takes in the range, which is a gap, or the end of `prev`, or the
    /// whole area between.
    fn merge_right(
        &mut self,
        m: usize,
        prev: Option<usize>,
        next: usize,
        wanted: &Wanted,
        swallowed: bool,
    ) -> Option<Merged> {
        let cut = prev.filter(|&prev| wanted.start < self.mms[m].areas[prev].end);
        if let Some(prev) = cut {
            self.import(
                m,
                Import {
                    from: prev,
                    to: next,
                },
            )
            .ok()?;
            self.mms[m].areas[prev].end = wanted.start;
        } else if swallowed {
            self.import(
                m,
                Import {
                    from: next - 1,
                    to: next,
                },
            )
            .ok()?;
        }
        let area = &mut self.mms[m].areas[next];
        area.start = wanted.start;
        area.pgoff = area.pgoff.wrapping_sub(wanted.pages());
        if cut.is_some() {
            self.note(Note::Merge(4));
            Some(Merged::whole(next))
        } else if swallowed {
            self.absorb(m, next - 1..next);
            self.note(Note::Merge(8));
            Some(Merged::whole(next - 1))
        } else {
            self.note(Note::Merge(3));
            Some(Merged::whole(next))
        }
    }

    /// `can_vma_merge_after`, and `prev` ends where the range starts.
    fn merges_after(&self, prev: &Area, wanted: &Wanted) -> bool {
        prev.end == wanted.start
            && prev.pgoff.wrapping_add(prev.pages()) == wanted.pgoff
            && self.is_mergeable(prev, wanted)
    }

    /// `can_vma_merge_before`, and `next` starts where the range ends.
    fn merges_before(&self, next: &Area, wanted: &Wanted) -> bool {
        wanted.end == next.start
            && next.pgoff == wanted.pgoff.wrapping_add(wanted.pages())
            && self.is_mergeable(next, wanted)
    }

    /// Whether an area may take in a range (`is_mergeable_vma` with `mpol_equal` and
    /// `is_mergeable_anon_vma`, section 1).
    fn is_mergeable(&self, area: &Area, wanted: &Wanted) -> bool {
        let one_is_missing = area.rmap.anon.is_none() || wanted.anon.is_none();
        area.flags == wanted.flags
            && area.file == wanted.file
            && !self.has_close(area.file)
            && self.same_policy(area.policy, wanted.policy)
            && (area.rmap.anon == wanted.anon || (one_is_missing && area.rmap.is_singular()))
    }

    /// The growing area takes over the anon_vma of the other side if it has none (section 3). On
    /// failure nothing has changed.
    fn import(&mut self, m: usize, Import { from, to }: Import) -> Result<(), NoMemory> {
        let areas = &mut self.mms[m].areas;
        if areas[from].rmap.anon.is_none() || areas[to].rmap.anon.is_some() {
            return Ok(());
        }
        let source = areas[from].rmap.clone();
        let mut copy = Rmap {
            anon: source.anon,
            ..Rmap::default()
        };
        let result = self.clone_anon(&mut copy, &source);
        if result.is_err() {
            self.note(Note::Undo("merge.import"));
        }
        self.mms[m].areas[to].rmap = copy;
        result
    }

    /// Moves the start of an area up, and its offset with it.
    fn move_start(&mut self, m: usize, i: usize, start: u64) {
        let area = &mut self.mms[m].areas[i];
        area.pgoff = area.pgoff_at(start);
        area.start = start;
    }

    /// Frees areas that were merged away, in address order. They are not closed.
    fn absorb(&mut self, m: usize, range: Range<usize>) {
        for i in range.clone() {
            let area = &mut self.mms[m].areas[i];
            let (vma, file, policy) = (area.id, area.file, area.policy);
            let mut rmap = std::mem::take(&mut area.rmap);
            self.raise(Event::VmaUnlink { vma });
            if let Some(file) = file {
                self.raise(Event::FilePut { file, vma });
                self.put_file(file);
            }
            self.unlink_anon(&mut rmap);
            self.put_policy(policy);
            self.raise(Event::VmaFree { vma });
        }
        self.mms[m].areas.drain(range);
    }
}

/// Whether the areas at both sides of a range may be one: here no chain need be singular.
fn may_join(prev: &Rmap, next: &Rmap) -> bool {
    prev.anon.is_none() || next.anon.is_none() || prev.anon == next.anon
}
