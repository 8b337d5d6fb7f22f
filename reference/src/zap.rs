//! Taking entries away: a pass over them, the flush, and only then the frames.

use vmadiff_contract::{About, Choice, FileId, PAGE_SIZE, VmaId};

use crate::area::Area;
use crate::guard::Guard;
use crate::job::{DONE, Flow, List, Step, rows};
use crate::page::{Entry, Held};
use crate::world::World;

/// Which entries a zap takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum What {
    /// All.
    All,
    /// Those of a file's own pages, not private copies (`even_cows` is not set, section 24).
    FilePages,
    /// Those of pages that are swapped out (MADV_FREE, section 18).
    Swapped,
}

/// Takes the entries of a range away (`zap_page_range`).
#[derive(Clone, Debug, Hash)]
pub(crate) struct Zap {
    m: usize,
    start: u64,
    end: u64,
    what: What,
    /// It holds mmap_sem for writing, or did until its areas were detached.
    writer: bool,
    at: u64,
    /// What it took itself: all that it would flush without [`Guard::Nested`].
    taken: Vec<u64>,
    held: Held,
}

const FLUSH: u8 = 1;
const PUT: u8 = 2;

impl List for Zap {
    rows! { "zap"
        Pass None "zap_pte_range: the page table's lock"
            pass unless may_pass: "an entry, and the stretch without entries before it";
        Flush None "tlb_finish_mmu: an interrupt to each processor"
            flush or flushes: "the range, also what was found cleared, from each TLB that holds something of it";
        Put None "tlb_flush_mmu_free: put_page, a counter"
            put: "a frame, which goes if nothing else maps or holds it";
    }
}

impl Zap {
    pub fn new(m: usize, start: u64, end: u64, what: What) -> Self {
        Self {
            m,
            start,
            end,
            what,
            writer: false,
            at: start,
            taken: Vec::new(),
            held: Held::new(),
        }
    }

    /// Of areas that faults were kept from: what decided before the pass does not write after it.
    pub fn by_writer(self) -> Self {
        Self {
            writer: true,
            ..self
        }
    }

    fn may_pass(world: &World, it: &Self) -> Option<Guard> {
        world.cleared_in(it.m, it.at, it.end)
    }

    fn pass(world: &mut World, it: &mut Self) -> Step {
        let stop = world.next_stop(it.m, it.at, it.end);
        world.pass_over(it.m, it.at, stop, it.writer);
        let range = world.mms[it.m].pages_in(it.at, stop);
        if it.what == What::All {
            for i in range.clone() {
                it.take(world, i);
            }
            world.mms[it.m].pages.drain(range);
        } else {
            // MADV_FREE goes down, as truncation does.
            for i in range.rev() {
                let entry = world.mms[it.m].pages[i].entry;
                let taken = match it.what {
                    What::FilePages => matches!(entry, Entry::File(..)),
                    What::Swapped | What::All => matches!(entry, Entry::Swap(_)),
                };
                if taken {
                    it.take(world, i);
                    world.mms[it.m].pages.remove(i);
                }
            }
        }
        it.at = stop;
        if stop < it.end {
            return Ok(Flow::Again);
        }
        if !world.driven {
            return Self::put(world, it);
        }
        if !world.keeps(Guard::FreeLast) {
            Self::put(world, it)?;
        }
        if it.is_to_flush(world) {
            return Ok(Flow::To(FLUSH));
        }
        if it.held.is_empty() {
            return DONE;
        }
        Ok(Flow::To(PUT))
    }

    fn take(&mut self, world: &mut World, i: usize) {
        let page = world.mms[self.m].pages[i];
        world.drop_entry(self.m, page.entry, &mut self.held);
        if world.driven {
            self.taken.push(page.addr);
        } else {
            // Nobody else runs, and no TLB is kept: the frame has nothing to wait for.
            self.put_frames(world, 1);
        }
    }

    /// Without [`Guard::Nested`] it flushes the entries that it took, and no others.
    fn is_to_flush(&self, world: &mut World) -> bool {
        if world.keeps(Guard::Nested) {
            return world.has_to_flush(self.m, self.start, self.end);
        }
        let mut taken = self.taken.iter();
        taken.any(|&addr| world.has_to_flush(self.m, addr, addr + PAGE_SIZE))
    }

