//! Tasks: each a logical processor too, with a TLB and a cache of areas of its own.

use std::sync::atomic::{Ordering::SeqCst, fence};

use vmadiff_contract::MAX_TASKS;
use vmadiff_interleave::{Cell, Site};

use crate::area::vma::Vma;
use crate::core::machine::Machine;
use crate::core::mm::Mm;
use crate::core::policy::Policy;
use crate::core::slab::Handle;
use crate::design::Design;
use crate::page::dropped::DroppedPage;
use crate::page::frame::Frame;
use crate::page::pte::Pte;
use crate::page::table::Table;

/// Slots for tasks: 1 to [`MAX_TASKS`]; 0 is the kernel's.
pub const TASKS: usize = MAX_TASKS as usize + 1;

/// Areas that a task remembers (VMACACHE_SIZE).
pub const VMACACHE: usize = 4;

/// Entries of a TLB: few, so that small programs meet evictions too.
const TLB: usize = 4;

/// A task.
#[derive(Default)]
pub struct Task {
    /// Whether it is there and has not exited.
    pub live: Cell<bool>,
    /// Its address space.
    pub mm: Cell<Handle<Mm>>,
    /// Its policy.
    pub mempolicy: Cell<Handle<Policy>>,
    /// Faults served without reading from a device.
    pub min_flt: Cell<u64>,
    /// Faults served by reading from a device.
    pub maj_flt: Cell<u64>,
    /// The areas that it found last.
    pub vmacache: [Cell<Handle<Vma>>; VMACACHE],
    /// The number of its address space when it cached them.
    pub vmacache_seqnum: Cell<u64>,
    /// The page table that it walks with interrupts off: for the reports only.
    pub walking: Cell<Handle<Table>>,
    tlb: [Translation; TLB],
    /// By what it comes to a file's page, in the midst of an access, for which a flush waits, or of a
    /// fault that holds the page.
    hand: Translation,
    /// Flushes that reached it: what was read before one must not be cached after it.
    flushes: Cell<u64>,
    /// Interrupts that were sent to it.
    interrupts: Cell<u64>,
    /// It makes an access, with interrupts off; kept for marks only, as are the next two.
    accessing: Cell<bool>,
    /// The tasks, by bits, whose interrupts wait for that.
    asked: Cell<u64>,
    /// For each of them, the moment at which the access ended.
    answered: [Cell<u64>; TASKS],
}

/// An entry of a TLB: the page's number plus 1, and the page-table entry it was made from.
#[derive(Default)]
pub struct Translation {
    page: Cell<u64>,
    /// The entry that it was made from.
    pub pte: Cell<Pte>,
    /// The page, if it is not its file's any more.
    pub dropped: Cell<Handle<DroppedPage>>,
}

impl Translation {
    fn init(&self, page: u64, pte: Pte, dropped: Handle<DroppedPage>) {
        self.page.init(0);
        self.pte.init(pte);
        self.dropped.init(dropped);
        self.page.init(page + 1);
    }
}

impl Task {
    /// Sets it up, in this address space.
    pub fn init(&self, mm: Handle<Mm>) {
        self.mm.init(mm);
        self.mempolicy.init(Handle::NULL);
        self.min_flt.init(0);
        self.maj_flt.init(0);
        for slot in &self.vmacache {
            slot.init(Handle::NULL);
        }
        self.vmacache_seqnum.init(0);
        self.walking.init(Handle::NULL);
        self.accessing.init(false);
        self.asked.init(0);
        self.let_go();
        self.flush_all();
        self.live.init(true);
    }

    /// The moment, as far as flushes go.
    pub fn flushes(&self) -> u64 {
        self.flushes.peek()
    }

    /// Another one interrupts it, which takes its time.
    pub fn interrupt(&self, site: Site) {
        self.interrupts.add(site, 1);
    }

    /// Begins an access, until whose end it answers no interrupt.
    pub fn begin_access(&self) {
        self.accessing.init(true);
    }

    /// Ends it at this moment, and answers.
    pub fn end_access(&self, moment: u64) {
        self.accessing.init(false);
        let asked = self.asked.peek();
        if asked != 0 {
            let answered = self.answered.iter().enumerate();
            for (_, answered) in answered.filter(|(task, _)| asked >> task & 1 != 0) {
                answered.init(moment);
            }
            self.asked.init(0);
        }
    }

