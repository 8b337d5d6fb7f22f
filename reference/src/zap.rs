//! Taking entries away: a pass over them, the flush, and only then the frames.

use vmadiff_contract::{About, Choice, FileId, PAGE_SIZE};

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
    /// Those of this page of this file: an entry is looked at before it is taken
    /// (`page_vma_mapped_walk`).
    Page(FileId, u64),
    /// Those of pages that are swapped out (MADV_FREE, section 18).
    Swapped,
}

/// Frames that a gather holds at most; Linux: as many as it finds memory for (section 18).
pub(crate) const BATCH: usize = 32;

/// Pages of a page table.
pub(crate) const TABLE: u64 = 512 * PAGE_SIZE;

/// Takes the entries of a range away (`zap_page_range`).
#[derive(Clone, Debug, Hash)]
pub(crate) struct Zap {
    m: usize,
    start: u64,
    end: u64,
    what: What,
    /// It holds mmap_sem for writing, or did until its areas were detached.
    writer: bool,
    /// After the pass it waits until its caller finishes it.
    waits: bool,
    /// It is one page's entry, which is flushed if it was taken, and not if it was found cleared.
    own: bool,
    /// The row that it begins with.
    first: u8,
    at: u64,
    /// What it took itself: all that it would flush without [`Guard::Nested`].
    taken: Vec<u64>,
    held: Held,
}

const PASS: u8 = 0;
const FLUSH: u8 = 1;
const PUT: u8 = 2;

impl List for Zap {
    rows! { "zap"
        Pass None "zap_pte_range: the page table's lock"
            pass unless may_pass: "an entry, and the stretch without entries before it";
        Flush None "tlb_finish_mmu; tlb_flush_mmu_tlbonly under the page table's lock, if the batch is full: an interrupt to each processor"
            flush or flushes: "the range, also what was found cleared, from each TLB that holds something of it";
        Put None "tlb_flush_mmu_free: put_page, a counter"
            put: "a frame, which goes if nothing else maps or holds it; then on with the pass, if the batch was full";
    }

    fn first(&self) -> u8 {
        self.first
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
            waits: false,
            own: false,
            first: PASS,
            at: start,
            taken: Vec::new(),
            held: Held::new(),
        }
    }

    /// Of areas that are out, or never were in: what decided before the pass does not write after
    /// it, and what is left of it waits for [`Zap::finish`].
    pub fn of_detached(m: usize, start: u64, end: u64) -> Self {
        let (writer, waits) = (true, true);
        Self {
            writer,
            waits,
            ..Self::new(m, start, end, What::All)
        }
    }

    /// Flushes, and puts the frames, of the running task's zap that waits (`tlb_finish_mmu`); then
    /// on with this row.
    pub fn finish(world: &mut World, then: u8) -> Step {
        let t = world.now;
        let waiting = world.gathers.iter().position(|gather| gather.0 == t);
        let Some(waiting) = waiting else {
            return Ok(Flow::To(then));
        };
        let (_, mut zap) = world.gathers.swap_remove(waiting);
        match zap.goes_on(world) {
            Ok(Flow::To(first)) => {
                zap.first = first;
                world.call(zap, then)
            }
            _ => Ok(Flow::To(then)),
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
                    What::Page(file, index) => entry == Entry::File(file, index),
                    What::Swapped | What::All => matches!(entry, Entry::Swap(_)),
                };
                if taken {
                    it.take(world, i);
                    world.mms[it.m].pages.remove(i);
                }
            }
        }
        it.at = stop;
        if !world.driven {
            return DONE;
        }
        if it.held.len() >= BATCH {
            let table = (stop - 1) / TABLE * TABLE;
            world.lock_tables(it.m, table, table + TABLE);
            return it.goes_on(world);
        }
        if stop < it.end {
            return Ok(Flow::Again);
        }
        if !world.keeps(Guard::FreeLast) {
            it.put_frames(world, usize::MAX);
        }
        if it.waits {
            world.gathers.push((world.now, it.clone()));
            return DONE;
        }
        it.goes_on(world)
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

    /// What follows a pass or a flush: the rest of the flush, then frames, then what is left of the
    /// range.
    fn goes_on(&mut self, world: &mut World) -> Step {
        if self.is_to_flush(world) {
            return Ok(Flow::To(FLUSH));
        }
        world.unlock_tables();
        self.taken.clear();
        if !self.held.is_empty() {
            Ok(Flow::To(PUT))
        } else if self.at < self.end {
            Ok(Flow::To(PASS))
        } else {
            DONE
        }
    }

    /// What others have cleared and not flushed, too; without [`Guard::Nested`] only what it took.
    fn is_to_flush(&self, world: &mut World) -> bool {
        if self.own && self.taken.is_empty() {
            return false;
        }
        if world.keeps(Guard::Nested) {
            return world.has_to_flush(self.m, self.start, self.at);
        }
        let mut taken = self.taken.iter();
        taken.any(|&addr| world.has_to_flush(self.m, addr, addr + PAGE_SIZE))
    }

    fn flush(world: &mut World, it: &mut Self) -> Step {
        if world.keeps(Guard::Nested) {
            world.flush(it.m, it.start, it.at);
        } else {
            for &addr in &it.taken {
                while world.has_to_flush(it.m, addr, addr + PAGE_SIZE) {
                    world.flush(it.m, addr, addr + PAGE_SIZE);
                }
            }
        }
        it.goes_on(world)
    }

    fn flushes(world: &World, it: &Self, into: &mut Vec<Choice>) {
        world.whose(it.m, it.start, it.at, into);
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
        it.put_frames(world, 1);
        if !it.held.is_empty() {
            Ok(Flow::Again)
        } else if it.at < it.end {
            Ok(Flow::To(PASS))
        } else {
            DONE
        }
    }
}

