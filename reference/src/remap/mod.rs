//! Resizing and moving a mapping (section 9).
//!
//! `moving` has the move itself (`move_vma`).

mod moving;

pub(crate) use moving::Move;

use vmadiff_contract::{About, Errno, MoveFlags, Outcome, PAGE_SIZE, VmFlags};

use crate::area::page_up;
use crate::guard::Guard;
use crate::job::{Flow, List, Step, answer, rows};
use crate::limits::Expand;
use crate::munmap::Munmap;
use crate::populate::Populate;
use crate::world::{Answer, World};

/// The arguments of mremap; the lengths are rounded up.
#[derive(Clone, Copy, Debug, Hash)]
pub(crate) struct Remap {
    pub addr: u64,
    pub old_len: u64,
    pub new_len: u64,
    pub flags: MoveFlags,
    pub new_addr: u64,
}

/// Areas that a move may need for a moment: it stays so far below the limit.
const SPARE_AREAS: i64 = 3;

/// Resizes or moves a mapping, and populates the new tail of a locked area.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Mremap {
    m: usize,
    ask: Remap,
    /// The area to resize, by place, and the pages that its growth was charged for.
    i: usize,
    charged: u64,
    to: u64,
}

const FIXED: u8 = 0;
const TAIL: u8 = 1;
const FIND: u8 = 2;
const LIMITS: u8 = 3;
const CHARGE: u8 = 4;
const MOVED: u8 = 7;
const SHRINK: u8 = 8;
const SHRUNK: u8 = 9;
const POPULATED: u8 = 10;

impl List for Mremap {
    rows! { "mremap"
        Decide Write "mremap_to: mmap_sem"
            fixed: "MREMAP_FIXED: room for more areas; the destination is unmapped";
        Decide Write "mremap_to: do_munmap under mmap_sem"
            tail: "MREMAP_FIXED: what the source has beyond the new length is unmapped";
        Decide Write "vma_to_resize: find_vma under mmap_sem"
            find: "the area";
        Decide Write "vma_to_resize: mmap_sem"
            limits: "RLIMIT_MEMLOCK of an area that is locked; then the other limits";
        Charge Write "vma_to_resize: mmap_sem; a counter"
            charge: "limits, and the charge for the area's growth";
        Decide Write "get_unmapped_area, vma_expandable: mmap_sem"
            place: "where to: in place, to a place that is found, or to the given one";
        Resize Write "vma_adjust, vm_stat_account: mmap_sem; i_mmap_lock_write, anon_vma_lock_write"
            in_place unless may_grow: "the area's end and the counters, where it grows in place";
        Decide None "mremap: mmap_sem is given up"
            moved: "an error gives the charge back; a locked area's new tail is populated";
        Decide Write "mremap: __do_munmap, which downgrades mmap_sem"
            shrink: "shrinking: the tail is unmapped";
        Decide None "mremap: nothing shared"
            shrunk: "shrinking answers the unmapping's error, but not with equal lengths";
        Decide None "mremap: nothing shared"
            populated: "the address, whatever could not be populated";
    }

    fn first(&self) -> u8 {
        if self.ask.flags.contains(MoveFlags::FIXED) {
            FIXED
        } else if self.ask.old_len >= self.ask.new_len {
            SHRINK
        } else {
            FIND
        }
    }
}

impl Mremap {
    pub fn new(m: usize, ask: &Remap) -> Answer<Self> {
        let known = MoveFlags::MAYMOVE | MoveFlags::FIXED;
        let fixed = ask.flags.contains(MoveFlags::FIXED);
        if !known.contains(ask.flags) || (fixed && !ask.flags.contains(MoveFlags::MAYMOVE)) {
            return Err(Errno::EINVAL);
        }
        World::aligned(ask.addr)?;
        let (old_len, new_len) = (page_up(ask.old_len), page_up(ask.new_len));
        if new_len == 0 {
            return Err(Errno::EINVAL);
        }
        let ask = Remap {
            old_len,
            new_len,
            ..*ask
        };
        let (i, charged, to) = (0, 0, ask.new_addr);
        Ok(Self {
            m,
            ask,
            i,
            charged,
            to,
        })
    }

