//! Resizing and moving a mapping (section 9).

use vmadiff_contract::{About, Choice, Errno, MoveFlags, Note, Outcome, PAGE_SIZE, VmFlags, VmaId};

use crate::area::page_up;
use crate::guard::Guard;
use crate::job::{Flow, List, Step, answer, rows};
use crate::limits::Expand;
use crate::merge::Wanted;
use crate::munmap::Munmap;
use crate::page::Page;
use crate::populate::Populate;
use crate::world::{Answer, World};
use crate::zap::TABLE;

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
        world.uncharge(self.charged);
        Err(errno)
    }

    fn may_grow(world: &World, it: &Self) -> Option<Guard> {
        world.may_adjust(it.m, it.i)
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

/// Moves a part of area `i` to a free place (`move_vma`). Answers whether the area is locked.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Move {
    m: usize,
    i: usize,
    ask: Remap,
    to: u64,
    /// The source's flags, and the areas that have the old range and the new one, by name.
    flags: VmFlags,
    old: VmaId,
    new: VmaId,
    /// Up to here entries were moved, and before this address they were flushed, too.
    moved: u64,
    flushed: u64,
    /// Entries that have left their old places, by their new ones.
    carried: Vec<u64>,
    /// What of the source remains, pages, and whether in two pieces.
    remaining: u64,
    in_two: bool,
}

const PASS: u8 = 1;
const SET: u8 = 2;
const FLUSH: u8 = 3;
const COUNT: u8 = 4;
const UNMAP: u8 = 5;
const RESTORE: u8 = 6;

impl List for Move {
    rows! { "move an area"
        Link Write "copy_vma: mmap_sem; i_mmap_lock_write. It is claimed until all entries are there"
            copy unless may_copy: "the area at the new place, merged or as a copy";
        Pass Write "move_ptes: ptep_get_and_clear under both page tables' locks; move_normal_pmd: pmd_clear. The source is claimed until the detach"
            pass unless may_pass: "an entry leaves its old place, and the stretch without entries before it";
        Pass Write "move_ptes: set_pte_at under the same hold of the locks; move_normal_pmd: pmd_populate"
            set or which: "it is at its new place";
        Flush Write "move_ptes: flush_tlb_range, an interrupt to each processor"
            flush or flushes: "what was moved, from each TLB that holds something of it; then the next page table";
        Count Write "move_vma: vm_stat_account, mmap_sem; plain counters"
            count: "the new range in; the source's charge is hidden";
        Decide Write "move_vma: do_munmap under mmap_sem"
            unmap: "the old range is unmapped";
        Flags Write "move_vma: mmap_sem"
            restore: "the charge stands again on what remains of the source; locked_vm";
    }
}

impl Move {
    fn new(m: usize, i: usize, ask: Remap, to: u64) -> Self {
        Self {
            m,
            i,
            ask,
            to,
            flags: VmFlags::empty(),
            old: VmaId(0),
            new: VmaId(0),
            moved: ask.addr,
            flushed: ask.addr,
            carried: Vec::new(),
            remaining: 0,
            in_two: false,
        }
    }

    fn end(&self) -> u64 {
        self.ask.addr + self.ask.old_len
    }

    fn may_copy(world: &World, it: &Self) -> Option<Guard> {
        world.may_adjust(it.m, it.i)
    }

    fn copy(world: &mut World, it: &mut Self) -> Step {
        if world.lacks_spare_areas(it.m, 0) {
            return Err(Errno::ENOMEM);
        }
        it.flags = world.mms[it.m].areas[it.i].flags;
        (it.old, it.new) = world.copy_to(it.m, it.i, &it.ask, it.to)?;
        let new = world.by_name(it.m, it.new);
        world.claim(it.m, new, Guard::ClaimMove);
        for vma in [it.old, it.new] {
            world.about(About::Area(vma));
        }
        Ok(Flow::Next)
    }

    /// Where the page tables end that entries are moved from and to just now (`move_page_tables`).
    fn border(&self, world: &World) -> u64 {
        if !world.driven {
            return self.end();
        }
        let left = |addr: u64| TABLE - addr % TABLE;
        let to = self.flushed - self.ask.addr + self.to;
        self.end()
            .min(self.flushed + left(self.flushed).min(left(to)))
    }