/// Takes the entries of pages of a file away wherever it is mapped (`unmap_mapping_range`,
/// section 24), area by area, in any order.
#[derive(Clone, Debug, Hash)]
pub(crate) struct ZapFile {
    file: FileId,
    first: u64,
    last: u64,
    what: What,
    own: bool,
    /// The parts of areas that it has come to: address space, first and last address.
    done: Vec<Part>,
}

/// Where an area of an address space maps some pages: from its first byte up to the last.
type Part = (usize, u64, u64);

impl List for ZapFile {
    rows! { "unmap a file's pages"
        Decide None "unmap_mapping_pages: i_mmap_lock_write"
            area or which: "the next area that maps them, whose entries are zapped";
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
        let (own, done) = (false, Vec::new());
        Self {
            file,
            first,
            last,
            what,
            own,
            done,
        }
    }

    /// One page, each of whose entries is cleared and flushed by itself (`try_to_unmap_one`,
    /// `ptep_clear_flush`): nothing is gathered, and nobody asks who else has cleared what.
    pub fn page(file: FileId, index: u64) -> Self {
        Self {
            what: What::Page(file, index),
            own: true,
            ..Self::new(file, index, index + 1, false)
        }
    }

    /// Takes the lock of the file's list, and begins; then on with row `then` of who asks.
    pub fn begin(self, world: &mut World, then: u8) -> Step {
        world.file(self.file).unmapping += 1;
        world.call(self, then)
    }

    /// The part of an area that maps the pages, if it has not come to it.
    fn part(&self, m: usize, area: &Area) -> Option<Part> {
        let from = self.first.saturating_sub(area.pgoff).min(area.pages());
        let to = self.last.saturating_sub(area.pgoff).min(area.pages());
        let (start, end) = (area.start + from * PAGE_SIZE, area.start + to * PAGE_SIZE);
        let done = |part: &Part| part.0 == m && part.1 <= start && end <= part.2;
        let new = area.file == Some(self.file) && start < end && !self.done.iter().any(done);
        new.then_some((m, start, end))
    }

    /// The areas that are left. Those that munmap has taken out are found until they leave the
    /// file's tree, too.
    fn left<'a>(&'a self, world: &'a World) -> impl Iterator<Item = Part> + 'a {
        let mms = world.mms.iter().enumerate();
        let linked = mms.flat_map(|(m, mm)| mm.areas.iter().map(move |area| (m, area)));
        let all = linked.chain(world.detaching.iter().map(|(m, area)| (*m, area)));
        all.filter_map(|(m, area)| self.part(m, area))
    }

    fn which(world: &World, it: &Self, into: &mut Vec<Choice>) {
        let places = it.left(world).map(|(m, start, _)| (m, start));
        world.which(places, into);
    }

    fn area(world: &mut World, it: &mut Self) -> Step {
        let chosen = world.chosen_place();
        let next = it
            .left(world)
            .find(|&(m, start, _)| chosen.is_none_or(|at| at == (m, start)));
        if let Some((m, start, end)) = next {
            it.done.push((m, start, end));
            let zap = Zap::new(m, start, end, it.what);
            return world.call(Zap { own: it.own, ..zap }, 0);
        }
        world.file(it.file).unmapping -= 1;
        DONE
    }
}
