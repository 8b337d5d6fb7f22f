//! The heap (section 13).

use vmadiff_contract::{About, Errno, Outcome, PAGE_SIZE, Resource, VmFlags};

use crate::area::page_up;
use crate::job::{Flow, List, Step, answer, rows};
use crate::limits::Expand;
use crate::merge::Wanted;
use crate::mmap::{MAY, Vacant};
use crate::munmap::Munmap;
use crate::populate::Populate;
use crate::world::{Answer, World};

/// Sets the end of the heap and answers it: the new one, or the old one where that is refused.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Brk {
    m: usize,
    brk: u64,
    old: u64,
    /// What is to be mapped.
    part: Wanted,
}

const LIMITS: u8 = 2;
const CHARGE: u8 = 3;
const SHRUNK: u8 = 4;
const GROWN: u8 = 5;
const DONE: u8 = 7;

impl List for Brk {
    rows! { "brk"
        Decide Write "brk: mmap_sem"
            decide: "RLIMIT_DATA; what is below the old end is unmapped, with the new end set first";
        Decide Write "brk, do_brk_flags: find_vma, get_unmapped_area under mmap_sem"
            place: "whether the new part has room";
        Decide Write "do_brk_flags: mmap_sem"
            limits: "RLIMIT_MEMLOCK, if future areas are locked; then the other limits";
        Charge Write "do_brk_flags: mmap_sem; a counter"
            charge: "limits; the new part, whatever its flags";
        Resize None "brk: mmap_sem was downgraded"
            shrunk: "the old end again, if the unmapping failed";
        Resize Write "brk: mmap_sem"
            grown: "the new end, if the new part was mapped";
        Decide None "brk: mmap_sem is given up"
            populate: "the new part is populated, if future areas are locked";
        Decide None "brk: nothing shared"
            done: "the new end, whatever could not be populated";
    }
}

impl Brk {
    pub fn new(m: usize, brk: u64) -> Self {
        let (old, part) = (0, Wanted::default());
        Self { m, brk, old, part }
    }

    fn done(_: &mut World, it: &mut Self) -> Step {
        Ok(Flow::Done(it.brk))
    }

    fn refused(&self, world: &mut World) -> Step {
        world.refused = true;
        Ok(Flow::Done(self.old))
    }

    fn decide(world: &mut World, it: &mut Self) -> Step {
        it.old = world.mms[it.m].brk;
        world.about_counters(it.m);
        let size = it.brk.checked_sub(world.config.start_brk);
        if size.is_none_or(|size| size > world.soft_limit(it.m, Resource::Data)) {
            return it.refused(world);
        }
        let (from, to) = (page_up(it.old), page_up(it.brk));
        if from == to {
            world.mms[it.m].brk = it.brk;
            return Self::done(world, it);
        }
        if it.brk > it.old {
            return Ok(Flow::Next);
        }
        match Munmap::call(world, it.m, to, from - to) {
            Ok(unmap) => {
                world.mms[it.m].brk = it.brk;
                world.call(unmap, SHRUNK)
            }
            Err(_) => it.refused(world),
        }
    }

    fn place(world: &mut World, it: &mut Self) -> Step {
        world.about(About::Areas(world.mms[it.m].id));
        match world.heap_part(it.m, page_up(it.old), page_up(it.brk)) {
            Ok(part) => {
                let (flags, pages) = (part.flags, part.pages());
                it.part = part;
                world.may_lock_more(it.m, flags, pages, LIMITS)
            }
            Err(_) => it.refused(world),
        }
    }

    fn limits(world: &mut World, it: &mut Self) -> Step {
        if world.returned == Outcome::Value(0) {
            return it.refused(world);
        }
        let (m, flags, pages) = (it.m, it.part.flags, it.part.pages());
        world.call(Expand { m, flags, pages }, CHARGE)
    }

    fn charge(world: &mut World, it: &mut Self) -> Step {
        world.about(About::Areas(world.mms[it.m].id));
        let fits = world.returned != Outcome::Value(0) && !world.map_is_overfull(it.m);
        if !fits || world.charge(it.part.pages()).is_err() {
            return it.refused(world);
        }
        world.call(Vacant::new(it.m, it.part), GROWN)
    }

    fn shrunk(world: &mut World, it: &mut Self) -> Step {
        if answer(world.returned).is_err() {
            world.mms[it.m].brk = it.old;
            world.about_counters(it.m);
            return it.refused(world);
        }
        Self::done(world, it)
    }

    fn grown(world: &mut World, it: &mut Self) -> Step {
        if answer(world.returned).is_err() {
            return it.refused(world);
        }
        world.mms[it.m].brk = it.brk;
        world.about_counters(it.m);
        if world.mms[it.m].def_flags.contains(VmFlags::LOCKED) {
            return Ok(Flow::Next);
        }
        Self::done(world, it)
    }

    fn populate(world: &mut World, it: &mut Self) -> Step {
        let populate = Populate::quietly(it.m, page_up(it.old), page_up(it.brk));
        world.call(populate, DONE)
    }
}

impl World {
    /// The new part of the heap, if there is room for it (`do_brk_flags`).
    fn heap_part(&self, m: usize, start: u64, end: u64) -> Answer<Wanted> {
        let len = end.wrapping_sub(start);
        let mm = &self.mms[m];
        let next = mm.areas.get(mm.find(start));
        if next.is_some_and(|next| end.wrapping_add(PAGE_SIZE) > next.start_gap(self.guard())) {
            return Err(Errno::ENOMEM);
        }
        self.place_fixed(start, len)?;
        let access = VmFlags::READ | VmFlags::WRITE | VmFlags::ACCOUNT;
        let flags = access | MAY | mm.def_flags;
        let pgoff = start / PAGE_SIZE;
        let (file, anon, policy) = (None, None, None);
        Ok(Wanted {
            start,
            end,
            flags,
            pgoff,
            file,
            anon,
            policy,
        })
    }
}
