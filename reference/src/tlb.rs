//! What processors remember of page tables, and what faults have decided: kept only while calls
//! are driven, since a call that takes all its steps at once leaves neither.

use std::ops::Range;

use vmadiff_contract::{About, Choice, FileId, FrameId, PAGE_SIZE, TaskId};

use crate::guard::Guard;
use crate::page::{Dropped, Entry, Page};
use crate::world::World;

/// A fault that has decided and not yet written.
#[derive(Clone, Copy, Debug, Hash)]
pub(crate) struct Flight {
    pub m: usize,
    /// Its page.
    pub addr: u64,
    /// A writer's pass came over its entry.
    pub passed: bool,
    /// The file's page that it holds locked.
    pub page: Option<(FileId, u64)>,
    /// The file's page that it copies, and holds for that; none any more, once the file has dropped it.
    pub copied: Option<(FileId, u64)>,
}

/// A range whose tables a task keeps locked until it has flushed.
#[derive(Clone, Copy, Debug, Hash)]
pub(crate) struct TableLock {
    t: usize,
    m: usize,
    start: u64,
    end: u64,
}

impl World {
    /// What the task's TLB holds of a page.
    pub fn translation(&self, t: usize, addr: u64) -> Option<&Page> {
        self.tlbs.get(t)?.iter().find(|held| held.addr == addr)
    }

    /// Puts an entry into the running task's TLB.
    pub fn fill_tlb(&mut self, new: Page) {
        let tlb = &mut self.tlbs[self.now];
        tlb.retain(|held| held.addr != new.addr);
        tlb.push(new);
        tlb.sort_unstable_by_key(|held| held.addr);
    }

    /// Whether the table has no such entry any more, or one with fewer rights.
    fn is_stale(&self, m: usize, held: &Page) -> bool {
        let Ok(at) = self.page_at(m, held.addr) else {
            return true;
        };
        let now = &self.mms[m].pages[at];
        let fewer = held.readable && !now.readable
            || held.writable && !now.writable
            || held.executable && !now.executable;
        now.entry != held.entry || now.hinting || now.clearing || fewer
    }

    /// Whether the table has this entry yet, and only stores are not let through any more.
    fn is_only_protected(&self, m: usize, held: &Page) -> bool {
        let now = self.page_at(m, held.addr).map(|at| self.mms[m].pages[at]);
        now.is_ok_and(|now| {
            let protected = Page {
                writable: false,
                ..*held
            };
            now == protected
        })
    }

    /// The tasks of an address space whose TLBs hold something of a range that the tables have no
    /// more: what the running call took from them, and what another has taken and not flushed yet
    /// (`mm_tlb_flush_nested`). What is still there may be in a TLB at any time. What fork has
    /// write-protected is its own to flush (`flush_tlb_mm`, which counts as no pending flush).
    fn stale(&self, m: usize, start: u64, end: u64) -> impl Iterator<Item = usize> {
        let forks = self.mms[m].copying.is_some_and(|t| t != self.now);
        let of = move |held: &Page| {
            start <= held.addr
                && held.addr < end
                && self.is_stale(m, held)
                && !(forks && self.is_only_protected(m, held))
        };
        (0..self.tlbs.len()).filter(move |&t| self.tasks[t].mm == m && self.tlbs[t].iter().any(&of))
    }

    /// The tasks that the running task's flush of a range has yet to reach. One that was reached
    /// and has read an entry since then has read the one that is there.
    fn unreached(&self, m: usize, start: u64, end: u64) -> impl Iterator<Item = usize> {
        let reached = self.flushed.get(self.now).copied().unwrap_or(0);
        self.stale(m, start, end)
            .filter(move |t| reached & 1 << t == 0)
    }

    /// Whether a TLB is left to be flushed of a range; if none is, the flush is done.
    pub fn has_to_flush(&mut self, m: usize, start: u64, end: u64) -> bool {
        let more = self.unreached(m, start, end).next().is_some();
        if let Some(reached) = self.flushed.get_mut(self.now).filter(|_| !more) {
            *reached = 0;
        }
        more
    }

