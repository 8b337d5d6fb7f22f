//! A fault: finds the area, asks whether it allows the access (section 19), and serves the page by
//! what its entry holds (section 20).

use vmadiff_contract::{
    About, AnonId, Choice, FileId, FileKind, FrameId, Note, Outcome, PAGE_SIZE, SegvCode, VmFlags,
    VmaId,
};

use crate::area::{ACCESS, page_down};
use crate::guard::Guard;
use crate::job::{Flow, List, Row, Sem, Step, rows};
use crate::limits::Expand;
use crate::mm::Counting;
use crate::page::{Bytes, Entry, Page};
use crate::world::World;

/// A fault, with what it has decided.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Fault {
    m: usize,
    addr: u64,
    store: bool,
    /// What the processor found lets loads through, and not this access (the error code). What
    /// allows it by now was mapped after that.
    refused: bool,
    /// It is populate's: the area was found, and allows it.
    forced: bool,
    /// The stack has to grow down to its page first.
    growing: bool,
    /// The area that it decided by: its place then, its name, flags and file, and the page's index.
    i: usize,
    area: VmaId,
    flags: VmFlags,
    file: Option<FileId>,
    index: u64,
    /// The entry, as it read it.
    read: Option<Page>,
    /// Whose anon_vma the area takes: a neighbour's, or a new one.
    anon: Option<(AnonId, bool)>,
    frame: Option<FrameId>,
    /// It has read from a device.
    major: bool,
    /// Pages that its stack grows by, and how far they are counted.
    charged: u64,
    counting: Counting,
}

const DECIDE: u8 = 0;
const READ: u8 = 1;
const MEND: u8 = 2;
const OWN: u8 = 3;
const LENDER: u8 = 4;
const PREV: u8 = 5;
const ATTACH: u8 = 6;
const LIMITS: u8 = 7;
const STACK: u8 = 8;
const CHARGE: u8 = 9;
const COUNT: u8 = 10;
const GROW: u8 = 11;
const FRAME: u8 = 12;
const LOOK: u8 = 13;
const COPY: u8 = 14;
const CLEAR: u8 = 15;
const FLUSH: u8 = 16;
const WRITE: u8 = 17;

impl List for Fault {
    rows! { "fault"
        Decide None "do_user_addr_fault: find_vma, access_error; mmap_sem for reading, here guards"
            decide unless may_decide or again_allowed: "the area, and whether it allows the access";
        Decide None "handle_pte_fault: orig_pte, a single read"
            read or again: "the entry, which says what is to be done";
        Entry None "do_wp_page, do_numa_page: the page table's lock"
            mend unless may_write or again_or_shared: "an entry that needs no new page: writable in place, or no longer hinting";
        Decide Read "expand_downwards; anon_vma_prepare: a single read under mmap_sem"
            own or again_in_place: "for a stack, whether it may grow; whether the area has an anon_vma";
        Decide Read "find_mergeable_anon_vma: a single read under mmap_sem"
            lender or again_in_place: "whether the next area lends its anon_vma";
        Decide Read "find_mergeable_anon_vma: a single read; anon_vma_alloc"
            lender_before or may_fail: "whether the area before lends its own; else a new one";
        Anon Read "anon_vma_prepare: anon_vma_lock_write, page_table_lock"
            attach or again_in_place: "the area gets it, if none was faster";
        Decide Read "expand_downwards: anon_vma_lock_write"
            limits unless may_grow: "how far the stack has to grow; limits";
        Decide Read "acct_stack_growth: rlimit, a single read; the same hold of the anon_vma's lock"
            stack: "RLIMIT_STACK, and RLIMIT_MEMLOCK of a stack that is locked";
        Charge Read "acct_stack_growth: security_vm_enough_memory_mm, a counter; the same hold of the anon_vma's lock"
            charge: "limits, and the pages that the stack grows by";
        Count Read "expand_downwards, vm_stat_account: page_table_lock; plain counters"
            count unless may_count: "the growth: each counter is read, and written";
        Resize Read "expand_downwards: the same hold of page_table_lock, and of the anon_vma's lock"
            grow: "the stack's start, offset and locked pages";
        Allocate None "alloc_page_vma: nobody else has the page yet"
            frame or may_fail: "a frame";
        Decide None "__do_fault: shmem_fault, lock_page"
            look unless may_look or again: "whether the file has the page, which stays locked";
        Copy None "cow_user_page, copy_user_highpage, swap_readpage: nobody stores to the old page"
            copy unless may_copy or again_or_leave: "the contents";
        Entry None "wp_page_copy: pte_same, ptep_clear_flush; the page table's lock until the new entry is set"
            clear unless may_write or again: "the entry that is to be replaced is cleared, if it is as it was read";
        Flush None "ptep_clear_flush: an interrupt to each processor"
            flush or flushes: "the page, from each TLB that holds it";
        Entry None "do_anonymous_page, finish_fault, do_swap_page, wp_page_copy: pte_same under the page table's lock"
            write unless may_write or again: "the new entry, if the old one is as it was read; else nothing";
    }

