//! Making a part of an area an area of its own, which mprotect, madvise, mlock, mbind and
//! userfaultfd do alike.

use crate::guard::Guard;
use crate::job::{Flow, List, Step, rows};
use crate::merge::Wanted;
use crate::world::World;

/// Gives the part `wanted` of area `i` to its neighbours if it may be one with them (section 2),
/// else cuts it out: first its start, the new area below, then its end, the new area above
/// (section 4). Answers the place of the area that holds it, whose flags and policy the caller
/// sets. If the second cut fails the first remains.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Carve {
    pub m: usize,
    pub i: usize,
    pub wanted: Wanted,
}

impl List for Carve {
    rows! { "part of an area"
        Merge Write "vma_merge: mmap_sem; i_mmap_lock_write, anon_vma_lock_write"
            merge unless may_merge: "the range, with its neighbours, if they may be one";
        Merge Write "__vma_adjust, again: the locks were let go; i_mmap_lock_write, anon_vma_lock_write"
            merge_next unless may_merge_next: "the area behind it as well, if the range was one that went";
        Cut Write "split_vma: mmap_sem; i_mmap_lock_write, anon_vma_lock_write"
            cut_start unless may_cut: "the part below";
        Cut Write "split_vma: as above"
            cut_end unless may_cut: "the part above";
    }
}

const MERGE_NEXT: u8 = 1;
const CUT_START: u8 = 2;
const CUT_END: u8 = 3;

impl Carve {
    /// The area before the part, or the one that it starts inside.
    fn prev(&self, world: &World) -> Option<usize> {
        if world.mms[self.m].areas[self.i].start < self.wanted.start {
            Some(self.i)
        } else {
            self.i.checked_sub(1)
        }
    }

    fn may_merge(world: &World, it: &Self) -> Option<Guard> {
        world.may_merge(it.m, it.prev(world), &it.wanted)
    }

    fn may_merge_next(world: &World, it: &Self) -> Option<Guard> {
        world.may_merge_next(it.m, it.i)
    }

    fn may_cut(world: &World, it: &Self) -> Option<Guard> {
        let guard = world.may_adjust(it.m, it.i)?;
        (!world.map_is_full(it.m)).then_some(guard)
    }

    fn done(&self) -> Step {
        Ok(Flow::Done(self.i as u64))
    }

    fn merge(world: &mut World, it: &mut Self) -> Step {
        let area = &world.mms[it.m].areas[it.i];
        let (inside, prev) = (area.start < it.wanted.start, it.prev(world));
        let ends = it.wanted.end >= area.end;
        if let Some(merged) = world.merge(it.m, prev, &it.wanted) {
            it.i = merged.place;
            if merged.half {
                return it.go(world, MERGE_NEXT);
            }
            return it.done();
        }
        match (inside, ends) {
            (true, _) => it.go(world, CUT_START),
            (false, false) => it.go(world, CUT_END),
            (false, true) => it.done(),
        }
    }

    fn merge_next(world: &mut World, it: &mut Self) -> Step {
        world.merge_next(it.m, it.i);
        it.done()
    }

    fn cut_start(world: &mut World, it: &mut Self) -> Step {
        world.split_within_limit(it.m, it.i, it.wanted.start, true)?;
        it.i += 1;
        if it.wanted.end < world.mms[it.m].areas[it.i].end {
            return it.go(world, CUT_END);
        }
        it.done()
    }

    fn cut_end(world: &mut World, it: &mut Self) -> Step {
        world.split_within_limit(it.m, it.i, it.wanted.end, false)?;
        it.done()
    }
}
