//! mlock and its family (section 10).

use vmadiff_contract::{About, Errno, LockAllFlags, LockFlags, PAGE_SIZE, Resource, VmFlags};

use crate::area::{Area, LOCKS, page_down, page_up};
use crate::carve::Carve;
use crate::job::{DONE, Flow, List, Step, answer, rows};
use crate::merge::Wanted;
use crate::populate::Populate;
use crate::world::{Answer, World};

/// Locks or unlocks a range, and populates what it locked.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Mlock {
    m: usize,
    start: u64,
    len: u64,
    locks: VmFlags,
    /// RLIMIT_MEMLOCK in pages, as it was read.
    limit: u64,
    at: u64,
    part: Part,
}

/// A part of an area that gets other lock flags.
#[derive(Clone, Debug, Hash)]
struct Part {
    i: usize,
    start: u64,
    end: u64,
    old: VmFlags,
    new: VmFlags,
}

const LIMIT: u8 = 1;
const FIRST: u8 = 2;
const AREA: u8 = 3;
const FLAGS: u8 = 4;
const NEXT: u8 = 5;
const POPULATE: u8 = 6;
const ANSWER: u8 = 7;

impl List for Mlock {
    rows! { "mlock, mlock2, munlock"
        Decide None "do_mlock, can_do_mlock: rlimit, a single read"
            may_lock: "whether the task may lock anything";
        Decide None "do_mlock: rlimit, a single read before mmap_sem"
            limit: "the limit";
        Decide Write "do_mlock, apply_vma_lock_flags: locked_vm and find_vma under mmap_sem"
            first_area: "what is locked already, and the first area";
        Decide Write "mlock_fixup: mmap_sem"
            area: "the area's part becomes an area, merged or cut out; equal flags: the next area";
        Flags Write "mlock_fixup: mmap_sem"
            flags: "the area's flags, and locked_vm";
        Decide Write "apply_vma_lock_flags: mmap_sem"
            next_area: "the next area, which has to follow at once";
        Decide None "do_mlock: mmap_sem is given up"
            populate: "the range is populated";
        Decide None "__mlock_posix_error_return: nothing shared"
            posix_error: "what the populating answers, as mlock says it";
    }

    /// munlock asks for no limit.
    fn first(&self) -> u8 {
        if self.locks.is_empty() { FIRST } else { 0 }
    }
}

impl Part {
    /// A part with these lock flags, and how it is carved; none: it has them already.
    fn of(
        world: &World,
        m: usize,
        i: usize,
        range: (u64, u64),
        locks: VmFlags,
    ) -> (Self, Option<Carve>) {
        let area = &world.mms[m].areas[i];
        let (start, end) = range;
        let (old, new) = (area.flags, area.flags.difference(LOCKS) | locks);
        let wanted = Wanted::part(area, start, end, new);
        let part = Self {
            i,
            start,
            end,
            old,
            new,
        };
        (part, (new != old).then_some(Carve { m, i, wanted }))
    }

    /// Sets the flags of the area that holds it now, and counts.
    fn set(&mut self, world: &mut World, m: usize, i: usize) {
        let pages = (self.end - self.start) / PAGE_SIZE;
        let mm = &mut world.mms[m];
        self.i = i;
        mm.areas[i].flags = self.new;
        match (
            self.old.contains(VmFlags::LOCKED),
            self.new.contains(VmFlags::LOCKED),
        ) {
            (false, true) => mm.locked += pages,
            (true, false) => mm.locked -= pages,
            _ => {}
        }
        let area = mm.areas[i].id;
        world.about(About::Area(area));
        world.about_counters(m);
    }
}

impl Mlock {
    /// mlock2; mlock has no flags.
    pub fn lock(m: usize, start: u64, len: u64, flags: LockFlags) -> Answer<Self> {
        if !LockFlags::ONFAULT.contains(flags) {
            return Err(Errno::EINVAL);
        }
        let mut locks = VmFlags::LOCKED;
        locks.set(VmFlags::LOCKONFAULT, flags.contains(LockFlags::ONFAULT));
        Ok(Self::new(m, start, len, locks))
    }

    pub fn unlock(m: usize, start: u64, len: u64) -> Self {
        Self::new(m, start, len, VmFlags::empty())
    }

    fn new(m: usize, start: u64, len: u64, locks: VmFlags) -> Self {
        let (start, len) = whole_pages(start, len);
        let (old, new) = (VmFlags::empty(), VmFlags::empty());
        Self {
            m,
            start,
            len,
            locks,
            limit: 0,
            at: start,
            part: Part {
                i: 0,
                start,
                end: 0,
                old,
                new,
            },
        }
    }