    fn flush(world: &mut World, it: &mut Self) -> Step {
        if world.keeps(Guard::Nested) {
            world.flush(it.m, it.start, it.end);
        } else {
            for &addr in &it.taken {
                while world.has_to_flush(it.m, addr, addr + PAGE_SIZE) {
                    world.flush(it.m, addr, addr + PAGE_SIZE);
                }
            }
        }
        if it.is_to_flush(world) {
            Ok(Flow::Again)
        } else if it.held.is_empty() {
            DONE
        } else {
            Ok(Flow::Next)
        }
    }

    fn flushes(world: &World, it: &Self, into: &mut Vec<Choice>) {
        world.whose(it.m, it.start, it.end, into);
    }

    /// Puts so many of the frames that it holds.
    fn put_frames(&mut self, world: &mut World, most: usize) {
        for frame in self.held.drain(..most.min(self.held.len())) {
            world.about(About::Frame(frame));
            world.frame(frame).held -= 1;
            world.free_if_unused(frame);
        }
    }

    fn put(world: &mut World, it: &mut Self) -> Step {
        let at_once = if world.keeps(Guard::FreeLast) {
            1
        } else {
            usize::MAX
        };
        it.put_frames(world, at_once);
        if it.held.is_empty() {
            DONE
        } else {
            Ok(Flow::Again)
        }
    }
}

/// Takes the entries of pages of a file away wherever it is mapped (`unmap_mapping_range`,
/// section 24), area by area.
#[derive(Clone, Debug, Hash)]
pub(crate) struct ZapFile {
    file: FileId,
    first: u64,
    last: u64,
    what: What,
    /// The first address, by address space and byte, that it has yet to look at.
    m: usize,
    at: u64,
    begun: bool,
    /// The last detached area that it has looked at.
    detached: VmaId,
}

impl List for ZapFile {
    rows! { "unmap a file's pages"
        Decide None "unmap_mapping_pages: i_mmap_lock_write"
            area: "the next area that maps them, whose entries are zapped";
    }
}

impl ZapFile {
    /// Pages `first` up to `last`, with `even_copies` private copies too.
    pub fn new(file: FileId, first: u64, last: u64, even_copies: bool) -> Self {
        let what = if even_copies {
            What::All
        } else {
            What::FilePages
        };
        let (m, at, begun, detached) = (0, 0, false, VmaId(0));
        Self {
            file,
            first,
            last,
            what,
            m,
            at,
            begun,
            detached,
        }
    }

    /// The addresses at which an area maps the pages.
    fn part(&self, area: &Area) -> (u64, u64) {
        let from = self.first.saturating_sub(area.pgoff).min(area.pages());
        let to = self.last.saturating_sub(area.pgoff).min(area.pages());
        (area.start + from * PAGE_SIZE, area.start + to * PAGE_SIZE)
    }

    fn area(world: &mut World, it: &mut Self) -> Step {
        if !it.begun {
            it.begun = true;
            world.file(it.file).unmapping += 1;
        }
        while it.m < world.mm_count {
            let (m, areas) = (it.m, &world.mms[it.m].areas);
            let next = areas
                .iter()
                .find(|area| area.end > it.at && area.file == Some(it.file));
            let Some(area) = next else {
                (it.m, it.at) = (it.m + 1, 0);
                continue;
            };
            let (start, end) = it.part(area);
            let start = start.max(it.at);
            it.at = area.end;
            if start < end {
                return world.call(Zap::new(m, start, end, it.what), 0);
            }
        }
        // Areas that munmap has taken out are found until they leave the file's tree, too.
        let left = world
            .detaching
            .iter()
            .filter(|(_, area)| area.id > it.detached && area.file == Some(it.file));
        if let Some((m, area)) = left.min_by_key(|(_, area)| area.id) {
            let (m, (start, end)) = (*m, it.part(area));
            it.detached = area.id;
            return world.call(Zap::new(m, start, end.max(start), it.what), 0);
        }
        world.file(it.file).unmapping -= 1;
        DONE
    }
}