    /// Flushes a range from one TLB: the chosen one, or the first that is left.
    pub fn flush(&mut self, m: usize, start: u64, end: u64) {
        let chosen = self.whose.take().map(|task| usize::from(task.0) - 1);
        let Some(t) = chosen.or_else(|| self.unreached(m, start, end).next()) else {
            return;
        };
        let mut tlb = std::mem::take(&mut self.tlbs[t]);
        tlb.retain(|held| held.addr < start || end <= held.addr || !self.is_stale(m, held));
        self.tlbs[t] = tlb;
        self.flushed[self.now] |= 1 << t;
        self.about(About::Tlb(TaskId(t as u8 + 1)));
    }

    /// How many pages of a range a TLB holds that the tables have no more.
    pub fn stale_in(&self, task: TaskId, start: u64, end: u64) -> usize {
        let Some(t) = self.living(task) else { return 0 };
        let (tlb, m) = (&self.tlbs[t], self.tasks[t].mm);
        let within = tlb.iter().filter(|it| start <= it.addr && it.addr < end);
        within.filter(|held| self.is_stale(m, held)).count()
    }

    /// A TLB forgets what it holds of a range and the tables have as well: nobody can see that.
    pub fn forget(&mut self, task: TaskId, start: u64, end: u64) {
        let Some(t) = self.living(task) else { return };
        let m = self.tasks[t].mm;
        let mut tlb = std::mem::take(&mut self.tlbs[t]);
        tlb.retain(|held| held.addr < start || end <= held.addr || self.is_stale(m, held));
        self.tlbs[t] = tlb;
    }

    /// A task's flush has come by a TLB, whatever that held: what it reads from there on is not for this flush.
    pub fn has_reached(&mut self, by: TaskId, task: TaskId) {
        if let (Some(by), Some(t)) = (self.living(by), self.living(task)) {
            self.flushed[by] |= 1 << t;
        }
    }

    /// Whose TLBs are left to be flushed: which comes next can be chosen.
    pub fn whose(&self, m: usize, start: u64, end: u64, into: &mut Vec<Choice>) {
        let left = self.unreached(m, start, end);
        into.extend(left.map(|t| Choice::Of(TaskId(t as u8 + 1))));
    }

    /// What a walk over areas or entries comes to next, if it has more than one place left: address
    /// spaces with addresses.
    pub fn which(&self, left: impl Iterator<Item = (usize, u64)>, into: &mut Vec<Choice>) {
        let first = into.len();
        into.extend(left.map(|(m, addr)| Choice::At {
            mm: self.mms[m].id,
            addr,
        }));
        if into.len() == first + 1 {
            into.pop();
        }
    }

    /// The place that was chosen, by address space.
    pub fn chosen_place(&self) -> Option<(usize, u64)> {
        match self.choice {
            Choice::At { mm, addr } => Some((usize::from(mm.0) - 1, addr)),
            _ => None,
        }
    }

    /// Whether a TLB may still store to a frame.
    pub fn may_store(&self, frame: FrameId) -> bool {
        let held = self.tlbs.iter().flatten();
        held.into_iter()
            .any(|held| held.writable && held.entry == Entry::Anon(frame))
    }

    /// A file is about to drop pages: TLBs that have them yet, since munmap takes areas out of the file's
    /// tree before it flushes, keep them as they are, and who copies one has to see that it is another's
    /// place now (section 24).
    pub fn keep_dropped(&mut self, file: FileId, pages: &Range<u64>) {
        let (before, contents) = (self.dropped.len(), &self.files[file.0 as usize - 1]);
        for held in self.tlbs.iter_mut().flatten() {
            let Entry::File(id, index) = held.entry else {
                continue;
            };
            if id != file || held.dropped.is_some() || !pages.contains(&index) {
                continue;
            }
            let same = self.dropped[before..]
                .iter()
                .position(|it| it.index == index);
            let place = before + same.unwrap_or(self.dropped.len() - before);
            if same.is_none() {
                let bytes = contents.page(index);
                self.dropped.push(Dropped { index, bytes });
            }
            held.dropped = Some(place as u32);
        }
        for flight in self.flights.iter_mut().flatten() {
            let goes = |&(id, index): &(FileId, u64)| id == file && pages.contains(&index);
            flight.copied = flight.copied.filter(|page| !goes(page));
        }
    }

    /// The running task's fault copies a file's page (`get_page`).
    pub fn hold_copied(&mut self, file: FileId, index: u64) {
        if let Some(flight) = self.flights.get_mut(self.now).and_then(Option::as_mut) {
            flight.copied = Some((file, index));
        }
    }