    fn may_lock(world: &mut World, it: &mut Self) -> Step {
        world.can_do_mlock(it.m)?;
        it.go(world, LIMIT)
    }

    fn limit(world: &mut World, it: &mut Self) -> Step {
        it.limit = world.memlock(it.m);
        it.go(world, FIRST)
    }

    /// The limit is only for who locks. Those areas before an error keep their flags.
    fn first_area(world: &mut World, it: &mut Self) -> Step {
        world.about_counters(it.m);
        let mm = &world.mms[it.m];
        let locked = it.len / PAGE_SIZE + mm.locked;
        let exceeds = |pages| pages > it.limit && !world.config.cap_ipc_lock;
        if !it.locks.is_empty()
            && exceeds(locked)
            && exceeds(locked.wrapping_sub_signed(world.locked_in(it.m, it.start, it.len)))
        {
            return Err(Errno::ENOMEM);
        }
        it.start.checked_add(it.len).ok_or(Errno::EINVAL)?;
        if it.len == 0 {
            return it.locked();
        }
        let first = mm.at(it.start);
        world.about(About::Areas(mm.id));
        it.part.i = first.ok_or(Errno::ENOMEM)?;
        it.go(world, AREA)
    }

    fn locked(&self) -> Step {
        if self.locks.is_empty() {
            DONE
        } else {
            Ok(Flow::To(POPULATE))
        }
    }

    fn area(world: &mut World, it: &mut Self) -> Step {
        let upto = world.mms[it.m].areas[it.part.i].end.min(it.start + it.len);
        let (part, carve) = Part::of(world, it.m, it.part.i, (it.at, upto), it.locks);
        it.part = part;
        match carve {
            Some(carve) => world.call(carve, FLAGS),
            None => Self::next_area(world, it),
        }
    }

    fn flags(world: &mut World, it: &mut Self) -> Step {
        let i = answer(world.returned)? as usize;
        it.part.set(world, it.m, i);
        it.go(world, NEXT)
    }

    fn next_area(world: &mut World, it: &mut Self) -> Step {
        let areas = &world.mms[it.m].areas;
        it.at = it.part.end.max(areas[it.part.i].end);
        if it.at >= it.start + it.len {
            return it.locked();
        }
        it.part.i += 1;
        if areas.get(it.part.i).is_none_or(|next| next.start != it.at) {
            return Err(Errno::ENOMEM);
        }
        Ok(Flow::To(AREA))
    }

    fn populate(world: &mut World, it: &mut Self) -> Step {
        let populate = Populate::new(it.m, it.start, it.start + it.len);
        world.call(populate, ANSWER)
    }

    fn posix_error(world: &mut World, _: &mut Self) -> Step {
        match answer(world.returned) {
            Ok(_) => DONE,
            Err(Errno::EFAULT) => Err(Errno::ENOMEM),
            Err(_) => Err(Errno::EAGAIN),
        }
    }
}

/// Locks everything, what is there or what will come or both, or unlocks it.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Mlockall {
    m: usize,
    flags: LockAllFlags,
    /// RLIMIT_MEMLOCK in pages, as it was read.
    limit: u64,
    now: VmFlags,
    part: Part,
}

const ALL_LIMIT: u8 = 1;
const ALL_FUTURE: u8 = 2;
const ALL_AREA: u8 = 3;
const ALL_FLAGS: u8 = 4;
const ALL_POPULATE: u8 = 5;
const ALL_DONE: u8 = 6;

impl List for Mlockall {
    rows! { "mlockall, munlockall"
        Decide None "mlockall, can_do_mlock: rlimit, a single read"
            may_lock: "whether the task may lock anything";
        Decide None "mlockall: rlimit, a single read before mmap_sem"
            limit: "the limit";
        Decide Write "mlockall: total_vm under mmap_sem; apply_mlockall_flags"
            future: "what is mapped, and the lock flags of future areas";
        Decide Write "mlock_fixup: mmap_sem"
            area: "the next area that has other flags, which is merged if it may be";
        Flags Write "mlock_fixup: mmap_sem"
            flags: "the area's flags, and locked_vm";
        Decide None "mlockall: mmap_sem is given up"
            populate: "everything is populated";
        Decide None "mlockall: nothing shared"
            done: "0, whatever could not be had";
    }

    /// munlockall asks for no limit.
    fn first(&self) -> u8 {
        if self.flags.is_empty() { ALL_FUTURE } else { 0 }
    }
}

impl Mlockall {
    /// MCL_ONFAULT alone unlocks everything (section 18).
    pub fn lock(m: usize, flags: LockAllFlags) -> Answer<Self> {
        if flags.is_empty() || !LockAllFlags::from_bits_retain(7).contains(flags) {
            return Err(Errno::EINVAL);
        }
        Ok(Self::new(m, flags))
    }

