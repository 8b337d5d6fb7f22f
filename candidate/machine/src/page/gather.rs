//! Collecting what was unmapped until no TLB can reach it (`mmu_gather`).

use vmadiff_contract::{About, StepKind, TaskId, Told};
use vmadiff_interleave::sim;

use crate::core::machine::Machine;
use crate::core::mm::Mm;
use crate::core::slab::{Handle, Ref};
use crate::core::task::Task;
use crate::defects::defect;
use crate::design::Design;
use crate::page::frame::Frame;
use crate::page::table::Table;
use crate::sites as site;

/// Frames or tables that are collected before a flush is forced.
const BATCH: usize = 32;

/// Pages and page tables that were unmapped from one address space and are not free yet.
pub struct Gather<'a, D: Design> {
    machine: &'a Machine<D>,
    mm: Handle<Mm>,
    /// The range that is gone over.
    whole: (u64, u64),
    /// What of it is to be flushed.
    start: u64,
    end: u64,
    frames: [Handle<Frame>; BATCH],
    frame_count: usize,
    tables: [Handle<Table>; BATCH],
    table_count: usize,
}

impl<'a, D: Design> Gather<'a, D> {
    /// Begins, for a range (`tlb_gather_mmu`).
    pub fn new(machine: &'a Machine<D>, mm: Handle<Mm>, start: u64, end: u64) -> Self {
        let pending = &machine.mm(mm).tlb_flush_pending;
        pending.add(site::TLB_GATHER_MMU__PENDING, 1);
        Self {
            machine,
            mm,
            whole: (start, end),
            start: u64::MAX,
            end: 0,
            frames: [Handle::NULL; BATCH],
            frame_count: 0,
            tables: [Handle::NULL; BATCH],
            table_count: 0,
        }
    }

    /// The address space.
    pub fn mm(&self) -> &'a Mm {
        self.machine.mm(self.mm)
    }

    /// An entry was cleared (`tlb_remove_tlb_entry`).
    pub fn cleared(&mut self, addr: u64) {
        self.start = self.start.min(addr);
        self.end = self.end.max(addr + 4096);
    }

    /// A frame's reference is to be put once no TLB maps it (`__tlb_remove_page`). Whether the batch is
    /// full: then it is to be flushed and freed before there is another.
    pub fn remove_page(&mut self, frame: Handle<Frame>) -> bool {
        self.frames[self.frame_count] = frame;
        self.frame_count += 1;
        self.frame_count == BATCH
    }

    /// A table is to be freed once no walker can be in it (`pte_free_tlb`).
    ///
    /// Deviation (N11): where 5.1 keeps a table's lock in memory of its own, it frees that here
    /// (`pgtable_page_dtor`), and the table after the flush. A speculative fault may be trying the
    /// lock. Here the two are one.
    pub fn free_table(&mut self, table: Ref<'_, Table>) {
        if self.table_count == BATCH {
            self.flush();
        }
        if defect!(self.machine, LockFreedEarly) {
            table.ptl_gone().init(true);
        }
        self.tables[self.table_count] = table.handle();
        self.table_count += 1;
        // Processors cache upper entries too: this needs an interrupt even if no page was mapped.
        self.start = 0;
        self.end = u64::MAX;
    }

    /// Flushes the TLBs and frees what was collected (`tlb_flush_mmu`).
    fn flush(&mut self) {
        self.flush_tlbs();
        self.free();
    }

    /// Flushes the TLBs (`tlb_flush_mmu_tlbonly`).
    pub fn flush_tlbs(&mut self) {
        if self.start < self.end {
            self.machine.flush_tlb_range(self.mm, self.start, self.end);
            (self.start, self.end) = (u64::MAX, 0);
        }
    }

    /// Frees what was collected, which no TLB maps any more (`tlb_flush_mmu_free`).
    pub fn free(&mut self) {
        for frame in &self.frames[..self.frame_count] {
            let frame = self.machine.frame(*frame);
            self.machine.put_page(site::TLB_FLUSH_MMU__PUT_PAGE, frame);
            self.machine.mark_done(StepKind::Put, frame.about());
        }
        for table in &self.tables[..self.table_count] {
            self.machine.free_table(self.machine.table(*table));
        }
        (self.frame_count, self.table_count) = (0, 0);
    }

    /// Ends (`tlb_finish_mmu`). Another task that goes over the address space may have cleared
    /// entries of the range and flushed nothing yet, so that they were missing here; whoever this
    /// returns to relies on their being gone (99baac21e458). What was collected is flushed with it:
    /// 5.1 forgets the tables then, mended in 5.2.
    pub fn finish(mut self) {
        let pending = &self.mm().tlb_flush_pending;
        let nested = pending.get(site::TLB_FINISH_MMU__PENDING) > 1;
        if nested && !defect!(self.machine, NestedFlushUnnoticed) {
            let (start, end) = self.whole;
            (self.start, self.end) = (self.start.min(start), self.end.max(end));
        }
        self.flush();
        pending.add(site::TLB_FINISH_MMU__DONE, 1u64.wrapping_neg());
    }
}

