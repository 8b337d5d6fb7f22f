//! Writing private pages to swap (section 21). A fault reads them back.

use vmadiff_contract::{About, Choice, FrameId, PAGE_SIZE, VmFlags};

use crate::area::{Area, page_down};
use crate::guard::Guard;
use crate::job::{Flow, List, Step, rows};
use crate::page::{Bytes, Entry, Page, Slot};
use crate::world::World;

/// Swaps the private page at `addr` out of every address space that maps it. Answers 1, or 0 if
/// there is none or if an area that maps it is LOCKED.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Reclaim {
    m: usize,
    addr: u64,
    frame: FrameId,
    slot: u32,
    /// The entries that mapped the page as it looked.
    found: Vec<(usize, u64)>,
    /// The entry that it takes next.
    next: (usize, u64),
    /// The entries that it took, by address space; the last one may be cleared and not set yet.
    taken: Vec<(usize, Page)>,
}

const DECIDE: u8 = 1;
const LOOK: u8 = 2;
const TAKE: u8 = 3;
const FLUSH: u8 = 4;
const SET: u8 = 5;
const COPY: u8 = 6;
const PUT_BACK: u8 = 7;

impl List for Reclaim {
    rows! { "reclaim"
        Decide None "page_vma_mapped_walk: the page table's lock, where Linux goes by its lists"
            find or may_give_up: "which page is meant, if it is private";
        Decide None "shrink_page_list: trylock_page; page_referenced under the anon_vma's lock"
            decide or may_go_on: "whether an area that maps it is locked";
        Decide None "try_to_unmap_one: the page table's lock until the entry is set; anon_vma_lock_read, lock_page"
            look unless may_look or which_or_none: "whether the area of the next entry that maps it is locked: then all are put back";
        Entry None "try_to_unmap_one: ptep_clear_flush, the same hold of the lock"
            take: "the entry is cleared";
        Flush None "ptep_clear_flush: an interrupt to each processor"
            flush or flushes: "the page, from each TLB that holds it";
        Entry None "try_to_unmap_one: set_pte_at, the same hold of the lock"
            set: "the entry, to the slot; then the next one";
        Copy None "pageout: lock_page; nobody maps the page, nor stores to it"
            copy unless may_copy: "the contents, to the slot; the frame is freed";
        Entry None "the swap cache, which the model does not have: lock_page"
            put_back unless may_put_back or which_back: "an entry, as a load would find the page in the swap cache: not writable, and not hinting; then the next one";
    }
}

impl Reclaim {
    pub fn new(m: usize, addr: u64) -> Self {
        let (frame, slot, taken) = (FrameId(0), 0, Vec::new());
        Self {
            m,
            addr: page_down(addr),
            frame,
            slot,
            found: Vec::new(),
            next: (0, 0),
            taken,
        }
    }

    /// Areas are looked at one by one: none was locked then.
    fn may_go_on(world: &World, it: &Self, into: &mut Vec<Choice>) {
        Self::may_give_up(world, it, into);
        if world.beside {
            into.push(Choice::OneByOne);
        }
    }

    /// Another call may hold the page.
    fn may_give_up(world: &World, _: &Self, into: &mut Vec<Choice>) {
        if world.beside {
            into.push(Choice::GiveUp);
        }
    }

    /// It holds the page from here on.
    fn find(world: &mut World, it: &mut Self) -> Step {
        world.about_entry(it.m, it.addr);
        let page = world.page_at(it.m, it.addr);
        let page = page.ok().map(|at| world.mms[it.m].pages[at]);
        let frame = match page.map(|page| page.entry) {
            Some(Entry::Anon(frame)) if page.is_some_and(|page| !page.clearing) => frame,
            _ => return Self::nothing(world),
        };
        if world.choice == Choice::GiveUp {
            return Self::nothing(world);
        }
        it.frame = frame;
        world.frame(frame).held += 1;
        it.go(world, DECIDE)
    }

    fn nothing(world: &mut World) -> Step {
        world.refused = true;
        Ok(Flow::Done(0))
    }

    /// All may have let go of it meanwhile.
    fn decide(world: &mut World, it: &mut Self) -> Step {
        let frame = it.frame;
        world.about(About::Frame(frame));
        world.frame(frame).held -= 1;
        let gives_up = world.choice == Choice::GiveUp || world.frame(frame).mapped == 0;
        let locked = world.choice != Choice::OneByOne && world.is_locked(frame);
        if gives_up || locked || world.is_writing(frame) {
            world.free_if_unused(frame);
            return Self::nothing(world);
        }
        it.found = it.entries(world).collect();
        it.slot = world.slots.len() as u32;
        world.slots.push(Slot {
            count: 0,
            bytes: Bytes::new(),
            writing: Some(frame),
        });
        Ok(Flow::Next)
    }

