//! An area gets an anon_vma before it has its first page of its own: one that a neighbour lends, or a new one.

use vmadiff_contract::{About, Outcome};

use super::{ATTACH, FRAME, Fault, LENDER, LENT, LENT_BEFORE, LIMITS, PREV};
use crate::area::page_down;
use crate::job::{Flow, List, Step};
use crate::world::World;

impl Fault {
    pub(super) fn has_anon(&self, world: &World) -> bool {
        let mm = &world.mms[self.m];
        mm.at(self.addr)
            .is_some_and(|i| mm.areas[i].rmap.anon.is_some())
    }

    /// Whether it has to look for an anon_vma at all.
    pub(super) fn own(world: &mut World, it: &mut Self) -> Step {
        if !it.growing && it.has_anon(world) {
            return it.go(world, FRAME);
        }
        let Some(i) = it.area_to_prepare(world) else {
            return Ok(Flow::To(it.restart(world)));
        };
        let grows = it.growing && !it.has_grown(world, i);
        if grows && !world.stack_may_start(it.m, i, page_down(it.addr)) {
            return it.no_area(world);
        }
        world.about(About::Area(world.mms[it.m].areas[i].id));
        if world.mms[it.m].areas[i].rmap.anon.is_some() {
            it.go(world, LIMITS)
        } else {
            it.go(world, LENDER)
        }
    }

    /// Looks for an anon_vma to share. Between this and the attaching no area comes or goes.
    pub(super) fn next_fits(world: &mut World, it: &mut Self) -> Step {
        let Some(i) = it.look_for_anon(world) else {
            return Ok(Flow::To(it.restart(world)));
        };
        let fits = world.next_may_lend(it.m, i, &world.mms[it.m].areas[i]);
        let to = if fits.is_some() { LENT } else { PREV };
        it.go(world, to)
    }

    /// A stack that grows may have changed since it was found to fit.
    pub(super) fn next_lends(world: &mut World, it: &mut Self) -> Step {
        let Some(i) = it.look_for_anon(world) else {
            return Ok(Flow::To(it.restart(world)));
        };
        let next = world.mms[it.m].areas.get(i + 1);
        it.anon = next
            .and_then(|next| next.rmap.lent())
            .map(|anon| (anon, false));
        let to = if it.anon.is_some() { ATTACH } else { PREV };
        it.go(world, to)
    }

    pub(super) fn prev_fits(world: &mut World, it: &mut Self) -> Step {
        let Some(i) = it.look_for_anon(world) else {
            return Ok(Flow::To(it.restart(world)));
        };
        match world.prev_may_lend(it.m, i, &world.mms[it.m].areas[i]) {
            Some(_) => it.go(world, LENT_BEFORE),
            None => it.new_anon(world),
        }
    }

    /// Two faults at once may each miss the other's.
    pub(super) fn prev_lends(world: &mut World, it: &mut Self) -> Step {
        let Some(i) = it.look_for_anon(world) else {
            return Ok(Flow::To(it.restart(world)));
        };
        let prev = world.mms[it.m].areas[..i].last();
        match prev.and_then(|prev| prev.rmap.lent()) {
            Some(anon) => {
                it.anon = Some((anon, false));
                it.go(world, ATTACH)
            }
            None => it.new_anon(world),
        }
    }

    fn new_anon(&mut self, world: &mut World) -> Step {
        match world.alloc_anon() {
            Ok(anon) => self.anon = Some((anon, true)),
            Err(_) if self.growing => return self.no_area(world),
            Err(_) => return self.refused(world, Outcome::Oom),
        }
        self.go(world, ATTACH)
    }

    /// The area that it looks for an anon_vma for.
    fn look_for_anon(&self, world: &mut World) -> Option<usize> {
        let i = self.area_to_prepare(world)?;
        world.about(About::Area(world.mms[self.m].areas[i].id));
        Some(i)
    }

    /// The area to give an anon_vma: the one that it decided by, if that has not changed.
    pub(super) fn area_to_prepare(&self, world: &World) -> Option<usize> {
        if self.growing {
            let i = world.mms[self.m].find(self.addr);
            let area = world.mms[self.m].areas.get(i)?;
            return (area.id == self.area).then_some(i);
        }
        self.area(world).filter(|_| !Self::passed(world))
    }

    pub(super) fn attach(world: &mut World, it: &mut Self) -> Step {
        let Some(i) = it.area_to_prepare(world) else {
            return Ok(Flow::To(it.restart(world)));
        };
        world.about(About::Area(it.area));
        if world.mms[it.m].areas[i].rmap.anon.is_none() {
            let (anon, _) = it.anon.take().expect("it was looked for");
            let mut rmap = std::mem::take(&mut world.mms[it.m].areas[i].rmap);
            world.attach_anon(&mut rmap, anon);
            world.mms[it.m].areas[i].rmap = rmap;
        }
        if let Some((anon, true)) = it.anon.take() {
            world.put_anon(anon);
        }
        if it.growing {
            it.go(world, LIMITS)
        } else {
            it.go(world, FRAME)
        }
    }
}