    /// A file's entries are not moved while they are looked for to be unmapped.
    fn may_pass(world: &World, it: &Self) -> Option<Guard> {
        let file = world.mms[it.m]
            .at(it.ask.addr)
            .and_then(|i| world.mms[it.m].areas[i].file);
        world
            .is_unmapped(file)
            .or_else(|| world.cleared_in(it.m, it.moved, it.border(world)))
    }

    /// Entries move swapped or not, as they are (`move_page_tables`), one by one or a table at once.
    fn pass(world: &mut World, it: &mut Self) -> Step {
        let border = it.border(world);
        if it.moved == it.ask.addr {
            let old = world.by_name(it.m, it.old);
            world.claim(it.m, old, Guard::ClaimMove);
        }
        if it.moved == it.flushed {
            let to = it.moved - it.ask.addr + it.to;
            world.lock_tables(it.m, it.moved, border);
            world.lock_tables(it.m, to, to + (border - it.moved));
        }
        let stop = world.next_stop(it.m, it.moved, border);
        world.pass_over(it.m, it.moved, stop, true);
        let to = it.moved - it.ask.addr + it.to;
        world.fly_over(it.m, to, to + (stop - it.moved), true);
        world.move_pages(it.m, it.moved, stop - it.moved, to);
        if !world.driven {
            it.moved = stop;
            it.arrive(world);
            return Self::count(world, it);
        }
        let came = world.mms[it.m].pages_in(to, to + (stop - it.moved));
        for page in &mut world.mms[it.m].pages[came] {
            page.clearing = true;
            it.carried.push(page.addr);
        }
        it.moved = stop;
        it.goes_on(world)
    }

    fn goes_on(&mut self, world: &mut World) -> Step {
        if !self.carried.is_empty() {
            Ok(Flow::To(SET))
        } else if self.moved < self.border(world) {
            Ok(Flow::To(PASS))
        } else {
            self.flushed(world)
        }
    }

    /// Those of a whole table all leave before the first is there.
    fn which(world: &World, it: &Self, into: &mut Vec<Choice>) {
        let border = it.border(world);
        if it.moved < border {
            let mm = &world.mms[it.m];
            let next = mm.pages_in(it.moved, border).next();
            let next = next
                .map(|at| mm.pages[at].addr)
                .filter(|&addr| addr != it.moved);
            let at = |addr| Choice::At { mm: mm.id, addr };
            into.extend([Some(it.moved), next].into_iter().flatten().map(at));
        }
    }

    fn set(world: &mut World, it: &mut Self) -> Step {
        if matches!(world.choice, Choice::At { .. }) {
            return Self::pass(world, it);
        }
        let addr = it.carried.remove(0);
        if let Ok(at) = world.page_at(it.m, addr) {
            world.mms[it.m].pages[at].clearing = false;
        }
        world.about_entry(it.m, addr);
        it.goes_on(world)
    }

    fn flushed(&mut self, world: &mut World) -> Step {
        if world.has_to_flush(self.m, self.flushed, self.moved) {
            return Ok(Flow::To(FLUSH));
        }
        world.unlock_tables();
        self.flushed = self.moved;
        if self.moved < self.end() {
            return Ok(Flow::To(PASS));
        }
        self.arrive(world);
        Ok(Flow::To(COUNT))
    }

    /// All entries are at their new place: faults are served there again.
    fn arrive(&self, world: &mut World) {
        let new = world.by_name(self.m, self.new);
        let area = &mut world.mms[self.m].areas[new];
        area.flags -= VmFlags::UFFD_MISSING;
        area.claimed &= self.new == self.old;
    }

    fn flush(world: &mut World, it: &mut Self) -> Step {
        world.flush(it.m, it.flushed, it.moved);
        it.flushed(world)
    }

    fn flushes(world: &World, it: &Self, into: &mut Vec<Choice>) {
        world.whose(it.m, it.flushed, it.moved, into);
    }

