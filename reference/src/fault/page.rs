//! The page that a fault is served: writable in place, or a frame, its contents, and the new entry (section 20).

use vmadiff_contract::{About, Choice, Note, Outcome, PAGE_SIZE, VmFlags};

use super::{CLEAR, COPY, FLUSH, Fault, LOOK, WRITE};
use crate::area::ACCESS;
use crate::guard::Guard;
use crate::job::{Flow, List, Step};
use crate::page::{Bytes, Entry, Page};
use crate::world::World;

impl Fault {
    /// The entry is as it was read (`pte_same`), and no writer's pass came over it.
    pub(super) fn is_same(&self, world: &World) -> bool {
        if !world.driven || !world.keeps(Guard::SameEntry) {
            return true;
        }
        let now = world
            .page_at(self.m, self.addr)
            .ok()
            .map(|at| world.mms[self.m].pages[at]);
        now == self.read
    }

    pub(super) fn passed(world: &World) -> bool {
        world.was_passed() && world.keeps(Guard::NoPass)
    }

    /// The entry allows nothing, and its area does by now: mprotect has yet to come to it. A fault takes
    /// it for one that hints (`pte_protnone`, `vma_is_accessible`).
    pub(super) fn is_behind(&self, page: &Page) -> bool {
        page.is_present() && !page.readable && self.flags.intersects(ACCESS)
    }

    /// A table that another call keeps locked is waited for.
    pub(super) fn may_write(world: &World, it: &Self) -> Option<Guard> {
        let now = world
            .page_at(it.m, it.addr)
            .map(|at| &world.mms[it.m].pages[at]);
        let cleared =
            now.is_ok_and(|page| page.clearing) && it.read.is_none_or(|read| !read.clearing);
        let locked = cleared || world.is_locked_in(it.m, it.addr, it.addr + PAGE_SIZE);
        world.wait_if(Guard::TableLock, locked)
    }

    /// A store to a present page whose entry does not allow it: in place if it is shared or nobody
    /// else has it, else to a copy.
    pub(super) fn mend(world: &mut World, it: &mut Self) -> Step {
        world.about_entry(it.m, it.addr);
        if Self::passed(world) {
            world.left_alone = true;
            return Ok(Flow::To(it.restart(world)));
        }
        let Some(page) = it.read.filter(|_| it.is_same(world)) else {
            return it.served(world, 0);
        };
        let Ok(at) = world.page_at(it.m, it.addr) else {
            return it.served(world, 0);
        };
        if page.hinting {
            world.mms[it.m].pages[at].hinting = false;
            return it.served(world, 0);
        }
        if it.is_behind(&page) {
            let writable = it.flags.contains(VmFlags::SHARED | VmFlags::WRITE);
            world.mms[it.m].pages[at] = Page::new(page.addr, page.entry, it.flags, writable);
            return it.served(world, 0);
        }
        let alone = match page.entry {
            Entry::Anon(frame) => world.is_alone(frame) && world.choice != Choice::Shared,
            Entry::File(..) => it.flags.contains(VmFlags::SHARED),
            Entry::Zero | Entry::Swap(_) => false,
        };
        if alone {
            world.mms[it.m].pages[at].writable = true;
            world.note(Note::Reuse);
            return it.served(world, 0);
        }
        if let Entry::File(file, index) = page.entry {
            world.hold_copied(file, index);
        }
        it.go_to_frame(world)
    }

    pub(super) fn frame(world: &mut World, it: &mut Self) -> Step {
        if world.choice == Choice::Leave {
            return it.leave(world);
        }
        let Ok(frame) = world.alloc_frame(Bytes::new()) else {
            return it.refused(world, Outcome::Oom);
        };
        it.frame = Some(frame);
        match (it.read.map(|page| page.entry), it.file) {
            (None, Some(_)) => it.go(world, LOOK),
            (None, None) => it.go(world, WRITE),
            (Some(Entry::Zero), _) => it.go(world, CLEAR),
            (Some(_), _) => it.go(world, COPY),
        }
    }

    pub(super) fn may_look(world: &World, it: &Self) -> Option<Guard> {
        let file = &world.files[it.file?.0 as usize - 1];
        let (from, to) = file.dropping;
        let held = from <= it.index && it.index < to || file.evicting == Some(it.index);
        world.wait_if(Guard::PageLock, held)
    }

    /// A store to a private area has its frame before it finds out that there is no such page.
    pub(super) fn look(world: &mut World, it: &mut Self) -> Step {
        let (Some(file), index) = (it.file, it.index) else {
            return Ok(Flow::To(it.restart(world)));
        };
        world.about(About::FilePage { file, index });
        if !world.file(file).has_page(index) {
            return it.no_page(world);
        }
        // A page that the page cache lacks is read in, whatever becomes of the fault.
        it.major |= world.file(file).read_in(index, index + 1);
        if world.driven
            && let Some(flight) = &mut world.flights[world.now]
        {
            flight.page = Some((file, index));
        }
        if it.frame.is_some() {
            it.go(world, COPY)
        } else {
            it.go(world, WRITE)
        }
    }

    pub(super) fn may_copy(world: &World, it: &Self) -> Option<Guard> {
        match it.read?.entry {
            Entry::Anon(frame) => world.wait_if(
                Guard::CopyStill,
                world.may_store(frame) && it.is_same(world),
            ),
            Entry::Swap(slot) => world.wait_if(
                Guard::SwapLock,
                world.slots[slot as usize].writing.is_some(),
            ),
            Entry::Zero | Entry::File(..) => None,
        }
    }