    /// Whether it makes an access.
    pub fn is_accessing(&self) -> bool {
        self.accessing.peek()
    }

    /// That task waits for the end of its access.
    pub fn ask(&self, task: usize) {
        self.asked.init(self.asked.peek() | 1 << task);
    }

    /// The moment at which the access ended that this task waited for.
    pub fn answered(&self, task: usize) -> u64 {
        self.answered[task].peek()
    }

    /// What the TLB has for an address.
    #[inline]
    pub fn cached(&self, addr: u64) -> Option<Pte> {
        let page = addr >> 12;
        let slot = &self.tlb[page as usize % TLB];
        (slot.page.peek() == page + 1).then(|| slot.pte.peek())
    }

    /// Caches an entry that was read since `flushes`, unless it may be stale by now.
    pub fn cache(&self, addr: u64, pte: Pte, flushes: u64) {
        let page = addr >> 12;
        let slot = &self.tlb[page as usize % TLB];
        slot.init(page, pte, Handle::NULL);
        fence(SeqCst);
        if self.flushes.peek() != flushes {
            slot.page.init(0);
        }
    }

    /// Begins to use an entry that maps a file's page, which it has just found.
    pub fn take_in_hand(&self, addr: u64, pte: Pte) {
        let page = addr >> 12;
        let slot = &self.tlb[page as usize % TLB];
        let cached = slot.page.peek() == page + 1;
        let dropped = if cached {
            slot.dropped.peek()
        } else {
            Handle::NULL
        };
        self.hand.init(page, pte, dropped);
    }

    /// Holds the file's page that an entry maps, the table's lock held.
    pub fn get_file_page(&self, addr: u64, pte: Pte) {
        self.hand.init(addr >> 12, pte, Handle::NULL);
    }

    /// Whether it has a file's page in hand.
    pub fn has_in_hand(&self) -> bool {
        self.hand.page.peek() != 0
    }

    /// The page that it has in hand, if its file has dropped it, even since.
    pub fn dropped_in_hand(&self) -> Option<Handle<DroppedPage>> {
        self.hand.dropped.peek().some()
    }

    /// It has it in hand no longer.
    pub fn let_go(&self) {
        self.hand.page.init(0);
        self.hand.dropped.init(Handle::NULL);
    }

    /// By what it reaches pages.
    pub fn translations(&self) -> impl Iterator<Item = &Translation> {
        let all = self.tlb.iter().chain([&self.hand]);
        all.filter(|translation| translation.page.peek() != 0)
    }

    /// Forgets what it has for an address: an access by it has faulted.
    pub fn forget(&self, addr: u64) {
        let page = addr >> 12;
        let slot = &self.tlb[page as usize % TLB];
        if slot.page.peek() == page + 1 {
            slot.page.init(0);
        }
    }

    /// Forgets what it has for `start` to `end`: the processor's own doing, or the handler of an
    /// interrupt.
    pub fn flush(&self, start: u64, end: u64) {
        self.flushes.count(1);
        fence(SeqCst);
        for slot in &self.tlb {
            let page = slot.page.peek();
            if page != 0 && page > start >> 12 && page <= end.div_ceil(4096) {
                slot.page.init(0);
            }
        }
    }

    /// Forgets everything.
    pub fn flush_all(&self) {
        self.flush(0, u64::MAX);
    }

    fn maps(&self, frame: Handle<Frame>) -> bool {
        self.tlb
            .iter()
            .any(|slot| slot.page.peek() != 0 && slot.pte.peek().anon() == Some(frame))
    }
}

impl<D: Design> Machine<D> {
    /// The live tasks of an address space.
    pub fn tasks_of(&self, mm: Handle<Mm>) -> impl Iterator<Item = &Task> {
        self.tasks()
            .iter()
            .filter(move |task| task.live.peek() && task.mm.peek() == mm)
    }

    /// Whether some TLB still maps this frame.
    pub fn some_tlb_maps(&self, frame: Handle<Frame>) -> bool {
        self.tasks()
            .iter()
            .any(|task| task.live.peek() && task.maps(frame))
    }

    /// Whether some task walks this table with interrupts off.
    pub fn some_task_walks(&self, table: Handle<Table>) -> bool {
        self.tasks()
            .iter()
            .any(|task| task.live.peek() && task.walking.peek() == table)
    }
}