    /// Counts the new range in. The charge of the old one has gone with the pages: it is hidden
    /// from the unmapping.
    fn count(world: &mut World, it: &mut Self) -> Step {
        let i = world.by_name(it.m, it.old);
        let accounted = it.flags.contains(VmFlags::ACCOUNT);
        let mm = &mut world.mms[it.m];
        let area = &mut mm.areas[i];
        it.remaining = if accounted {
            area.end - area.start - it.ask.old_len
        } else {
            0
        };
        it.in_two = area.start < it.ask.addr && it.end() < area.end;
        if accounted {
            area.flags -= VmFlags::ACCOUNT;
        }
        let flags = area.flags;
        mm.account(flags, it.ask.new_len / PAGE_SIZE);
        world.about_counters(it.m);
        Ok(Flow::To(UNMAP))
    }

    fn unmap(world: &mut World, it: &mut Self) -> Step {
        match Munmap::new(world, it.m, it.ask.addr, it.ask.old_len) {
            Ok(unmap) => world.call(unmap, RESTORE),
            Err(errno) => {
                world.returned = Outcome::Errno(errno);
                Ok(Flow::Next)
            }
        }
    }

    /// If the unmapping failed the old area stays without its charge (section 18).
    fn restore(world: &mut World, it: &mut Self) -> Step {
        world.unclaim(it.m);
        if answer(world.returned).is_err() {
            world.note(Note::Undo("mremap.unmap"));
            world.uncharge(it.remaining / PAGE_SIZE);
        } else if it.remaining > 0 {
            let i = world.by_name(it.m, it.old);
            let pieces = if it.in_two { i..i + 2 } else { i..i + 1 };
            for i in pieces {
                let area = &mut world.mms[it.m].areas[i];
                area.flags |= VmFlags::ACCOUNT;
                let about = About::Area(area.id);
                world.about(about);
            }
        }
        let locked = it.flags.contains(VmFlags::LOCKED);
        if locked {
            world.mms[it.m].locked += it.ask.new_len / PAGE_SIZE;
            world.about_counters(it.m);
        }
        Ok(Flow::Done(u64::from(locked)))
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

    /// The area at the new place, merged or made as a copy (`copy_vma`). Answers the names of the
    /// area that has the old range, which may have been merged with the new one, and of the new.
    fn copy_to(&mut self, m: usize, i: usize, ask: &Remap, addr: u64) -> Answer<(VmaId, VmaId)> {
        let area = &self.mms[m].areas[i];
        let (source, start) = (area.id, area.start);
        let unfaulted = area.file.is_none() && area.rmap.anon.is_none();
        let pgoff = if unfaulted {
            addr / PAGE_SIZE
        } else {
            area.pgoff_at(ask.addr)
        };
        let end = addr + ask.new_len;
        let wanted = Wanted {
            start: addr,
            end,
            pgoff,
            ..Wanted::part(area, ask.addr, ask.addr, area.flags)
        };
        let place = self.mms[m].find(addr);
        if let Some(merged) = self.merge(m, place.checked_sub(1), &wanted) {
            let merged = &self.mms[m].areas[merged];
            let source = if merged.holds(start) {
                merged.id
            } else {
                source
            };
            return Ok((source, merged.id));
        }
        let mut copy = self.copy_area(m, i)?;
        (copy.start, copy.end, copy.pgoff) = (addr, end, pgoff);
        let new = copy.id;
        self.open_area(copy.file, new);
        self.link(m, place, copy);
        Ok((source, new))
    }

    fn by_name(&self, m: usize, vma: VmaId) -> usize {
        let found = self.mms[m].areas.iter().position(|area| area.id == vma);
        found.expect("an area that was just named is linked")
    }

    /// Moves the entries of a range, swapped or not, as they are (`move_page_tables`).
    fn move_pages(&mut self, m: usize, start: u64, len: u64, to: u64) {
        let mm = &mut self.mms[m];
        let range = mm.pages_in(start, start + len);
        let moved: Vec<Page> = mm
            .pages
            .drain(range)
            .map(|page| Page {
                addr: page.addr - start + to,
                ..page
            })
            .collect();
        let at = mm.pages_in(to, to).start;
        mm.pages.splice(at..at, moved);
    }
}
