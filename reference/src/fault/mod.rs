//! A fault: finds the area, asks whether it allows the access (section 19), and serves the page by
//! what its entry holds (section 20).
//!
//! | | |
//! |---|---|
//! | `decide` | the area, its rights, and what the entry asks for |
//! | `anon` | the area gets an anon_vma |
//! | `stack` | a stack grows |
//! | `page` | the frame, its contents, the new entry |

mod anon;
mod decide;
mod page;
mod stack;

use vmadiff_contract::{About, AnonId, Choice, FileId, FrameId, Outcome, SegvCode, VmFlags, VmaId};

use crate::area::page_down;
use crate::guard::Guard;
use crate::job::{Flow, List, Row, Sem, Step, rows};
use crate::mm::Counting;
use crate::page::{Entry, Page};
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
const LENT: u8 = 5;
const PREV: u8 = 6;
const LENT_BEFORE: u8 = 7;
const ATTACH: u8 = 8;
const LIMITS: u8 = 9;
const STACK: u8 = 10;
const CHARGE: u8 = 11;
const COUNT: u8 = 12;
const GROW: u8 = 13;
const OFFSET: u8 = 14;
const FRAME: u8 = 15;
const LOOK: u8 = 16;
const COPY: u8 = 17;
const CLEAR: u8 = 18;
const FLUSH: u8 = 19;
const WRITE: u8 = 20;

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
        Decide Read "anon_vma_compatible: reads under mmap_sem"
            next_fits or again_in_place: "whether the area and the next one could become one";
        Decide Read "reusable_anon_vma: a single read under mmap_sem"
            next_lends or again_in_place: "whether that lends its anon_vma";
        Decide Read "anon_vma_compatible: reads under mmap_sem; else anon_vma_alloc"
            prev_fits or may_fail: "whether it could with the area before; else a new anon_vma";
        Decide Read "reusable_anon_vma: a single read under mmap_sem; else anon_vma_alloc"
            prev_lends or may_fail: "whether that lends its own; else a new one";
        Anon Read "anon_vma_prepare: anon_vma_lock_write, page_table_lock"
            attach or again_in_place: "the area gets it, if none was faster";
        Decide Read "expand_downwards: anon_vma_lock_write"
            limits unless may_grow: "how far the stack has to grow; limits";
        Decide Read "acct_stack_growth: rlimit, a single read; the same hold of the anon_vma's lock"
            stack: "RLIMIT_STACK, and RLIMIT_MEMLOCK of a stack that is locked";
        Charge Read "acct_stack_growth: security_vm_enough_memory_mm, a counter; the same hold of the anon_vma's lock"
            charge: "limits, and the pages that the stack grows by";
        Count Read "expand_downwards, vm_stat_account: page_table_lock; plain counters"
            count unless may_count: "locked_vm of a stack that is locked; then the growth: each counter is read, and written";
        Resize Read "expand_downwards: the same hold of page_table_lock, and of the anon_vma's lock"
            grow: "the stack's start";
        Resize Read "expand_downwards: the same hold, which find_mergeable_anon_vma does not ask for"
            offset: "the stack's offset";
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
}