    /// Whether an entry of a file's page is still that of the page that the running task's fault copies.
    pub fn is_copied(&self, entry: Entry) -> bool {
        let Entry::File(file, index) = entry else {
            return true;
        };
        let flight = self.flights.get(self.now).copied().flatten();
        flight.is_none_or(|flight| flight.copied == Some((file, index)))
    }

    /// Notes that the running task's fault has decided about a page.
    pub fn take_off(&mut self, m: usize, addr: u64) {
        if self.driven {
            let (passed, page, copied) = (false, None, None);
            self.flights[self.now] = Some(Flight {
                m,
                addr,
                passed,
                page,
                copied,
            });
        }
    }

    /// Forgets it: the fault has written its entry, or begins again.
    pub fn land(&mut self) {
        if self.driven {
            self.flights[self.now] = None;
        }
    }

    /// Whether a writer's pass came over the running task's fault.
    pub fn was_passed(&self) -> bool {
        self.driven && self.flights[self.now].is_some_and(|flight| flight.passed)
    }

    /// Where one step of a pass over a range ends: behind the first entry or fault of it, and not
    /// beyond what the driver asked for. Without others about it passes over all at once.
    pub fn next_stop(&self, m: usize, at: u64, end: u64) -> u64 {
        if !self.driven {
            return end;
        }
        let first = self.first_in(m, at, end);
        let stop = first.map_or(end, |addr| addr + PAGE_SIZE);
        if at < self.upto {
            stop.min(self.upto)
        } else {
            stop
        }
    }

    /// The first address of a range with an entry, or with a fault that has decided about it.
    pub fn first_in(&self, m: usize, start: u64, end: u64) -> Option<u64> {
        let mm = &self.mms[m];
        let at = mm.pages.partition_point(|page| page.addr < start);
        let entry = mm.pages.get(at).map(|page| page.addr);
        let entry = entry.filter(|&addr| addr < end);
        let faults = self.flights.iter().flatten();
        let faults = faults.filter(|it| it.m == m && start <= it.addr && it.addr < end);
        entry.into_iter().chain(faults.map(|it| it.addr)).min()
    }

    /// What the next step of a pass has to wait for: a table that another call keeps locked.
    pub fn cleared_in(&self, m: usize, at: u64, end: u64) -> Option<Guard> {
        let (mm, stop) = (&self.mms[m], self.next_stop(m, at, end));
        let clearing = mm.pages[mm.pages_in(at, stop)]
            .iter()
            .any(|page| page.clearing);
        self.wait_if(Guard::TableLock, clearing || self.is_locked_in(m, at, stop))
    }

    /// Whether another call keeps the table of a page of this range locked.
    pub fn is_locked_in(&self, m: usize, start: u64, end: u64) -> bool {
        let others = |lock: &&TableLock| lock.t != self.now && lock.m == m;
        let mut locks = self.tables.iter().filter(others);
        locks.any(|lock| lock.start < end && start < lock.end)
    }

    /// Keeps the tables of a range locked.
    pub fn lock_tables(&mut self, m: usize, start: u64, end: u64) {
        if self.driven {
            let t = self.now;
            self.tables.push(TableLock { t, m, start, end });
        }
    }

    /// Unlocks all tables that the running task has locked.
    pub fn unlock_tables(&mut self) {
        let now = self.now;
        self.tables.retain(|lock| lock.t != now);
    }

    /// A pass goes over a stretch; a writer's is what faults have to ask about.
    pub fn pass_over(&mut self, m: usize, start: u64, end: u64, writer: bool) {
        if !self.driven {
            return;
        }
        let mm = self.mms[m].id;
        self.about(About::Range { mm, start, end });
        if let Some(addr) = self.mms[m].pages_in(start, end).last() {
            self.about_entry(m, self.mms[m].pages[addr].addr);
        }
        self.fly_over(m, start, end, writer);
    }

    /// A writer goes over a stretch: faults that have decided about its entries do not write.
    pub fn fly_over(&mut self, m: usize, start: u64, end: u64, writer: bool) {
        for flight in self.flights.iter_mut().flatten() {
            if flight.m == m && start <= flight.addr && flight.addr < end {
                flight.passed |= writer;
            }
        }
    }
}
