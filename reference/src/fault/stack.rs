//! A stack grows down to the page that is touched: limits, counters, then its start.

use vmadiff_contract::{About, Outcome};

use super::{CHARGE, COUNT, Fault, GROW, OFFSET, STACK};
use crate::area::page_down;
use crate::guard::Guard;
use crate::job::{Flow, List, Step};
use crate::limits::Expand;
use crate::mm::Counting;
use crate::world::World;

impl Fault {
    /// Another fault was faster.
    pub(super) fn has_grown(&self, world: &World, i: usize) -> bool {
        world.mms[self.m].areas[i].start <= self.addr
    }

    /// Pages between the start of its stack and the page that it is for.
    fn grows_by(&self, world: &World, i: usize) -> u64 {
        world.pages_below(self.m, i, page_down(self.addr))
    }

    pub(super) fn may_grow(world: &World, it: &Self) -> Option<Guard> {
        let grows = world.growing.iter().any(|growing| growing.area == it.area);
        world.wait_if(Guard::AnonLock, grows)
    }

    pub(super) fn limits(world: &mut World, it: &mut Self) -> Step {
        let Some(i) = it.area_to_prepare(world) else {
            return Ok(Flow::To(it.restart(world)));
        };
        if it.has_grown(world, i) {
            return Ok(Flow::To(GROW));
        }
        let Ok(pages) = world.stack_grows_by(it.m, i, page_down(it.addr)) else {
            return it.no_area(world);
        };
        world.grows(it.area);
        let (m, flags) = (it.m, world.mms[it.m].areas[i].flags);
        world.call(Expand { m, flags, pages }, STACK)
    }

    pub(super) fn stack(world: &mut World, it: &mut Self) -> Step {
        let (m, i) = (it.m, world.mms[it.m].find(it.addr));
        world.about_counters(m);
        if it.has_grown(world, i) {
            return Ok(Flow::To(GROW));
        }
        let fits = world.stack_fits(m, i, page_down(it.addr));
        if world.returned == Outcome::Value(0) || !fits {
            return it.no_area(world);
        }
        let flags = world.mms[m].areas[i].flags;
        world.may_lock_more(m, flags, it.grows_by(world, i), CHARGE)
    }

    /// The charge is made even for areas that never give it back.
    pub(super) fn charge(world: &mut World, it: &mut Self) -> Step {
        let i = world.mms[it.m].find(it.addr);
        if it.has_grown(world, i) {
            return Ok(Flow::To(GROW));
        }
        let pages = it.grows_by(world, i);
        if world.returned == Outcome::Value(0) || world.charge(pages).is_err() {
            return it.no_area(world);
        }
        it.charged = pages;
        it.go(world, COUNT)
    }

    pub(super) fn may_count(world: &World, it: &Self) -> Option<Guard> {
        let mut others = world.counting.iter();
        let counts = others.any(|&(t, m)| m == it.m && t != world.now);
        world.wait_if(Guard::PageTableLock, counts)
    }

    pub(super) fn count(world: &mut World, it: &mut Self) -> Step {
        let Some(i) = it.area_to_prepare(world) else {
            return Ok(Flow::To(it.restart(world)));
        };
        if !world.count_stack(it.m, i, it.charged, &mut it.counting) {
            return Ok(Flow::Again);
        }
        it.counting = Counting::default();
        it.go(world, GROW)
    }

    pub(super) fn grow(world: &mut World, it: &mut Self) -> Step {
        let Some(i) = it.area_to_prepare(world) else {
            return Ok(Flow::To(it.restart(world)));
        };
        world.about(About::Area(it.area));
        if it.has_grown(world, i) {
            world.has_grown(it.area);
            it.growing = false;
            return it.found(world, i);
        }
        world.grow_stack(it.m, i, it.charged);
        it.charged = 0;
        it.go(world, OFFSET)
    }

    pub(super) fn offset(world: &mut World, it: &mut Self) -> Step {
        let Some(i) = it.area_to_prepare(world) else {
            return Ok(Flow::To(it.restart(world)));
        };
        world.about(About::Area(it.area));
        world.has_grown(it.area);
        it.growing = false;
        it.found(world, i)
    }
}
