//! Which area a fault decides by, whether it allows the access (section 19), and what its entry asks for.

use vmadiff_contract::{About, Choice, FileKind, Outcome, SegvCode, VmFlags};

use super::{FRAME, Fault, LOOK, MEND, OWN, READ, WRITE};
use crate::area::ACCESS;
use crate::guard::Guard;
use crate::job::{Flow, List, Step};
use crate::page::Entry;
use crate::world::World;

impl Fault {
    pub(super) fn may_decide(world: &World, it: &Self) -> Option<Guard> {
        if it.addr >= world.config.task_size {
            // No area is asked for.
            return None;
        }
        let mm = &world.mms[it.m];
        let Some(area) = mm
            .areas
            .get(mm.find(it.addr))
            .filter(|area| area.holds(it.addr))
        else {
            return world.wait_if(Guard::MapErr, world.has_writer(it.m));
        };
        if !area.claimed || !world.has_writer(it.m) {
            return None;
        }
        let guard = if it.allowed(area.flags) {
            Guard::Decide
        } else {
            Guard::AccErr
        };
        world.wait_if(guard, true)
    }

    pub(super) fn decide(world: &mut World, it: &mut Self) -> Step {
        if it.addr >= world.config.task_size {
            return it.no_area(world);
        }
        let mm = &world.mms[it.m];
        let i = mm.find(it.addr);
        let Some(area) = mm.areas.get(i) else {
            return it.no_area(world);
        };
        let (id, below) = (area.id, it.addr < area.start);
        if below && !area.flags.contains(VmFlags::GROWSDOWN) {
            return it.no_area(world);
        }
        world.about(About::Area(id));
        if below {
            it.growing = true;
            (it.i, it.area) = (i, id);
            return Ok(Flow::To(OWN));
        }
        it.found(world, i)
    }

    /// The processor was refused by an entry that lets loads through, of an area that lets all through
    /// by now: the fault may count as one of an access that is made now.
    pub(super) fn again_allowed(world: &World, it: &Self, into: &mut Vec<Choice>) {
        let allowed = VmFlags::READ | VmFlags::EXEC;
        let area = world.mms[it.m].at(it.addr);
        if it.refused && area.is_some_and(|i| world.mms[it.m].areas[i].flags.contains(allowed)) {
            into.push(Choice::Again);
        }
    }

    /// Its area is found: does it allow the access (`access_error`)?
    pub(super) fn found(&mut self, world: &mut World, i: usize) -> Step {
        if !self.allowed(world.mms[self.m].areas[i].flags) {
            return self.refused(world, Outcome::Segv(SegvCode::AccErr));
        }
        self.adopt(world, i);
        world.take_off(self.m, self.addr);
        self.go(world, READ)
    }

    fn allowed(&self, flags: VmFlags) -> bool {
        if self.store {
            return flags.contains(VmFlags::WRITE);
        }
        !self.refused && flags.intersects(ACCESS)
    }

    /// A SIGBUS, while its area is as it was found; else it begins again.
    pub(super) fn no_page(&mut self, world: &mut World) -> Step {
        let as_found = |i: usize| !world.mms[self.m].areas[i].claimed && !world.was_passed();
        if world.driven && world.keeps(Guard::Bus) && !self.area(world).is_some_and(as_found) {
            return Ok(Flow::To(self.restart(world)));
        }
        self.refused(world, Outcome::Bus)
    }

    pub(super) fn read(world: &mut World, it: &mut Self) -> Step {
        if it.forced {
            world.take_off(it.m, it.addr);
        }
        world.about_entry(it.m, it.addr);
        // Nobody is waited for: an entry that another call has cleared and is about to set is none.
        it.read = world
            .page_at(it.m, it.addr)
            .ok()
            .map(|at| world.mms[it.m].pages[at])
            .filter(|page| !page.clearing);
        let private = !it.flags.contains(VmFlags::SHARED);
        let Some(page) = it.read else {
            return match it.file {
                Some(file) if world.kind(file) == Some(FileKind::NoFault) => it.no_page(world),
                _ if it.store && private => it.go_to_frame(world),
                Some(_) => it.go(world, LOOK),
                None => it.go(world, WRITE),
            };
        };
        match page.entry {
            Entry::Swap(_) => it.go(world, FRAME),
            _ if page.hinting || it.is_behind(&page) || it.store && !page.writable => {
                it.go(world, MEND)
            }
            _ => it.served(world, 0),
        }
    }

    /// On to a frame, once the area has an anon_vma.
    pub(super) fn go_to_frame(&mut self, world: &mut World) -> Step {
        let Some(i) = self.area(world) else {
            return Ok(Flow::To(self.restart(world)));
        };
        if world.mms[self.m].areas[i].rmap.anon.is_some() {
            self.go(world, FRAME)
        } else {
            self.go(world, OWN)
        }
    }
}