    /// The entries that map the page, by address space.
    fn entries<'a>(&'a self, world: &'a World) -> impl Iterator<Item = (usize, u64)> + 'a {
        let is = |page: &&Page| page.entry == Entry::Anon(self.frame);
        let mms = world.mms.iter().enumerate();
        mms.flat_map(move |(m, mm)| {
            let pages = mm.pages.iter().filter(is);
            pages.map(move |page| (m, page.addr))
        })
    }

    /// Those that can come next: the areas of an anon_vma have no order.
    fn free<'a>(&'a self, world: &'a World) -> impl Iterator<Item = (usize, u64)> + 'a {
        self.entries(world).filter(|&(m, addr)| {
            let locked = world.cleared_in(m, addr, addr + PAGE_SIZE);
            locked.is_none()
        })
    }

    /// The walk may have come past an area before its entry was there, as fork copies it: it ends
    /// where all that are left were not there as it began.
    fn which_or_none(world: &World, it: &Self, into: &mut Vec<Choice>) {
        world.which(it.free(world), into);
        let was_there = |place| it.found.contains(&place);
        if world.driven && !it.entries(world).any(was_there) {
            into.push(Choice::GiveUp);
        }
    }

    fn may_look(world: &World, it: &Self) -> Option<Guard> {
        let none = it.free(world).next().is_none() && it.entries(world).next().is_some();
        world.wait_if(Guard::TableLock, none)
    }

    fn look(world: &mut World, it: &mut Self) -> Step {
        let next = world.chosen_place().or_else(|| it.free(world).next());
        let next = next.filter(|_| world.choice != Choice::GiveUp);
        let found = next.and_then(|(m, addr)| Some((m, world.page_at(m, addr).ok()?)));
        let Some((m, at)) = found else {
            return if it.taken.is_empty() {
                it.done(world)
            } else {
                it.go(world, COPY)
            };
        };
        let mm = &world.mms[m];
        let page = mm.pages[at];
        let area = mm.at(page.addr).map(|i| &mm.areas[i]);
        let locked = area.is_some_and(|area| area.flags.contains(VmFlags::LOCKED));
        world.about_entry(m, page.addr);
        if locked {
            world.refused = true;
            return Ok(Flow::To(PUT_BACK));
        }
        it.next = (m, page.addr);
        world.lock_tables(m, page.addr, page.addr + PAGE_SIZE);
        it.go(world, TAKE)
    }

    /// Whoever locks the area by now finds the page where it will be.
    fn take(world: &mut World, it: &mut Self) -> Step {
        let (m, addr) = it.next;
        world.unlock_tables();
        let Ok(at) = world.page_at(m, addr) else {
            return Ok(Flow::To(LOOK));
        };
        it.taken.push((m, world.mms[m].pages[at]));
        world.mms[m].pages[at].clearing = true;
        if !world.driven {
            return it.go(world, SET);
        }
        world.about_entry(m, addr);
        it.flushed(world)
    }

    /// The entry that is cleared.
    fn cleared(&self) -> (usize, u64) {
        self.taken
            .last()
            .map_or((0, 0), |&(m, page)| (m, page.addr))
    }

    fn flushed(&self, world: &mut World) -> Step {
        let (m, addr) = self.cleared();
        let more = world.has_to_flush(m, addr, addr + PAGE_SIZE);
        Ok(Flow::To(if more { FLUSH } else { SET }))
    }

    fn flush(world: &mut World, it: &mut Self) -> Step {
        let (m, addr) = it.cleared();
        world.flush(m, addr, addr + PAGE_SIZE);
        it.flushed(world)
    }

    fn flushes(world: &World, it: &Self, into: &mut Vec<Choice>) {
        let (m, addr) = it.cleared();
        world.whose(m, addr, addr + PAGE_SIZE, into);
    }

    fn may_copy(world: &World, it: &Self) -> Option<Guard> {
        world.wait_if(Guard::CopyStill, world.may_store(it.frame))
    }

    fn copy(world: &mut World, it: &mut Self) -> Step {
        if world.slots[it.slot as usize].count > 0 {
            let bytes = world.frame(it.frame).bytes.clone();
            world.slots[it.slot as usize].bytes = bytes;
        }
        it.done(world)
    }

    fn set(world: &mut World, it: &mut Self) -> Step {
        let (m, addr) = it.cleared();
        if let Ok(at) = world.page_at(m, addr) {
            let mm = &mut world.mms[m];
            mm.pages[at] = Page::new(addr, Entry::Swap(it.slot), VmFlags::empty(), false);
            (mm.rss_anon, mm.swap_entries) = (mm.rss_anon - 1, mm.swap_entries + 1);
            world.frame(it.frame).mapped -= 1;
            world.lets_go(it.frame);
            world.slots[it.slot as usize].count += 1;
            world.about_entry(m, addr);
        }
        if it.entries(world).next().is_some() {
            return Ok(Flow::To(LOOK));
        }
        it.go(world, COPY)
    }

