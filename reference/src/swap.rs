//! Writing private pages to swap (section 21). A fault reads them back.

use vmadiff_contract::{About, Choice, FrameId, PAGE_SIZE, VmFlags};

use crate::area::page_down;
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
    /// The entries that it took, by address space.
    taken: Vec<(usize, Page)>,
}

const TAKE: u8 = 1;
const FLUSH: u8 = 2;
const WRITE_OUT: u8 = 3;
const PUT_BACK: u8 = 4;

impl List for Reclaim {
    rows! { "reclaim"
        Decide None "shrink_page_list: trylock_page; page_referenced"
            decide or may_give_up: "the page, if it is private and no area that maps it is locked";
        Entry None "try_to_unmap_one: the page table's lock; anon_vma_lock_read, lock_page"
            take unless may_take: "an entry that maps it; a locked area: all are put back";
        Flush None "try_to_unmap_flush_dirty: an interrupt to each processor"
            flush or flushes: "the page, from each TLB that holds it";
        Copy None "pageout, __remove_mapping: lock_page; nobody else has the page"
            write_out unless may_copy: "the contents, to the slot; the frame is freed";
        Entry None "the swap cache, which the model does not have: lock_page"
            put_back: "the entries, as they were";
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
            taken,
        }
    }

    /// Another call may hold the page.
    fn may_give_up(world: &World, _: &Self, into: &mut Vec<Choice>) {
        if world.beside {
            into.push(Choice::GiveUp);
        }
    }

    fn decide(world: &mut World, it: &mut Self) -> Step {
        let nothing = Ok(Flow::Done(0));
        world.refused = true;
        world.about_entry(it.m, it.addr);
        let Ok(at) = world.page_at(it.m, it.addr) else {
            return nothing;
        };
        let Entry::Anon(frame) = world.mms[it.m].pages[at].entry else {
            return nothing;
        };
        world.about(About::Frame(frame));
        if world.choice == Choice::GiveUp || world.is_locked(frame) || world.is_writing(frame) {
            return nothing;
        }
        world.refused = false;
        it.frame = frame;
        it.slot = world.slots.len() as u32;
        world.slots.push(Slot {
            count: 0,
            bytes: Bytes::new(),
            writing: Some(frame),
        });
        Ok(Flow::Next)
    }

    /// The next entry that maps the page.
    fn next_entry(&self, world: &World) -> Option<(usize, usize)> {
        let is = |page: &Page| page.entry == Entry::Anon(self.frame);
        let mut mms = world.mms[..world.mm_count].iter().enumerate();
        mms.find_map(|(m, mm)| Some((m, mm.pages.iter().position(is)?)))
    }

    fn may_take(world: &World, it: &Self) -> Option<Guard> {
        let (m, at) = it.next_entry(world)?;
        let addr = world.mms[m].pages[at].addr;
        world.cleared_in(m, addr, addr + PAGE_SIZE)
    }

    fn take(world: &mut World, it: &mut Self) -> Step {
        while let Some((m, at)) = it.next_entry(world) {
            let mm = &mut world.mms[m];
            let page = mm.pages[at];
            if mm
                .at(page.addr)
                .is_some_and(|i| mm.areas[i].flags.contains(VmFlags::LOCKED))
            {
                return Ok(Flow::To(PUT_BACK));
            }
            mm.pages[at] = Page::new(page.addr, Entry::Swap(it.slot), VmFlags::empty(), false);
            (mm.rss_anon, mm.swap_entries) = (mm.rss_anon - 1, mm.swap_entries + 1);
            world.frame(it.frame).mapped -= 1;
            world.slots[it.slot as usize].count += 1;
            if world.driven {
                it.taken.push((m, page));
                world.about_entry(m, page.addr);
                if it.next_entry(world).is_some() {
                    return Ok(Flow::To(TAKE));
                }
                break;
            }
        }
        if world.driven {
            it.flushed(world)
        } else {
            Self::write_out(world, it)
        }
    }

    /// The first entry that a TLB is left to be flushed of.
    fn left_to_flush(&self, world: &mut World) -> Option<(usize, u64)> {
        let mut taken = self.taken.iter().map(|&(m, page)| (m, page.addr));
        taken.find(|&(m, addr)| world.has_to_flush(m, addr, addr + PAGE_SIZE))
    }

    fn flushed(&self, world: &mut World) -> Step {
        let more = self.left_to_flush(world).is_some();
        Ok(Flow::To(if more { FLUSH } else { WRITE_OUT }))
    }

    fn flush(world: &mut World, it: &mut Self) -> Step {
        if let Some(task) = world.whose {
            // All of the page's entries that this TLB may hold.
            let of = |&&(m, _): &&(usize, Page)| world.tasks[usize::from(task.0) - 1].mm == m;
            if let Some(&(m, page)) = it.taken.iter().find(of) {
                world.flush(m, page.addr, page.addr + PAGE_SIZE);
            }
        } else if let Some((m, addr)) = it.left_to_flush(world) {
            world.flush(m, addr, addr + PAGE_SIZE);
        }
        it.flushed(world)
    }

    fn flushes(world: &World, it: &Self, into: &mut Vec<Choice>) {
        for &(m, page) in &it.taken {
            world.whose(m, page.addr, page.addr + PAGE_SIZE, into);
        }
    }

    fn may_copy(world: &World, it: &Self) -> Option<Guard> {
        world.wait_if(Guard::CopyStill, world.may_store(it.frame))
    }

    /// All may have let go of it meanwhile: then there is nothing to keep.
    fn write_out(world: &mut World, it: &mut Self) -> Step {
        let bytes = std::mem::take(&mut world.frame(it.frame).bytes);
        let slot = &mut world.slots[it.slot as usize];
        slot.writing = None;
        if slot.count > 0 {
            slot.bytes = bytes;
            world.live_frames += 1;
        }
        world.about(About::Frame(it.frame));
        world.free_if_unused(it.frame);
        let took = !world.driven || !it.taken.is_empty();
        Ok(Flow::Done(u64::from(took)))
    }

    /// What faults would find in the swap cache.
    fn put_back(world: &mut World, it: &mut Self) -> Step {
        let now = Entry::Swap(it.slot);
        for m in 0..world.mm_count {
            for at in 0..world.mms[m].pages.len() {
                let page = world.mms[m].pages[at];
                if page.entry != now {
                    continue;
                }
                let old = it
                    .taken
                    .iter()
                    .find(|(of, old)| *of == m && old.addr == page.addr);
                let was = it.taken[0].1;
                let writable = false;
                let (addr, copy) = (
                    page.addr,
                    Page {
                        addr: page.addr,
                        writable,
                        ..was
                    },
                );
                let mm = &mut world.mms[m];
                mm.pages[at] = old.map_or(copy, |(_, old)| *old);
                (mm.rss_anon, mm.swap_entries) = (mm.rss_anon + 1, mm.swap_entries - 1);
                world.frame(it.frame).mapped += 1;
                world.slots[it.slot as usize].count -= 1;
                world.about_entry(m, addr);
            }
        }
        world.slots[it.slot as usize].writing = None;
        world.free_if_unused(it.frame);
        Ok(Flow::Done(0))
    }
}

impl World {
    fn is_locked(&self, frame: FrameId) -> bool {
        self.mms[..self.mm_count].iter().any(|mm| {
            mm.pages
                .iter()
                .filter(|page| page.entry == Entry::Anon(frame))
                .any(|page| {
                    mm.at(page.addr)
                        .is_some_and(|i| mm.areas[i].flags.contains(VmFlags::LOCKED))
                })
        })
    }

    /// Whether a call swaps this page out just now, and holds it locked.
    pub fn is_writing(&self, frame: FrameId) -> bool {
        self.driven && self.slots.iter().any(|slot| slot.writing == Some(frame))
    }
}