    pub fn unlock(m: usize) -> Self {
        Self::new(m, LockAllFlags::empty())
    }

    fn new(m: usize, flags: LockAllFlags) -> Self {
        let now = VmFlags::empty();
        let part = Part {
            i: 0,
            start: 0,
            end: 0,
            old: now,
            new: now,
        };
        Self {
            m,
            flags,
            limit: 0,
            now,
            part,
        }
    }

    fn may_lock(world: &mut World, it: &mut Self) -> Step {
        world.can_do_mlock(it.m)?;
        it.go(world, ALL_LIMIT)
    }

    fn limit(world: &mut World, it: &mut Self) -> Step {
        it.limit = world.memlock(it.m);
        it.go(world, ALL_FUTURE)
    }

    /// Replaces the lock flags of future areas and, unless only those were meant, of all areas,
    /// whose errors nobody is told (`apply_mlockall_flags`).
    fn future(world: &mut World, it: &mut Self) -> Step {
        let current = it.flags.contains(LockAllFlags::CURRENT);
        world.about_counters(it.m);
        let exceeds = world.mms[it.m].total > it.limit && !world.config.cap_ipc_lock;
        if current && exceeds {
            return Err(Errno::ENOMEM);
        }
        let mut locks = VmFlags::LOCKED;
        locks.set(
            VmFlags::LOCKONFAULT,
            it.flags.contains(LockAllFlags::ONFAULT),
        );
        let chosen = |flag| {
            if it.flags.contains(flag) {
                locks
            } else {
                VmFlags::empty()
            }
        };
        let (now, future) = (chosen(LockAllFlags::CURRENT), chosen(LockAllFlags::FUTURE));
        world.mms[it.m].def_flags = future;
        it.now = now;
        if now.is_empty() && !future.is_empty() {
            return DONE;
        }
        Ok(Flow::Next)
    }

    fn area(world: &mut World, it: &mut Self) -> Step {
        while let Some(area) = world.mms[it.m].areas.get(it.part.i) {
            let range = (area.start, area.end);
            let (part, carve) = Part::of(world, it.m, it.part.i, range, it.now);
            it.part = part;
            if let Some(carve) = carve {
                return world.call(carve, ALL_FLAGS);
            }
            it.part.i += 1;
        }
        if !it.flags.contains(LockAllFlags::CURRENT) {
            return DONE;
        }
        Ok(Flow::To(ALL_POPULATE))
    }

    /// Nobody is told what could not be had.
    fn populate(world: &mut World, it: &mut Self) -> Step {
        let populate = Populate::quietly(it.m, 0, world.config.task_size);
        world.call(populate, ALL_DONE)
    }

    fn done(_: &mut World, _: &mut Self) -> Step {
        DONE
    }

    fn flags(world: &mut World, it: &mut Self) -> Step {
        if let Ok(i) = answer(world.returned) {
            it.part.set(world, it.m, i as usize);
        }
        it.part.i += 1;
        Ok(Flow::To(ALL_AREA))
    }
}

impl World {
    /// A limit of 0 lets nothing be locked (`can_do_mlock`).
    fn can_do_mlock(&mut self, m: usize) -> Answer<()> {
        self.about_counters(m);
        if self.may_lock(m) {
            Ok(())
        } else {
            Err(Errno::EPERM)
        }
    }

    /// RLIMIT_MEMLOCK in pages.
    fn memlock(&mut self, m: usize) -> u64 {
        self.about_counters(m);
        self.soft_limit(m, Resource::MemLock) / PAGE_SIZE
    }

    /// Pages of a range that are locked already (`count_mm_mlocked_page_nr`): their bytes are summed up in
    /// an int. A range that wraps is found out later; it counts none, or all of its length where one area
    /// holds its start and its end.
    fn locked_in(&self, m: usize, start: u64, len: u64) -> i64 {
        let mm = &self.mms[m];
        let is_locked = |area: &&Area| area.flags.contains(VmFlags::LOCKED);
        let (end, wraps) = start.overflowing_add(len);
        let bytes = if wraps {
            let first = mm.at(start).map(|i| &mm.areas[i]);
            let both = first.filter(is_locked).filter(|area| area.start < end);
            both.map_or(0, |_| len)
        } else {
            let areas = mm.areas[mm.overlap(start, end)].iter();
            let within = |area: &Area| area.end.min(end) - area.start.max(start);
            areas.filter(is_locked).map(within).sum()
        };
        i64::from(bytes as i32) / PAGE_SIZE as i64
    }
}

/// The pages that a range touches.
fn whole_pages(start: u64, len: u64) -> (u64, u64) {
    (
        page_down(start),
        page_up(len.wrapping_add(start % PAGE_SIZE)),
    )
}