    /// Moves to a place that is made free (`mremap_to`). What is unmapped before an error stays so.
    ///
    /// A choice, as the kernel: an old range whose end wraps overlaps nothing that lies above the
    /// wrapped end, so the destination is gone before the range is refused.
    fn fixed(world: &mut World, it: &mut Self) -> Step {
        let task_size = world.config.task_size;
        let Remap {
            addr,
            old_len,
            new_len,
            new_addr,
            ..
        } = it.ask;
        World::aligned(new_addr)?;
        if new_len > task_size || new_addr > task_size - new_len {
            return Err(Errno::EINVAL);
        }
        if addr.wrapping_add(old_len) > new_addr && new_addr + new_len > addr {
            return Err(Errno::EINVAL);
        }
        if world.lacks_spare_areas(it.m, 2) {
            return Err(Errno::ENOMEM);
        }
        let unmap = Munmap::new(world, it.m, new_addr, new_len)?;
        world.call(unmap, TAIL)
    }

    fn tail(world: &mut World, it: &mut Self) -> Step {
        answer(world.returned)?;
        world.returned = Outcome::Value(0);
        let Remap {
            addr,
            old_len,
            new_len,
            ..
        } = it.ask;
        if old_len <= new_len {
            return Ok(Flow::Next);
        }
        it.ask.old_len = new_len;
        let unmap = Munmap::new(world, it.m, addr.wrapping_add(new_len), old_len - new_len)?;
        world.call(unmap, FIND)
    }

    fn find(world: &mut World, it: &mut Self) -> Step {
        if it.ask.flags.contains(MoveFlags::FIXED) {
            answer(world.returned)?;
        }
        let (m, ask) = (it.m, it.ask);
        it.i = world.resizable(m, &ask)?;
        if ask.new_len == ask.old_len {
            world.returned = Outcome::Value(1);
            return it.go(world, CHARGE);
        }
        let flags = world.mms[m].areas[it.i].flags;
        world.may_lock_more(m, flags, it.growth(), LIMITS)
    }

    /// Pages that it grows by.
    fn growth(&self) -> u64 {
        (self.ask.new_len - self.ask.old_len) / PAGE_SIZE
    }

    fn limits(world: &mut World, it: &mut Self) -> Step {
        if world.returned == Outcome::Value(0) {
            return Err(Errno::EAGAIN);
        }
        let (m, flags, pages) = (it.m, world.mms[it.m].areas[it.i].flags, it.growth());
        world.call(Expand { m, flags, pages }, CHARGE)
    }

    fn charge(world: &mut World, it: &mut Self) -> Step {
        if world.returned == Outcome::Value(0) {
            return Err(Errno::ENOMEM);
        }
        let area = &world.mms[it.m].areas[it.i];
        let (id, accounted) = (area.id, area.flags.contains(VmFlags::ACCOUNT));
        it.charged = if accounted { it.growth() } else { 0 };
        world.charge(it.charged)?;
        world.about(About::Area(id));
        Ok(Flow::Next)
    }

    fn place(world: &mut World, it: &mut Self) -> Step {
        let (m, ask) = (it.m, it.ask);
        let place = if ask.flags.contains(MoveFlags::FIXED) {
            world.place_fixed(ask.new_addr, ask.new_len)
        } else if world.has_room_behind(m, it.i, &ask) {
            return Ok(Flow::Next);
        } else if ask.flags.contains(MoveFlags::MAYMOVE) {
            world.place(m, 0, ask.new_len)
        } else {
            Err(Errno::ENOMEM)
        };
        match place {
            Ok(to) => {
                it.to = to;
                world.call(Move::new(m, it.i, ask, to), MOVED)
            }
            Err(errno) => it.refuse(world, errno),
        }
    }

    fn refuse(&self, world: &mut World, errno: Errno) -> Step {
        world.give_back(self.charged);
        Err(errno)
    }

