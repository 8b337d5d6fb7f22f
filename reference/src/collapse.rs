//! Collapsing a range as khugepaged would, in small pages (section 30).

use vmadiff_contract::{About, Choice, FrameId, Note, PAGE_SIZE, POPULATE_MAX_PAGES, VmFlags};

use crate::area::is_aligned;
use crate::guard::Guard;
use crate::job::{Flow, List, Step, rows};
use crate::page::{Bytes, Entry, Page};
use crate::world::{NoMemory, World};
use crate::zap::TABLE;

/// Gives each page of a range a fresh frame, as khugepaged would give them a large one. Answers 1
/// if it did. A range longer than `POPULATE_MAX_PAGES` is not collapsed.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Collapse {
    m: usize,
    start: u64,
    len: u64,
    frames: Vec<FrameId>,
    /// The part that is in one page table, which is at work; entries of the same table beyond the
    /// range go and come with it.
    part: (u64, u64),
    beside: Vec<u64>,
    /// No other area has entries in that table: it goes and comes as a whole, else entry by entry. Up
    /// to where that was done.
    alone: bool,
    at: u64,
}

const CLEAR: u8 = 2;
const FLUSH: u8 = 3;
const COPY: u8 = 4;

impl List for Collapse {
    rows! { "collapse"
        Decide Write "hugepage_vma_revalidate: mmap_sem"
            decide or may_give_up: "the area and the entries";
        Allocate Write "khugepaged_alloc_page: nobody else has it"
            allocate: "a frame for each page, all or none";
        Pass Write "__collapse_huge_page_isolate, pmdp_collapse_flush: the page tables' locks; claimed until all are set"
            clear unless may_clear: "all entries of a page table that are in the range are cleared, if they are still as they have to be; one by one, if other areas have some there";
        Flush Write "pmdp_collapse_flush: an interrupt to each processor"
            flush or flushes: "the part, from each TLB that holds something of it";
        Copy Write "__collapse_huge_page_copy: the page table is out of the tree"
            copy unless may_copy: "the contents";
        Entry Write "collapse_huge_page: set_pmd_at under the page table's lock"
            set: "all that were cleared, in the same way; the old frames are freed; then the next page table";
    }
}

impl Collapse {
    pub fn new(m: usize, start: u64, len: u64) -> Self {
        let (frames, beside) = (Vec::new(), Vec::new());
        let part = (start, start);
        Self {
            m,
            start,
            len,
            frames,
            part,
            beside,
            alone: true,
            at: start,
        }
    }

    fn end(&self) -> u64 {
        self.start.wrapping_add(self.len)
    }

    /// It was not done.
    fn nothing(world: &mut World) -> Step {
        world.refused = true;
        Ok(Flow::Done(0))
    }

    /// Another call may hold a page.
    fn may_give_up(world: &World, _: &Self, into: &mut Vec<Choice>) {
        if world.beside {
            into.push(Choice::GiveUp);
        }
    }

    fn decide(world: &mut World, it: &mut Self) -> Step {
        let (mm, start) = (world.mms[it.m].id, it.start);
        let end = start.saturating_add(it.len);
        world.about(About::Range { mm, start, end });
        if world.choice == Choice::GiveUp || world.collapsible(it.m, it.start, it.len).is_none() {
            return Self::nothing(world);
        }
        Ok(Flow::Next)
    }

    fn allocate(world: &mut World, it: &mut Self) -> Step {
        for _ in 0..it.len / PAGE_SIZE {
            match world.alloc_frame(Bytes::new()) {
                Ok(frame) => it.frames.push(frame),
                Err(NoMemory) => {
                    world.note_undo(&mut it.frames);
                    return Self::nothing(world);
                }
            }
        }
        if world.driven {
            Ok(Flow::Next)
        } else {
            it.part = (it.start, it.end());
            Self::copy(world, it)
        }
    }

    fn may_clear(world: &World, it: &Self) -> Option<Guard> {
        let pages = (it.at..it.end()).step_by(PAGE_SIZE as usize);
        let mut waits = pages.map(|addr| world.cleared_in(it.m, addr, addr + PAGE_SIZE));
        waits.find_map(|waits| waits)
    }

    /// Faults may have been faster. From the first entry on nobody writes what is left of the range.
    fn clear(world: &mut World, it: &mut Self) -> Step {
        let m = it.m;
        if it.at == it.start {
            let Some(i) = world.collapsible(m, it.start, it.len) else {
                world.note_undo(&mut it.frames);
                return Self::nothing(world);
            };
            world.claim(m, i, Guard::ClaimCollapse);
        }
        let table = it.at / TABLE * TABLE;
        let behind = table.saturating_add(TABLE);
        if it.at == it.part.1 {
            it.part = (it.at, it.end().min(behind));
            it.alone = world.mms[m].overlap(table, behind).len() == 1;
        }
        let (from, end) = (it.at, it.part.1);
        it.at = if it.alone {
            end
        } else {
            world.next_stop(m, from, end)
        };
        world.unlock_tables();
        if it.at < it.end() {
            world.lock_tables(m, it.at, it.end());
        }
        world.pass_over(m, from, it.at, true);
        let mm = &mut world.mms[m];
        let whole = if it.alone {
            mm.pages_in(table, behind)
        } else {
            mm.pages_in(from, it.at)
        };
        for page in &mut mm.pages[whole] {
            page.clearing = true;
            if page.addr < from || end <= page.addr {
                it.beside.push(page.addr);
            }
        }
        if it.at < end {
            return Ok(Flow::Again);
        }
        it.at = it.part.0;
        it.flushed(world)
    }