    /// All may have let go of the page meanwhile: then there is nothing to keep.
    fn done(&mut self, world: &mut World) -> Step {
        let slot = &mut world.slots[self.slot as usize];
        slot.writing = None;
        if slot.count > 0 {
            world.live_frames += 1;
        } else {
            slot.bytes = Bytes::new();
        }
        if !self.taken.is_empty() {
            world.about(About::Frame(self.frame));
        }
        world.free_if_unused(self.frame);
        Ok(Flow::Done(u64::from(!self.taken.is_empty())))
    }

    /// The entries that have the page's slot by now: those that were taken, and what fork has copied of them.
    fn swapped<'a>(&'a self, world: &'a World) -> impl Iterator<Item = (usize, u64)> + 'a {
        let now = Entry::Swap(self.slot);
        let mms = world.mms.iter().enumerate();
        mms.flat_map(move |(m, mm)| {
            let pages = mm.pages.iter().filter(move |page| page.entry == now);
            pages.map(move |page| (m, page.addr))
        })
    }

    /// Those that can be put back next: each under the lock of its table, in any order.
    fn free_to_put_back<'a>(&'a self, world: &'a World) -> impl Iterator<Item = (usize, u64)> + 'a {
        self.swapped(world).filter(|&(m, addr)| {
            let locked = world.cleared_in(m, addr, addr + PAGE_SIZE);
            locked.is_none()
        })
    }

    fn may_put_back(world: &World, it: &Self) -> Option<Guard> {
        let none =
            it.free_to_put_back(world).next().is_none() && it.swapped(world).next().is_some();
        world.wait_if(Guard::TableLock, none)
    }

    fn which_back(world: &World, it: &Self, into: &mut Vec<Choice>) {
        world.which(it.free_to_put_back(world), into);
    }

    /// What faults would find in the swap cache.
    fn put_back(world: &mut World, it: &mut Self) -> Step {
        let next = world
            .chosen_place()
            .or_else(|| it.free_to_put_back(world).next());
        let found = next.and_then(|(m, addr)| Some((m, world.page_at(m, addr).ok()?)));
        if let Some((m, at)) = found {
            it.put_back_one(world, m, at);
        }
        if it.swapped(world).next().is_some() {
            return Ok(Flow::To(PUT_BACK));
        }
        let slot = &mut world.slots[it.slot as usize];
        (slot.writing, slot.bytes) = (None, Bytes::new());
        world.free_if_unused(it.frame);
        Ok(Flow::Done(0))
    }

    fn put_back_one(&self, world: &mut World, m: usize, at: usize) {
        let addr = world.mms[m].pages[at].addr;
        let linked = world.mms[m].at(addr).map(|i| &world.mms[m].areas[i]);
        // One that munmap has taken out keeps its rights until its entries go.
        let holds = |(of, area): &&(usize, Area)| *of == m && area.start <= addr && addr < area.end;
        let gone = world.detaching.iter().find(holds).map(|(_, area)| area);
        let flags = linked.or(gone).map_or(VmFlags::empty(), |area| area.flags);
        let mm = &mut world.mms[m];
        mm.pages[at] = Page::new(addr, Entry::Anon(self.frame), flags, false);
        (mm.rss_anon, mm.swap_entries) = (mm.rss_anon + 1, mm.swap_entries - 1);
        world.frame(self.frame).mapped += 1;
        world.puts_back(self.frame);
        world.slots[self.slot as usize].count -= 1;
        world.about_entry(m, addr);
    }
}

impl World {
    fn is_locked(&self, frame: FrameId) -> bool {
        self.mms.iter().any(|mm| {
            mm.pages
                .iter()
                .filter(|page| page.entry == Entry::Anon(frame))
                .any(|page| {
                    mm.at(page.addr)
                        .is_some_and(|i| mm.areas[i].flags.contains(VmFlags::LOCKED))
                })
        })
    }

    /// Whether one entry alone has a page (`reuse_swap_page`): one that is swapped out just now counts in
    /// its slot, too. A call that has it locked for that and has taken no entry yet is not waited for:
    /// all that it has looked at is whose page it is.
    pub fn is_alone(&self, frame: FrameId) -> bool {
        let slots = self.slots.iter();
        let written = slots.filter(|slot| self.driven && slot.writing == Some(frame));
        let swapped: u64 = written.map(|slot| u64::from(slot.count)).sum();
        u64::from(self.frames[frame.0 as usize - 1].mapped) + swapped == 1
    }

    /// Whether a call swaps this page out just now, and holds it locked.
    pub fn is_writing(&self, frame: FrameId) -> bool {
        self.driven && self.slots.iter().any(|slot| slot.writing == Some(frame))
    }
}