impl<D: Design> Machine<D> {
    /// Makes every processor that runs this address space forget a range (`flush_tlb_mm_range`): the
    /// task's own at once, then the others, which an interrupt reaches one after another. When it
    /// returns, no access by an older entry is under way.
    ///
    /// Deviation (flush-in-order): the others answer in the order of their numbers.
    pub fn flush_tlb_range(&self, mm: Handle<Mm>, start: u64, end: u64) {
        // Nobody interrupts anybody outside of a simulation, where flushes are seen as a whole.
        let me = sim::now().map(|now| usize::from(now.task));
        let runs = |task: &Task| task.live.peek() && task.mm.peek() == mm;
        let own = me.map(|me| (me, &self.tasks()[me]));
        if let Some((me, own)) = own.filter(|(_, own)| runs(own)) {
            own.flush(start, end);
            self.mark_flush(me, start, end, self.moment());
        }
        let mut others = 0;
        let mut late = 0u64;
        for (number, task) in self.tasks().iter().enumerate() {
            if me == Some(number) || !runs(task) {
                continue;
            }
            others += 1;
            if me.is_some() {
                task.interrupt(site::FLUSH_TLB__INTERRUPT);
                if !runs(task) {
                    continue;
                }
            }
            task.flush(start, end);
            match me.filter(|_| self.listens() && task.is_accessing()) {
                Some(me) => {
                    task.ask(me);
                    late |= 1 << number;
                }
                None => self.mark_flush(number, start, end, self.moment()),
            }
        }
        // The interrupt reaches each processor as soon as it has interrupts on.
        if others > usize::from(me.is_none()) || self.irqs.any_off() {
            self.irqs.broadcast(site::FLUSH_TLB__IPI);
        }
        for (number, task) in self.tasks().iter().enumerate() {
            if let Some(me) = me.filter(|_| late >> number & 1 != 0) {
                self.mark_flush(number, start, end, task.answered(me));
            }
        }
    }

    /// Tells that the flush of a range of a task's TLB took effect at `moment`: at the end of the access that
    /// was under way, if there was one.
    fn mark_flush(&self, task: usize, start: u64, end: u64, moment: u64) {
        let tlb = About::Tlb(TaskId(task as u8));
        self.mark_since(moment, StepKind::Flush, tlb, Told::Range { start, end });
    }

    /// The same for all of it (`flush_tlb_mm`).
    pub fn flush_tlb_mm(&self, mm: Handle<Mm>) {
        self.flush_tlb_range(mm, 0, u64::MAX);
    }

    /// The same for one page (`flush_tlb_page`).
    pub fn flush_tlb_page(&self, mm: Handle<Mm>, addr: u64) {
        let page = addr & !4095;
        self.flush_tlb_range(mm, page, page + 4096);
    }
}