    fn first(&self) -> u8 {
        if self.forced { READ } else { DECIDE }
    }

    /// Without their guards, steps beside a writer do not wait for it; nor does a fault that sees that
    /// its area has an anon_vma.
    fn sem(&self, world: &World, pc: u8, row: &Row<Self>) -> Sem {
        if pc == OWN && !self.growing && self.has_anon(world) {
            return Sem::None;
        }
        let guard = if self.growing {
            Guard::Grow
        } else {
            Guard::Prepare
        };
        if world.keeps(guard) {
            row.sem
        } else {
            Sem::None
        }
    }
}

impl Fault {
    /// Of a store or another access; `refused`: the processor found a readable entry that does not
    /// allow it.
    pub fn new(m: usize, addr: u64, store: bool, refused: bool) -> Self {
        Self {
            m,
            addr,
            store,
            refused,
            ..Self::default()
        }
    }

    /// A fault that populate makes on a page of area `i`.
    pub fn forced(world: &World, m: usize, i: usize, addr: u64, store: bool) -> Self {
        let mut fault = Self::new(m, addr, store, false);
        fault.forced = true;
        fault.adopt(world, i);
        fault
    }

    /// Remembers what it decides by.
    fn adopt(&mut self, world: &World, i: usize) {
        let area = &world.mms[self.m].areas[i];
        (self.i, self.area, self.flags, self.file) = (i, area.id, area.flags, area.file);
        self.index = if area.file.is_some() {
            area.pgoff_at(page_down(self.addr))
        } else {
            0
        };
        self.addr = page_down(self.addr);
    }

    /// The place of the area that it decided by, or of a piece of it, if that is as it was.
    fn area(&self, world: &World) -> Option<usize> {
        let mm = &world.mms[self.m];
        let is = |i: &usize| {
            mm.areas.get(*i).is_some_and(|area| {
                area.holds(self.addr) && area.flags == self.flags && area.file == self.file
            })
        };
        let moved = || mm.at(self.addr).filter(is);
        Some(self.i).filter(is).or_else(moved)
    }

    /// It has decided nothing yet; it begins with this row.
    pub fn restart(&mut self, world: &mut World) -> u8 {
        self.give_back(world);
        world.land();
        world.restarted = true;
        (self.growing, self.refused) = (false, false);
        self.first()
    }

    /// A frame or an anon_vma that it does not need after all.
    fn give_back(&mut self, world: &mut World) {
        if let Some(frame) = self.frame.take() {
            world.unmap_frame(frame);
        }
        if let Some((anon, true)) = self.anon.take() {
            world.put_anon(anon);
        }
        if self.charged > 0 {
            world.uncharge(std::mem::take(&mut self.charged));
        }
        if self.growing {
            world.has_grown(self.area);
        }
    }

    /// It was served: 0, or 1 for a major fault.
    fn served(&mut self, world: &mut World, major: u64) -> Step {
        let major = major | u64::from(self.major);
        world.land();
        world.count_fault(major == 1);
        Ok(Flow::Done(major))
    }

