//! Collecting what was unmapped until no TLB can reach it (`mmu_gather`).

use crate::core::machine::Machine;
use crate::core::mm::Mm;
use crate::core::slab::{Handle, Ref};
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
    start: u64,
    end: u64,
    frames: [Handle<Frame>; BATCH],
    frame_count: usize,
    tables: [Handle<Table>; BATCH],
    table_count: usize,
}

impl<'a, D: Design> Gather<'a, D> {
    /// Begins (`tlb_gather_mmu`).
    pub fn new(machine: &'a Machine<D>, mm: Handle<Mm>) -> Self {
        Self {
            machine,
            mm,
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

    /// A frame's reference is to be put once no TLB maps it (`tlb_remove_page`).
    pub fn remove_page(&mut self, frame: Handle<Frame>) {
        if self.frame_count == BATCH {
            self.flush();
        }
        self.frames[self.frame_count] = frame;
        self.frame_count += 1;
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
        if self.start < self.end {
            self.machine.flush_tlb_range(self.mm, self.start, self.end);
            (self.start, self.end) = (u64::MAX, 0);
        }
        for frame in &self.frames[..self.frame_count] {
            let frame = self.machine.frame(*frame);
            self.machine.put_page(site::TLB_FLUSH_MMU__PUT_PAGE, frame);
        }
        for table in &self.tables[..self.table_count] {
            self.machine.free_table(self.machine.table(*table));
        }
        (self.frame_count, self.table_count) = (0, 0);
    }

    /// Ends (`tlb_finish_mmu`).
    ///
    /// Deviation (no-pending-flush): whether others have cleared and not yet flushed is not asked.
    pub fn finish(mut self) {
        self.flush();
    }
}

impl<D: Design> Machine<D> {
    /// Makes every processor that runs this address space forget a range (`flush_tlb_mm_range`).
    /// When it returns, no access by an older entry is under way.
    ///
    /// Deviation (flush-at-once): every TLB is emptied in one step.
    pub fn flush_tlb_range(&self, mm: Handle<Mm>, start: u64, end: u64) {
        let mut processors = 0;
        for task in self.tasks_of(mm) {
            task.flush(start, end);
            processors += 1;
        }
        // The interrupt reaches each processor as soon as it has interrupts on.
        if processors > 1 || self.irqs.any_off() {
            self.irqs.broadcast(site::FLUSH_TLB__IPI);
        }
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