    /// An area that grows in place needs no memory, and cannot fail before it comes to the lock.
    fn may_grow(world: &World, it: &Self) -> Option<Guard> {
        world.is_unmapped(world.mms[it.m].areas.get(it.i)?.file)
    }

    fn in_place(world: &mut World, it: &mut Self) -> Step {
        let pages = (it.ask.new_len - it.ask.old_len) / PAGE_SIZE;
        it.to = it.ask.addr;
        let mm = &mut world.mms[it.m];
        let flags = mm.areas[it.i].flags;
        mm.areas[it.i].end = it.to + it.ask.new_len;
        mm.account(flags, pages);
        if flags.contains(VmFlags::LOCKED) {
            mm.locked += pages;
        }
        let about = About::Area(mm.areas[it.i].id);
        world.about(about);
        world.about_counters(it.m);
        world.returned = Outcome::Value(u64::from(flags.contains(VmFlags::LOCKED)));
        Ok(Flow::To(MOVED))
    }

    /// What the move came to is whether the area is locked.
    fn moved(world: &mut World, it: &mut Self) -> Step {
        let Remap {
            old_len, new_len, ..
        } = it.ask;
        match answer(world.returned) {
            Err(errno) => it.refuse(world, errno),
            Ok(1) if new_len > old_len => {
                let populate = Populate::quietly(it.m, it.to + old_len, it.to + new_len);
                world.call(populate, POPULATED)
            }
            Ok(_) => Self::populated(world, it),
        }
    }

    /// Unmaps what lies between the new and the old end. With equal lengths there is nothing, and
    /// no error either.
    fn shrink(world: &mut World, it: &mut Self) -> Step {
        let Remap {
            addr,
            old_len,
            new_len,
            ..
        } = it.ask;
        if old_len == new_len {
            world.about(About::Areas(world.mms[it.m].id));
            return Ok(Flow::Done(addr));
        }
        let unmap = Munmap::call(world, it.m, addr.wrapping_add(new_len), old_len - new_len)?;
        world.call(unmap, SHRUNK)
    }

    fn shrunk(world: &mut World, it: &mut Self) -> Step {
        answer(world.returned)?;
        Ok(Flow::Done(it.ask.addr))
    }

    fn populated(_: &mut World, it: &mut Self) -> Step {
        Ok(Flow::Done(it.to))
    }
}

impl World {
    /// Whether the map, with so many areas more, is too near its limit for a move (section 14).
    fn lacks_spare_areas(&self, m: usize, more: i64) -> bool {
        let limit = i64::from(self.config.max_map_count) - SPARE_AREAS;
        self.mms[m].areas.len() as i64 + more >= limit
    }

    /// Whether the old range reaches the area's end and the area can be extended there
    /// (`vma_expandable`). Guard gaps do not count.
    fn has_room_behind(&self, m: usize, i: usize, ask: &Remap) -> bool {
        let area = &self.mms[m].areas[i];
        let Some(end) = area.end.checked_add(ask.new_len - ask.old_len) else {
            return false;
        };
        ask.addr + ask.old_len == area.end
            && self.mms[m]
                .areas
                .get(i + 1)
                .is_none_or(|next| next.start >= end)
            && self.place_fixed(area.start, end - area.start).is_ok()
    }

    /// The area to resize, by place (`vma_to_resize`).
    fn resizable(&self, m: usize, ask: &Remap) -> Answer<usize> {
        let Remap {
            addr,
            old_len,
            new_len,
            ..
        } = *ask;
        let i = self.mms[m].at(addr).ok_or(Errno::EFAULT)?;
        let area = &self.mms[m].areas[i];
        let flags = area.flags;
        if old_len == 0 && !flags.intersects(VmFlags::SHARED | VmFlags::MAYSHARE) {
            return Err(Errno::EINVAL);
        }
        if old_len > area.end - addr {
            return Err(Errno::EFAULT);
        }
        if new_len == old_len {
            return Ok(i);
        }
        area.pgoff_at(addr)
            .checked_add(new_len / PAGE_SIZE)
            .ok_or(Errno::EINVAL)?;
        Ok(i)
    }
}