    /// It cannot be served; neither can the access, then.
    fn refused(&mut self, world: &mut World, outcome: Outcome) -> Step {
        self.give_back(world);
        world.land();
        world.returned = outcome;
        if self.forced {
            return Ok(Flow::Ended);
        }
        Ok(Flow::Fail)
    }

    fn no_area(&mut self, world: &mut World) -> Step {
        world.about(About::Areas(world.mms[self.m].id));
        self.refused(world, Outcome::Segv(SegvCode::MapErr))
    }

    fn may_decide(world: &World, it: &Self) -> Option<Guard> {
        if it.addr >= world.config.task_size {
            // No area is asked for.
            return None;
        }
        let mm = &world.mms[it.m];
        let Some(area) = mm
            .areas
            .get(mm.find(it.addr))
            .filter(|area| area.holds(it.addr))
        else {
            return world.wait_if(Guard::MapErr, world.has_writer(it.m));
        };
        if !area.claimed || !world.has_writer(it.m) {
            return None;
        }
        let guard = if it.allowed(area.flags) {
            Guard::Decide
        } else {
            Guard::AccErr
        };
        world.wait_if(guard, true)
    }

    fn decide(world: &mut World, it: &mut Self) -> Step {
        if it.addr >= world.config.task_size {
            return it.no_area(world);
        }
        let mm = &world.mms[it.m];
        let i = mm.find(it.addr);
        let Some(area) = mm.areas.get(i) else {
            return it.no_area(world);
        };
        let (id, below) = (area.id, it.addr < area.start);
        if below && !area.flags.contains(VmFlags::GROWSDOWN) {
            return it.no_area(world);
        }
        world.about(About::Area(id));
        if below {
            it.growing = true;
            (it.i, it.area) = (i, id);
            return Ok(Flow::To(OWN));
        }
        it.found(world, i)
    }

    /// The processor was refused by an entry that lets loads through, of an area that lets all through
    /// by now: the fault may count as one of an access that is made now.
    fn again_allowed(world: &World, it: &Self, into: &mut Vec<Choice>) {
        let allowed = VmFlags::READ | VmFlags::EXEC;
        let area = world.mms[it.m].at(it.addr);
        if it.refused && area.is_some_and(|i| world.mms[it.m].areas[i].flags.contains(allowed)) {
            into.push(Choice::Again);
        }
    }

    /// Its area is found: does it allow the access (`access_error`)?
    fn found(&mut self, world: &mut World, i: usize) -> Step {
        if !self.allowed(world.mms[self.m].areas[i].flags) {
            return self.refused(world, Outcome::Segv(SegvCode::AccErr));
        }
        self.adopt(world, i);
        world.take_off(self.m, self.addr);
        self.go(world, READ)
    }

    fn allowed(&self, flags: VmFlags) -> bool {
        if self.store {
            return flags.contains(VmFlags::WRITE);
        }
        !self.refused && flags.intersects(ACCESS)
    }

    /// A SIGBUS, while its area is as it was found; else it begins again.
    fn no_page(&mut self, world: &mut World) -> Step {
        let as_found = |i: usize| !world.mms[self.m].areas[i].claimed && !world.was_passed();
        if world.driven && world.keeps(Guard::Bus) && !self.area(world).is_some_and(as_found) {
            return Ok(Flow::To(self.restart(world)));
        }
        self.refused(world, Outcome::Bus)
    }

    fn read(world: &mut World, it: &mut Self) -> Step {
        if it.forced {
            world.take_off(it.m, it.addr);
        }
        world.about_entry(it.m, it.addr);
        // Nobody is waited for: an entry that another call has cleared and is about to set is none.
        it.read = world
            .page_at(it.m, it.addr)
            .ok()
            .map(|at| world.mms[it.m].pages[at])
            .filter(|page| !page.clearing);
        let private = !it.flags.contains(VmFlags::SHARED);
        let Some(page) = it.read else {
            return match it.file {
                Some(file) if world.kind(file) == Some(FileKind::NoFault) => it.no_page(world),
                _ if it.store && private => it.go_to_frame(world),
                Some(_) => it.go(world, LOOK),
                None => it.go(world, WRITE),
            };
        };
        match page.entry {
            Entry::Swap(_) => it.go(world, FRAME),
            _ if page.hinting || it.is_behind(&page) || it.store && !page.writable => {
                it.go(world, MEND)
            }
            _ => it.served(world, 0),
        }
    }

