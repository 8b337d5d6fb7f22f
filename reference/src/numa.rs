//! Making pages fault to learn who uses them (section 30).

use vmadiff_contract::{About, Choice, PAGE_SIZE};

use crate::area::{ACCESS, page_down, page_up};
use crate::guard::Guard;
use crate::job::{Flow, List, Step, rows};
use crate::page::Entry;
use crate::world::World;

/// Takes all permissions from the pages of a range that one address space alone uses, until their
/// next fault (`change_prot_numa`). Answers 0.
#[derive(Clone, Debug, Hash)]
pub(crate) struct NumaScan {
    m: usize,
    start: u64,
    end: u64,
    /// The area's part of the range, and up to where it was passed over.
    from: u64,
    to: u64,
    at: u64,
    /// Entries of the part were changed.
    changed: bool,
}

const AREA: u8 = 0;
const FLUSH: u8 = 2;

impl List for NumaScan {
    rows! { "numa_scan"
        Decide Read "task_numa_work: find_vma under mmap_sem"
            area: "the next area that allows any access";
        Pass Read "change_pte_range: the page table's lock"
            pass unless may_pass or shared: "an entry, and the stretch without entries before it";
        Flush Read "change_protection_range: flush_tlb_range, an interrupt to each processor"
            flush or flushes: "the part, from each TLB that holds something of it";
    }
}

impl NumaScan {
    pub fn new(m: usize, start: u64, len: u64) -> Self {
        let end = start.saturating_add(len).min(u64::MAX - PAGE_SIZE);
        // An empty range has no pages, wherever it is.
        let end = if len == 0 { start } else { page_up(end) };
        let (start, at) = (page_down(start), start);
        Self {
            m,
            start,
            end,
            from: 0,
            to: 0,
            at,
            changed: false,
        }
    }

    /// An empty range has no areas.
    fn area(world: &mut World, it: &mut Self) -> Step {
        world.about(About::Areas(world.mms[it.m].id));
        let mm = &world.mms[it.m];
        let mut areas = mm.areas[mm.overlap(it.at, it.end)].iter();
        let Some(area) = areas.find(|area| area.flags.intersects(ACCESS)) else {
            return Ok(Flow::Done(0));
        };
        (it.from, it.to) = (area.start.max(it.start), area.end.min(it.end));
        (it.at, it.changed) = (it.from, false);
        Ok(Flow::Next)
    }

    fn may_pass(world: &World, it: &Self) -> Option<Guard> {
        world.cleared_in(it.m, it.at, it.to)
    }

    fn shared(world: &World, it: &Self, into: &mut Vec<Choice>) {
        let pages = &world.mms[it.m].pages;
        let next = world.mms[it.m].pages_in(it.at, it.to).next();
        into.extend(next.and_then(|at| world.still_shared(pages[at].entry)));
        into.extend(next.and_then(|at| world.was_alone(pages[at].entry)));
    }

    fn pass(world: &mut World, it: &mut Self) -> Step {
        let stop = world.next_stop(it.m, it.at, it.to);
        world.pass_over(it.m, it.at, stop, false);
        for at in world.mms[it.m].pages_in(it.at, stop) {
            let alone = match world.mms[it.m].pages[at].entry {
                Entry::File(..) => true,
                Entry::Anon(frame) => {
                    let was_alone = world.choice == Choice::OneByOne;
                    let shared = world.choice == Choice::Shared;
                    was_alone || !shared && world.frame(frame).mapped == 1
                }
                Entry::Zero | Entry::Swap(_) => false,
            };
            let page = &mut world.mms[it.m].pages[at];
            it.changed |= alone && !page.hinting;
            page.hinting |= alone;
        }
        it.at = stop;
        if stop < it.to {
            return Ok(Flow::Again);
        }
        it.flushed(world)
    }

    /// A part of which no entry was changed is not flushed, whatever others have cleared of it
    /// (`change_protection_range`).
    fn flushed(&self, world: &mut World) -> Step {
        let changed = world.driven && self.changed;
        let more = changed && world.has_to_flush(self.m, self.from, self.to);
        Ok(Flow::To(if more { FLUSH } else { AREA }))
    }

    fn flush(world: &mut World, it: &mut Self) -> Step {
        world.flush(it.m, it.from, it.to);
        it.flushed(world)
    }

    fn flushes(world: &World, it: &Self, into: &mut Vec<Choice>) {
        world.whose(it.m, it.from, it.to, into);
    }
}