    pub(super) fn copy(world: &mut World, it: &mut Self) -> Step {
        if world.choice == Choice::Leave {
            return it.leave(world);
        }
        let entry = it.read.map(|page| page.entry);
        let bytes = match (entry, it.file) {
            (Some(Entry::Anon(frame)), _) => world.frame(frame).bytes.clone(),
            (Some(Entry::Swap(slot)), _) => world.slots[slot as usize].bytes.clone(),
            (_, Some(file)) => world.file(file).page(it.index),
            _ => Bytes::new(),
        };
        let frame = it.frame.expect("it was allocated");
        world.frame(frame).bytes = bytes;
        world.about(About::Frame(frame));
        let replaces = matches!(entry, Some(Entry::Anon(_) | Entry::File(..)));
        if replaces {
            it.go(world, CLEAR)
        } else {
            it.go(world, WRITE)
        }
    }

    /// While others may hold the old entry in their TLBs it is cleared first; its table stays
    /// locked.
    pub(super) fn clear(world: &mut World, it: &mut Self) -> Step {
        if !world.driven {
            return Self::write(world, it);
        }
        world.about_entry(it.m, it.addr);
        if Self::passed(world) {
            world.left_alone = true;
            return Ok(Flow::To(it.restart(world)));
        }
        let at = world.page_at(it.m, it.addr).ok().filter(|_| {
            it.is_same(world) && it.read.is_none_or(|read| world.is_copied(read.entry))
        });
        let Some(at) = at else {
            it.give_back(world);
            return it.served(world, 0);
        };
        world.mms[it.m].pages[at].clearing = true;
        it.read = Some(world.mms[it.m].pages[at]);
        it.flushed(world)
    }

    fn flushed(&self, world: &mut World) -> Step {
        let more = world.has_to_flush(self.m, self.addr, self.addr + PAGE_SIZE);
        Ok(Flow::To(if more { FLUSH } else { WRITE }))
    }

    pub(super) fn flush(world: &mut World, it: &mut Self) -> Step {
        world.flush(it.m, it.addr, it.addr + PAGE_SIZE);
        it.flushed(world)
    }

    pub(super) fn flushes(world: &World, it: &Self, into: &mut Vec<Choice>) {
        world.whose(it.m, it.addr, it.addr + PAGE_SIZE, into);
    }

    pub(super) fn write(world: &mut World, it: &mut Self) -> Step {
        world.about_entry(it.m, it.addr);
        if Self::passed(world) {
            world.left_alone = true;
            return Ok(Flow::To(it.restart(world)));
        }
        let (m, addr, flags) = (it.m, it.addr, it.flags);
        if !it.is_same(world) {
            it.give_back(world);
            return it.served(world, 0);
        }
        let found = world.page_at(m, addr);
        let Some(old) = it.read else {
            return it.write_first(world, found);
        };
        let (Some(frame), Ok(at)) = (it.frame, found) else {
            it.give_back(world);
            return it.served(world, 0);
        };
        it.frame = None;
        let swapped = matches!(old.entry, Entry::Swap(_));
        let writable = it.store || !swapped;
        world.mms[m].pages[at] = Page::new(addr, Entry::Anon(frame), flags, writable);
        let mm = &mut world.mms[m];
        match old.entry {
            Entry::Anon(old) => world.unmap_frame(old),
            Entry::File(..) => (mm.rss_file, mm.rss_anon) = (mm.rss_file - 1, mm.rss_anon + 1),
            Entry::Zero => mm.rss_anon += 1,
            Entry::Swap(slot) => {
                (mm.swap_entries, mm.rss_anon) = (mm.swap_entries - 1, mm.rss_anon + 1);
                world.put_slot(slot);
            }
        }
        if !swapped {
            world.note(Note::Cow);
        }
        it.served(world, u64::from(swapped))
    }

    /// The first entry of a page. Missing pages of an area that is registered with userfaultfd are
    /// a signal, found out last (section 28).
    fn write_first(&mut self, world: &mut World, found: Result<usize, usize>) -> Step {
        if self.file.is_none() && self.flags.contains(VmFlags::UFFD_MISSING) {
            return self.refused(world, Outcome::Bus);
        }
        let (entry, writable) = match (self.frame.take(), self.file) {
            (Some(frame), _) => (Entry::Anon(frame), true),
            (None, Some(file)) => (
                Entry::File(file, self.index),
                self.flags.contains(VmFlags::SHARED | VmFlags::WRITE),
            ),
            (None, None) => (Entry::Zero, false),
        };
        let mm = &mut world.mms[self.m];
        match entry {
            Entry::Anon(_) => mm.rss_anon += 1,
            Entry::File(..) => mm.rss_file += 1,
            Entry::Zero | Entry::Swap(_) => {}
        }
        let page = Page::new(self.addr, entry, self.flags, writable);
        match found {
            Err(at) => mm.pages.insert(at, page),
            Ok(at) => mm.pages[at] = page,
        }
        if matches!(entry, Entry::Anon(_)) && self.file.is_some() {
            world.note(Note::Cow);
        }
        self.served(world, 0)
    }
}
