//! Moving an area to another place: its pages go table by table, then the old place is unmapped (`move_vma`).

use vmadiff_contract::{About, Choice, Errno, Note, Outcome, PAGE_SIZE, VmFlags, VmaId};

use super::Remap;
use crate::guard::Guard;
use crate::job::{Flow, List, Step, answer, rows};
use crate::merge::Wanted;
use crate::munmap::Munmap;
use crate::page::Page;
use crate::world::{Answer, World};
use crate::zap::TABLE;

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
    /// Where what is moved between two flushes ends, once some of it is moved.
    border: u64,
    /// Some of it is: the tables of both places are locked.
    moves: bool,
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
    pub(super) fn new(m: usize, i: usize, ask: Remap, to: u64) -> Self {
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
            border: ask.addr,
            moves: false,
            carried: Vec::new(),
            remaining: 0,
            in_two: false,
        }
    }

    fn end(&self) -> u64 {
        self.ask.addr + self.ask.old_len
    }

    /// What is refused for want of spare areas does not ask for a lock (`move_vma`).
    fn may_copy(world: &World, it: &Self) -> Option<Guard> {
        if world.lacks_spare_areas(it.m, 0) {
            return None;
        }
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

    /// Where the page tables end that entries are moved from and to just now (`move_page_tables`), or where
    /// the first of them begin behind a stretch without entries, whose tables are passed over.
    fn border(&self, world: &World) -> u64 {
        if !world.driven {
            return self.end();
        }
        if self.moved > self.flushed {
            return self.border;
        }
        let to = |addr: u64| addr - self.ask.addr + self.to;
        let Some(first) = world.first_in(self.m, self.flushed, self.end()) else {
            return self.end();
        };
        let begin = first - (first % TABLE).min(to(first) % TABLE);
        if begin > self.flushed {
            return begin;
        }
        let left = |addr: u64| TABLE - addr % TABLE;
        let left = left(self.flushed).min(left(to(self.flushed)));
        self.end().min(self.flushed + left)
    }

    /// A file's entries are not moved while they are looked for to be unmapped. Where there are none no
    /// lock is asked for: a table that is not there is passed over.
    fn may_pass(world: &World, it: &Self) -> Option<Guard> {
        let (mm, border) = (&world.mms[it.m], it.border(world));
        if mm
            .pages_in(it.moved, world.next_stop(it.m, it.moved, border))
            .is_empty()
        {
            return None;
        }
        let file = mm.at(it.ask.addr).and_then(|i| mm.areas[i].file);
        world
            .is_unmapped(file)
            .or_else(|| world.cleared_in(it.m, it.moved, border))
    }

    /// Entries move swapped or not, as they are (`move_page_tables`), one by one or a table at once.
    fn pass(world: &mut World, it: &mut Self) -> Step {
        let border = it.border(world);
        it.border = border;
        if it.moved == it.ask.addr {
            let old = world.by_name(it.m, it.old);
            world.claim(it.m, old, Guard::ClaimMove);
        }
        let stop = world.next_stop(it.m, it.moved, border);
        let to = it.moved - it.ask.addr + it.to;
        if !it.moves && !world.mms[it.m].pages_in(it.moved, stop).is_empty() {
            it.moves = true;
            world.lock_tables(it.m, it.moved, border);
            world.lock_tables(it.m, to, to + (border - it.moved));
        }
        world.pass_over(it.m, it.moved, stop, true);
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
        if self.moves && world.has_to_flush(self.m, self.flushed, self.moved) {
            return Ok(Flow::To(FLUSH));
        }
        world.unlock_tables();
        self.moves = false;
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
            let merged = &self.mms[m].areas[merged.place];
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
