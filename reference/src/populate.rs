//! Touching the pages of a range ahead of their use (section 10, `__mm_populate`).

use vmadiff_contract::{About, Errno, Outcome, PAGE_SIZE, POPULATE_MAX_PAGES, VmFlags};

use crate::area::ACCESS;
use crate::fault::Fault;
use crate::job::{DONE, Flow, List, Step, rows};
use crate::world::World;

/// Populates a range and says what the first page that could not be had answers: `EFAULT` or
/// `ENOMEM`.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Populate {
    m: usize,
    at: u64,
    end: u64,
    /// An area with a page that cannot be had is left there.
    quiet: bool,
    /// Pages that it may still look at.
    budget: u64,
    /// The area that it is in, by place, where its part of the range ends, and whether its pages
    /// are touched as by a store.
    i: usize,
    stop: u64,
    store: bool,
    faulted: bool,
}

const AREA: u8 = 0;
const PAGE: u8 = 1;

impl List for Populate {
    rows! { "populate"
        Decide Read "__mm_populate: find_vma under mmap_sem"
            area: "the next area, and how its pages are touched";
        Decide Read "follow_page_mask: the page table's lock"
            page: "is the page as wanted? Else a fault, and again";
    }
}

impl Populate {
    pub fn new(m: usize, start: u64, end: u64) -> Self {
        Self {
            m,
            at: start,
            end,
            quiet: false,
            budget: POPULATE_MAX_PAGES,
            i: 0,
            stop: 0,
            store: false,
            faulted: false,
        }
    }

    pub fn quietly(m: usize, start: u64, end: u64) -> Self {
        let quiet = true;
        Self {
            quiet,
            ..Self::new(m, start, end)
        }
    }

    /// Private memory that may be written is touched as by a store, else as by a load
    /// (`populate_vma_page_range`). LOCKONFAULT leaves everything as it is.
    fn area(world: &mut World, it: &mut Self) -> Step {
        world.about(About::Areas(world.mms[it.m].id));
        let mm = &world.mms[it.m];
        let i = mm.find(it.at);
        let next = mm
            .areas
            .get(i)
            .filter(|area| area.start < it.end && it.at < it.end);
        let Some(area) = next.filter(|_| it.budget > 0) else {
            return DONE;
        };
        (it.i, it.at, it.stop) = (i, area.start.max(it.at), area.end.min(it.end));
        it.store = area.flags & (VmFlags::WRITE | VmFlags::SHARED) == VmFlags::WRITE;
        if !area.flags.intersects(ACCESS) {
            return it.missed(Errno::EFAULT);
        }
        if area.flags.contains(VmFlags::LOCKONFAULT) {
            it.at = it.stop;
            return Ok(Flow::To(AREA));
        }
        it.faulted = false;
        it.go(world, PAGE)
    }

    /// A page that cannot be had.
    fn missed(&mut self, errno: Errno) -> Step {
        self.at = self.stop;
        if self.quiet {
            Ok(Flow::To(AREA))
        } else {
            Err(errno)
        }
    }

    /// An entry that hints at its user's node is as good as it was before it did (`FOLL_FORCE`
    /// looks through it).
    fn page(world: &mut World, it: &mut Self) -> Step {
        if std::mem::take(&mut it.faulted) {
            match world.returned {
                Outcome::Value(_) => {}
                Outcome::Oom => return it.missed(Errno::ENOMEM),
                _ => return it.missed(Errno::EFAULT),
            }
        } else if it.at < it.stop && it.budget > 0 {
            it.budget -= 1;
        } else {
            return Ok(Flow::To(AREA));
        }
        world.about_entry(it.m, it.at);
        if let Ok(at) = world.page_at(it.m, it.at) {
            let page = &world.mms[it.m].pages[at];
            if page.is_present() && !page.clearing && (!it.store || page.writable) {
                it.at += PAGE_SIZE;
                return Ok(Flow::Again);
            }
        }
        it.faulted = true;
        let fault = Fault::forced(world, it.m, it.i, it.at, it.store);
        world.call(fault, PAGE)
    }
}