    /// On to a frame, once the area has an anon_vma.
    fn go_to_frame(&mut self, world: &mut World) -> Step {
        let Some(i) = self.area(world) else {
            return Ok(Flow::To(self.restart(world)));
        };
        if world.mms[self.m].areas[i].rmap.anon.is_some() {
            self.go(world, FRAME)
        } else {
            self.go(world, OWN)
        }
    }

    /// The entry is as it was read (`pte_same`), and no writer's pass came over it.
    fn is_same(&self, world: &World) -> bool {
        if !world.driven || !world.keeps(Guard::SameEntry) {
            return true;
        }
        let now = world
            .page_at(self.m, self.addr)
            .ok()
            .map(|at| world.mms[self.m].pages[at]);
        now == self.read
    }

    fn passed(world: &World) -> bool {
        world.was_passed() && world.keeps(Guard::NoPass)
    }

    /// The entry allows nothing, and its area does by now: mprotect has yet to come to it. A fault takes
    /// it for one that hints (`pte_protnone`, `vma_is_accessible`).
    fn is_behind(&self, page: &Page) -> bool {
        page.is_present() && !page.readable && self.flags.intersects(ACCESS)
    }

    /// A table that another call keeps locked is waited for.
    fn may_write(world: &World, it: &Self) -> Option<Guard> {
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
    fn mend(world: &mut World, it: &mut Self) -> Step {
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
            let dropped = page.dropped;
            let new = Page::new(page.addr, page.entry, it.flags, writable);
            world.mms[it.m].pages[at] = Page { dropped, ..new };
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
        it.go_to_frame(world)
    }

    fn has_anon(&self, world: &World) -> bool {
        let mm = &world.mms[self.m];
        mm.at(self.addr)
            .is_some_and(|i| mm.areas[i].rmap.anon.is_some())
    }

    /// Whether it has to look for an anon_vma at all.
    fn own(world: &mut World, it: &mut Self) -> Step {
        if !it.growing && it.has_anon(world) {
            return it.go(world, FRAME);
        }
        let Some(i) = it.area_to_prepare(world) else {
            return Ok(Flow::To(it.restart(world)));
        };
        let grows = it.growing && !it.has_grown(world, i);
        if grows && !world.stack_may_start(it.m, i, page_down(it.addr)) {
            return it.no_area(world);
        }
        world.about(About::Area(world.mms[it.m].areas[i].id));
        if world.mms[it.m].areas[i].rmap.anon.is_some() {
            it.go(world, LIMITS)
        } else {
            it.go(world, LENDER)
        }
    }

    /// Looks for an anon_vma to share. Between this and the attaching no area comes or goes.
    fn lender(world: &mut World, it: &mut Self) -> Step {
        let Some(i) = it.area_to_prepare(world) else {
            return Ok(Flow::To(it.restart(world)));
        };
        world.about(About::Area(world.mms[it.m].areas[i].id));
        let area = &world.mms[it.m].areas[i];
        it.anon = world.lent_by_next(it.m, i, area).map(|anon| (anon, false));
        if it.anon.is_some() {
            it.go(world, ATTACH)
        } else {
            it.go(world, PREV)
        }
    }

    /// Two faults at once may each miss the other's.
    fn lender_before(world: &mut World, it: &mut Self) -> Step {
        let Some(i) = it.area_to_prepare(world) else {
            return Ok(Flow::To(it.restart(world)));
        };
        world.about(About::Area(world.mms[it.m].areas[i].id));
        let area = &world.mms[it.m].areas[i];
        let shared = world.lent_by_prev(it.m, i, area);
        match shared.map_or_else(|| world.alloc_anon(), Ok) {
            Ok(anon) => it.anon = Some((anon, shared.is_none())),
            Err(_) if it.growing => return it.no_area(world),
            Err(_) => return it.refused(world, Outcome::Oom),
        }
        it.go(world, ATTACH)
    }

    /// The area to give an anon_vma: the one that it decided by, if that has not changed.
    fn area_to_prepare(&self, world: &World) -> Option<usize> {
        if self.growing {
            let i = world.mms[self.m].find(self.addr);
            let area = world.mms[self.m].areas.get(i)?;
            return (area.id == self.area).then_some(i);
        }
        self.area(world).filter(|_| !Self::passed(world))
    }

    fn attach(world: &mut World, it: &mut Self) -> Step {
        let Some(i) = it.area_to_prepare(world) else {
            return Ok(Flow::To(it.restart(world)));
        };
        world.about(About::Area(it.area));
        if world.mms[it.m].areas[i].rmap.anon.is_none() {
            let (anon, _) = it.anon.take().expect("it was looked for");
            let mut rmap = std::mem::take(&mut world.mms[it.m].areas[i].rmap);
            world.attach_anon(&mut rmap, anon);
            world.mms[it.m].areas[i].rmap = rmap;
        }
        if let Some((anon, true)) = it.anon.take() {
            world.put_anon(anon);
        }
        if it.growing {
            it.go(world, LIMITS)
        } else {
            it.go(world, FRAME)
        }
    }

    /// Another fault was faster.
    fn has_grown(&self, world: &World, i: usize) -> bool {
        world.mms[self.m].areas[i].start <= self.addr
    }

    /// Pages between the start of its stack and the page that it is for.
    fn grows_by(&self, world: &World, i: usize) -> u64 {
        world.pages_below(self.m, i, page_down(self.addr))
    }

    fn may_grow(world: &World, it: &Self) -> Option<Guard> {
        let grows = world.growing.iter().any(|&(_, area)| area == it.area);
        world.wait_if(Guard::AnonLock, grows)
    }

    fn limits(world: &mut World, it: &mut Self) -> Step {
        let Some(i) = it.area_to_prepare(world) else {
            return Ok(Flow::To(it.restart(world)));
        };
        if it.has_grown(world, i) {
            return Ok(Flow::To(GROW));
        }
        let Ok(pages) = world.stack_grows_by(it.m, i, page_down(it.addr)) else {
            return it.no_area(world);
        };
        world.grows(it.area);
        let (m, flags) = (it.m, world.mms[it.m].areas[i].flags);
        world.call(Expand { m, flags, pages }, STACK)
    }

    fn stack(world: &mut World, it: &mut Self) -> Step {
        let (m, i) = (it.m, world.mms[it.m].find(it.addr));
        world.about_counters(m);
        if it.has_grown(world, i) {
            return Ok(Flow::To(GROW));
        }
        let fits = world.stack_fits(m, i, page_down(it.addr));
        if world.returned == Outcome::Value(0) || !fits {
            return it.no_area(world);
        }
        let flags = world.mms[m].areas[i].flags;
        world.may_lock_more(m, flags, it.grows_by(world, i), CHARGE)
    }

    /// The charge is made even for areas that never give it back.
    fn charge(world: &mut World, it: &mut Self) -> Step {
        let i = world.mms[it.m].find(it.addr);
        if it.has_grown(world, i) {
            return Ok(Flow::To(GROW));
        }
        let pages = it.grows_by(world, i);
        if world.returned == Outcome::Value(0) || world.charge(pages).is_err() {
            return it.no_area(world);
        }
        it.charged = pages;
        it.go(world, COUNT)
    }

    fn may_count(world: &World, it: &Self) -> Option<Guard> {
        let mut others = world.counting.iter();
        let counts = others.any(|&(t, m)| m == it.m && t != world.now);
        world.wait_if(Guard::PageTableLock, counts)
    }

    fn count(world: &mut World, it: &mut Self) -> Step {
        let Some(i) = it.area_to_prepare(world) else {
            return Ok(Flow::To(it.restart(world)));
        };
        if !world.count_stack(it.m, i, it.charged, &mut it.counting) {
            return Ok(Flow::Again);
        }
        it.counting = Counting::default();
        it.go(world, GROW)
    }

    fn grow(world: &mut World, it: &mut Self) -> Step {
        let Some(i) = it.area_to_prepare(world) else {
            return Ok(Flow::To(it.restart(world)));
        };
        world.about(About::Area(it.area));
        if !it.has_grown(world, i) {
            world.grow_stack(it.m, i, it.charged);
        }
        (it.growing, it.charged) = (false, 0);
        it.found(world, i)
    }

    fn frame(world: &mut World, it: &mut Self) -> Step {
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

    fn may_look(world: &World, it: &Self) -> Option<Guard> {
        let file = &world.files[it.file?.0 as usize - 1];
        let (from, to) = file.dropping;
        let held = from <= it.index && it.index < to || file.evicting == Some(it.index);
        world.wait_if(Guard::PageLock, held)
    }

    /// A store to a private area has its frame before it finds out that there is no such page.
    fn look(world: &mut World, it: &mut Self) -> Step {
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

    fn may_copy(world: &World, it: &Self) -> Option<Guard> {
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

    fn copy(world: &mut World, it: &mut Self) -> Step {
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
    fn clear(world: &mut World, it: &mut Self) -> Step {
        if !world.driven {
            return Self::write(world, it);
        }
        world.about_entry(it.m, it.addr);
        if Self::passed(world) {
            world.left_alone = true;
            return Ok(Flow::To(it.restart(world)));
        }
        let at = world
            .page_at(it.m, it.addr)
            .ok()
            .filter(|_| it.is_same(world));
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

    fn flush(world: &mut World, it: &mut Self) -> Step {
        world.flush(it.m, it.addr, it.addr + PAGE_SIZE);
        it.flushed(world)
    }

    fn flushes(world: &World, it: &Self, into: &mut Vec<Choice>) {
        world.whose(it.m, it.addr, it.addr + PAGE_SIZE, into);
    }

    /// Until it has cleared or written an entry a fault may begin again (a speculative one that
    /// gives up).
    fn again(_: &World, it: &Self, into: &mut Vec<Choice>) {
        if it.read.is_none_or(|page| !page.clearing) {
            into.push(Choice::Again);
        }
    }

    /// The same, but not for a stack that has to grow: mmap_sem is held for that.
    fn again_in_place(world: &World, it: &Self, into: &mut Vec<Choice>) {
        if !it.growing {
            Self::again(world, it, into);
        }
    }

    fn may_fail(world: &World, it: &Self, into: &mut Vec<Choice>) {
        world.may_fail(into);
        if it.read.is_none_or(|page| !page.clearing) && it.frame.is_none() {
            into.push(Choice::Again);
        }
        it.may_leave(world, into);
    }

    fn again_or_shared(world: &World, it: &Self, into: &mut Vec<Choice>) {
        Self::again(world, it, into);
        let entry = it.read.map(|page| page.entry);
        into.extend(entry.and_then(|entry| world.still_shared(entry)));
    }

    fn again_or_leave(world: &World, it: &Self, into: &mut Vec<Choice>) {
        Self::again(world, it, into);
        it.may_leave(world, into);
    }

    /// A page that another fault has read back meanwhile needs neither a frame nor a copy.
    fn may_leave(&self, world: &World, into: &mut Vec<Choice>) {
        let swapped = matches!(self.read.map(|page| page.entry), Some(Entry::Swap(_)));
        if swapped && !self.is_same(world) {
            into.push(Choice::Leave);
        }
    }

    fn leave(&mut self, world: &mut World) -> Step {
        world.about_entry(self.m, self.addr);
        world.left_alone = true;
        self.give_back(world);
        self.served(world, 0)
    }

    fn write(world: &mut World, it: &mut Self) -> Step {
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
