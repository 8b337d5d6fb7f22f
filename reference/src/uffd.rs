//! Registering areas with userfaultfd, as far as it changes them (section 28).

use vmadiff_contract::{About, Errno, FileKind, VmFlags};

use crate::area::{Area, is_aligned};
use crate::carve::Carve;
use crate::job::{DONE, Flow, List, Step, answer, rows};
use crate::merge::Wanted;
use crate::world::{Answer, World};

/// Registers a range for missing pages, or takes it back.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Register {
    m: usize,
    start: u64,
    end: u64,
    on: bool,
    i: usize,
    new: VmFlags,
}

const AREA: u8 = 1;
const FLAGS: u8 = 2;

impl List for Register {
    rows! { "uffd_register, uffd_unregister"
        Decide Write "userfaultfd_register, userfaultfd_unregister: mmap_sem"
            check: "whether all areas of the range can be";
        Decide Write "userfaultfd_register: mmap_sem"
            area: "the next area that is not as wanted; its part becomes an area, merged or cut out";
        Flags Write "userfaultfd_register: mmap_sem"
            flags: "the area's flag and context";
    }
}

impl Register {
    pub fn new(world: &World, m: usize, start: u64, len: u64, on: bool) -> Answer<Self> {
        let end = world.check_range(start, len)?;
        let new = VmFlags::empty();
        Ok(Self {
            m,
            start,
            end,
            on,
            i: 0,
            new,
        })
    }

    fn check(world: &mut World, it: &mut Self) -> Step {
        world.about(About::Areas(world.mms[it.m].id));
        let mm = &world.mms[it.m];
        it.i = mm.find(it.start);
        let first = mm.areas.get(it.i).ok_or(Errno::ENOMEM)?;
        if first.start >= it.end {
            return Err(Errno::EINVAL);
        }
        for area in &mm.areas[mm.overlap(it.start, it.end)] {
            world.check_area(area, it.on)?;
        }
        Ok(Flow::Next)
    }

    fn area(world: &mut World, it: &mut Self) -> Step {
        let (m, mm) = (it.m, &world.mms[it.m]);
        while let Some(area) = mm.areas.get(it.i).filter(|area| area.start < it.end) {
            if area.flags.contains(VmFlags::UFFD_MISSING) == it.on {
                it.i += 1;
                continue;
            }
            let (from, to) = (area.start.max(it.start), area.end.min(it.end));
            it.new = area.flags;
            it.new.set(VmFlags::UFFD_MISSING, it.on);
            let wanted = Wanted::part(area, from, to, it.new);
            return world.call(Carve { m, i: it.i, wanted }, FLAGS);
        }
        DONE
    }

    fn flags(world: &mut World, it: &mut Self) -> Step {
        it.i = answer(world.returned)? as usize;
        let area = &mut world.mms[it.m].areas[it.i];
        area.flags = it.new;
        let about = About::Area(area.id);
        world.about(about);
        it.i += 1;
        Ok(Flow::To(AREA))
    }
}

impl World {
    /// The end of a range that userfaultfd accepts (`validate_range`).
    fn check_range(&self, start: u64, len: u64) -> Answer {
        let task_size = self.config.task_size;
        let valid = is_aligned(start)
            && is_aligned(len)
            && len > 0
            && start >= self.config.mmap_min_addr
            && start < task_size
            && len <= task_size - start;
        if valid {
            Ok(start + len)
        } else {
            Err(Errno::EINVAL)
        }
    }

    /// Whether an area can be registered: private or shared memory, or a file in memory.
    fn check_area(&self, area: &Area, on: bool) -> Answer<()> {
        match area.file.and_then(|file| self.kind(file)) {
            None | Some(FileKind::Plain) => {}
            Some(FileKind::WithClose | FileKind::NoFault) => return Err(Errno::EINVAL),
        }
        if on && !area.flags.contains(VmFlags::MAYWRITE) {
            return Err(Errno::EPERM);
        }
        Ok(())
    }
}