    fn flushed(&self, world: &mut World) -> Step {
        let more = world.has_to_flush(self.m, self.part.0, self.part.1);
        Ok(Flow::To(if more { FLUSH } else { COPY }))
    }

    fn flush(world: &mut World, it: &mut Self) -> Step {
        world.flush(it.m, it.part.0, it.part.1);
        it.flushed(world)
    }

    fn flushes(world: &World, it: &Self, into: &mut Vec<Choice>) {
        world.whose(it.m, it.part.0, it.part.1, into);
    }

    /// The page, the fresh frame and the entry that there is, for each page of the part.
    fn pages(&self, world: &World) -> Vec<(u64, FrameId, Option<usize>)> {
        let addrs = (self.start..self.end()).step_by(PAGE_SIZE as usize);
        let pages = addrs.zip(&self.frames);
        pages
            .filter(|(addr, _)| self.part.0 <= *addr && *addr < self.part.1)
            .map(|(addr, &frame)| (addr, frame, world.page_at(self.m, addr).ok()))
            .collect()
    }

    fn may_copy(world: &World, it: &Self) -> Option<Guard> {
        let mm = &world.mms[it.m];
        let pages = &mm.pages[mm.pages_in(it.part.0, it.part.1)];
        let stored = pages.iter().any(|page| match page.entry {
            Entry::Anon(frame) => world.may_store(frame),
            _ => false,
        });
        world.wait_if(Guard::CopyStill, stored)
    }

    fn copy(world: &mut World, it: &mut Self) -> Step {
        for (_, fresh, at) in it.pages(world) {
            let entry = at.map(|at| world.mms[it.m].pages[at].entry);
            if let Some(Entry::Anon(frame)) = entry {
                world.frame(fresh).bytes = world.frame(frame).bytes.clone();
            }
        }
        if world.driven {
            Ok(Flow::Next)
        } else {
            Self::set(world, it)
        }
    }

    fn set(world: &mut World, it: &mut Self) -> Step {
        let Some(i) = world.mms[it.m].at(it.start) else {
            return Self::nothing(world);
        };
        let flags = world.mms[it.m].areas[i].flags;
        let one = world.driven && !it.alone;
        let pages = it.pages(world);
        let left = pages.into_iter().filter(|&(addr, ..)| it.at <= addr);
        let left: Vec<_> = left.take(if one { 1 } else { usize::MAX }).collect();
        for (addr, fresh, _) in left {
            let page = Page::new(
                addr,
                Entry::Anon(fresh),
                flags,
                flags.contains(VmFlags::WRITE),
            );
            let found = world.page_at(it.m, addr);
            let mm = &mut world.mms[it.m];
            let old = match found {
                Ok(at) => std::mem::replace(&mut mm.pages[at], page).entry,
                Err(at) => {
                    mm.pages.insert(at, page);
                    Entry::Zero
                }
            };
            match old {
                Entry::Anon(old) => world.unmap_frame(old),
                _ => mm.rss_anon += 1,
            }
            world.about_entry(it.m, addr);
            it.at = addr + PAGE_SIZE;
        }
        if it.at < it.part.1 {
            return Ok(Flow::Again);
        }
        for addr in it.beside.drain(..) {
            if let Ok(at) = world.page_at(it.m, addr) {
                world.mms[it.m].pages[at].clearing = false;
            }
        }
        if it.part.1 < it.end() {
            return Ok(Flow::To(CLEAR));
        }
        world.unlock_tables();
        Ok(Flow::Done(1))
    }
}

impl World {
    fn note_undo(&mut self, frames: &mut Vec<FrameId>) {
        for frame in frames.drain(..) {
            self.unmap_frame(frame);
        }
        self.note(Note::Undo("collapse"));
    }

    /// The area, by place, if the range may be collapsed.
    fn collapsible(&self, m: usize, start: u64, len: u64) -> Option<usize> {
        let whole = is_aligned(start) && is_aligned(len) && len > 0;
        if !whole || len / PAGE_SIZE > POPULATE_MAX_PAGES {
            return None;
        }
        let mm = &self.mms[m];
        let i = mm.at(start)?;
        let area = &mm.areas[i];
        let spared = (VmFlags::UFFD_MISSING).union(VmFlags::NOHUGEPAGE);
        let private = area.file.is_none() && area.rmap.anon.is_some();
        if len > area.end - start || !private || area.flags.intersects(spared) {
            return None;
        }
        let pages = &mm.pages[mm.pages_in(start, start + len)];
        let movable = pages.iter().all(|page| match page.entry {
            Entry::Swap(_) => false,
            Entry::Anon(frame) => self.frames[frame.0 as usize - 1].mapped == 1,
            Entry::Zero | Entry::File(..) => true,
        });
        (movable && pages.iter().any(|page| page.writable)).then_some(i)
    }
}
