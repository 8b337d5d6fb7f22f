//! The machine: tasks, address spaces and all that they share. Everything lives in vectors by
//! ordinal, so that names are places and a reset keeps the memory.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use vmadiff_contract::{
    About, Choice, Config, Errno, Event, EventSink, Fail, FrameId, Misuse, MmId, Note, Outcome,
    PAGE_SIZE, PolicyId, Resource, TaskId, VmaId,
};

use crate::anon::Anon;
use crate::area::{Area, is_aligned, page_down};
use crate::file::File;
use crate::job::Frame as ListFrame;
use crate::kept::Kept;
use crate::mm::Mm;
use crate::page::{Dropped, Frame, Page, Slot};
use crate::policy::Policy;
use crate::stack::Growing;
use crate::tlb::{Flight, TableLock};
use crate::watched::Watched;
use crate::zap::Zap;

/// What a system call answers.
pub(crate) type Answer<T = u64> = Result<T, Errno>;

/// An allocation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoMemory;

impl From<NoMemory> for Errno {
    fn from(NoMemory: NoMemory) -> Self {
        Self::ENOMEM
    }
}

/// A task, living or dead.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Task {
    /// Its address space, by place.
    pub mm: usize,
    pub alive: bool,
    pub minor: u64,
    pub major: u64,
    pub policy: Option<PolicyId>,
}

/// Everything.
#[derive(Clone)]
pub(crate) struct World {
    pub config: Config,
    events: Arc<dyn EventSink>,
    /// By number less one; the dead stay.
    pub tasks: Vec<Task>,
    /// By number less one; the dead stay.
    pub mms: Vec<Mm>,
    /// Empty address spaces of before the last reset.
    spare_mms: Kept<Mm>,
    pub anons: Vec<Anon>,
    pub live_anons: u64,
    pub files: Watched<Vec<File>>,
    /// Memory of the contents of files that a reset has forgotten.
    pub spare_bytes: Kept<Vec<(u64, u8)>>,
    pub policies: Vec<Policy>,
    pub frames: Watched<Vec<Frame>>,
    pub slots: Watched<Vec<Slot>>,
    /// Frames and slots that something refers to.
    pub live_frames: u64,
    /// `vm_committed_as`, pages.
    pub committed: u64,
    /// VMAs allocated so far.
    vmas: u32,
    /// Which allocation of the running call fails, and how many it has made.
    pub fail: Fail,
    pub made: u32,
    /// Room for the areas that a munmap takes out, kept between calls.
    pub detached: Vec<Area>,
    /// The task whose step runs, by place.
    pub now: usize,
    /// A list that the running step calls, and what the one that was called came to.
    pub called: Vec<ListFrame>,
    pub returned: Outcome,
    /// Calls are driven step by step: TLBs are kept, and faults noted that have decided.
    pub driven: bool,
    /// Guards that a test has switched off, a bit each.
    pub off: u32,
    /// The way that the running step goes, and whose TLB it flushes.
    pub choice: Choice,
    pub whose: Option<TaskId>,
    /// Whether the running step's allocation fails is chosen, not counted.
    pub chosen: bool,
    /// Another call is or was under way beside the running one.
    pub beside: bool,
    /// What the running step is about.
    pub touched: Vec<About>,
    /// The step taken last refused what was asked.
    pub refused: bool,
    /// It left the entry that it was about as it was.
    pub left_alone: bool,
    /// A fault has begun again.
    pub restarted: bool,
    /// Frames that a task's last step has taken an entry of.
    pub letting_go: Vec<(usize, FrameId)>,
    /// Pages of which reclaim has put an entry back, with the tasks, a bit each, that have taken no step since.
    pub put_back: Vec<(u64, FrameId)>,
    /// Pages that the running step has charged, was refused, and has yet to give back.
    pub overcharged: u64,
    /// A pass goes no further than this address in one step.
    pub upto: u64,
    /// By task.
    pub tlbs: Vec<Vec<Page>>,
    /// By task: whose TLBs its running flush has reached, a bit each.
    pub flushed: Vec<u64>,
    /// Pages that TLBs had when their files dropped them.
    pub dropped: Vec<Dropped>,
    pub flights: Vec<Option<Flight>>,
    pub tables: Vec<TableLock>,
    /// Areas that were taken out and whose entries are not, by address space.
    pub detaching: Vec<(usize, Area)>,
    /// Zaps that have passed and not flushed yet, by task.
    pub gathers: Vec<(usize, Zap)>,
    /// Stacks for whose growth a task has charged, with the anon_vma's lock until they have grown.
    pub growing: Vec<Growing>,
    /// Tasks that count the pages of a stack under the page_table_lock of an address space.
    pub counting: Vec<(usize, usize)>,
    /// What went wrong with a frame.
    pub misuse: Option<Misuse>,
}

impl World {
    /// A machine that was not booted.
    pub fn new(events: Arc<dyn EventSink>) -> Self {
        Self {
            config: Config::default(),
            events,
            tasks: Vec::new(),
            mms: Vec::new(),
            spare_mms: Kept::default(),
            anons: Vec::new(),
            live_anons: 0,
            files: Watched::default(),
            spare_bytes: Kept::default(),
            policies: Vec::new(),
            frames: Watched::default(),
            slots: Watched::default(),
            live_frames: 0,
            committed: 0,
            vmas: 0,
            fail: Fail::NONE,
            made: 0,
            detached: Vec::new(),
            now: 0,
            called: Vec::new(),
            returned: Outcome::Value(0),
            driven: false,
            off: 0,
            choice: Choice::Go,
            whose: None,
            chosen: false,
            beside: false,
            touched: Vec::new(),
            refused: false,
            left_alone: false,
            restarted: false,
            letting_go: Vec::new(),
            put_back: Vec::new(),
            overcharged: 0,
            upto: u64::MAX,
            tlbs: Vec::new(),
            flushed: Vec::new(),
            dropped: Vec::new(),
            flights: Vec::new(),
            tables: Vec::new(),
            detaching: Vec::new(),
            gathers: Vec::new(),
            growing: Vec::new(),
            counting: Vec::new(),
            misuse: None,
        }
    }

    /// Forgets everything and boots: `config.tasks` threads of one empty address space.
    ///
    /// A configuration that no machine could have is made into one: addresses rounded down to
    /// pages, `task_size` at most 2^47 − 4096, at least one task and one node.
    pub fn boot(&mut self, config: &Config) {
        self.config.clone_from(config);
        let config = &mut self.config;
        config.tasks = config.tasks.clamp(1, 8);
        config.nodes = config.nodes.clamp(1, 64);
        config.task_size = page_down(config.task_size.min((1 << 47) - PAGE_SIZE));
        config.mmap_base = page_down(config.mmap_base);
        config.start_brk = page_down(config.start_brk);
        let (tasks, brk) = (config.tasks, config.start_brk);
        self.tasks.clear();
        self.anons.clear();
        self.forget_files();
        self.policies.clear();
        self.frames.clear();
        self.slots.clear();
        // Emptied now, and not when one is next used: a run takes the same steps whatever was before it.
        // The first one is the next to be used.
        let mms = self.mms.drain(..).rev().map(|mut mm| {
            mm.clear(mm.id);
            mm
        });
        self.spare_mms.extend(mms);
        (self.live_anons, self.live_frames, self.committed) = (0, 0, 0);
        (self.vmas, self.fail, self.made) = (0, Fail::NONE, 0);
        let mm = self.new_mm();
        self.mms[mm].brk = brk;
        self.mms[mm].users = u32::from(tasks);
        self.tasks.extend((0..tasks).map(|_| Task::new(mm)));
        (self.driven, self.misuse) = (false, None);
        self.tlbs.clear();
        self.flushed.clear();
        self.dropped.clear();
        self.flights.clear();
        self.tables.clear();
        self.detaching.clear();
        self.gathers.clear();
        self.growing.clear();
        self.counting.clear();
        // What a step of a call that never ended was about.
        self.letting_go.clear();
        self.put_back.clear();
    }

    /// A living task, by place.
    pub fn living(&self, task: TaskId) -> Option<usize> {
        let t = usize::from(task.0).wrapping_sub(1);
        self.tasks.get(t).filter(|task| task.alive).map(|_| t)
    }

    /// Counts a served fault for the running task.
    pub fn count_fault(&mut self, major: bool) {
        let task = &mut self.tasks[self.now];
        if major {
            task.major += 1;
        } else {
            task.minor += 1;
        }
        self.note(Note::Classic);
    }

    /// A new address space without users, by place.
    pub fn new_mm(&mut self) -> usize {
        let place = self.mms.len();
        let mut mm = self.spare_mms.pop().unwrap_or_default();
        mm.id = MmId(place as u8 + 1);
        self.mms.push(mm);
        place
    }

    /// Address spaces and contents of files of earlier programs whose memory is kept.
    #[cfg(test)]
    pub fn kept(&self) -> usize {
        self.spare_mms.len() + self.spare_bytes.len()
    }

    /// Says what happened.
    pub fn raise(&self, event: Event) {
        self.events.event(event);
    }

    /// Says what happened on the way.
    pub fn note(&self, note: Note) {
        self.raise(Event::Note(note));
    }

    /// Starts a call of task `t` that takes all its steps at once.
    pub fn begin(&mut self, t: usize, fail: Fail) {
        (self.now, self.fail, self.made) = (t, fail, 0);
    }

    /// The allocation of a step that may be tried again can be chosen to fail, once, in a call
    /// that was begun with a failing one.
    pub fn may_fail(&self, into: &mut Vec<Choice>) {
        if self.fail != Fail::NONE {
            into.push(Choice::Fail);
        }
    }

    /// Counts an allocation: an area, an anon_vma, a link of a clone, a policy or a frame
    /// (section 29).
    pub fn allocate(&mut self) -> Result<(), NoMemory> {
        self.made += 1;
        let fails = if self.chosen {
            self.choice == Choice::Fail
        } else {
            self.made == u32::from(self.fail.0)
        };
        self.refused |= fails;
        if fails { Err(NoMemory) } else { Ok(()) }
    }

    /// Allocates an area and names it.
    pub fn alloc_vma(&mut self, copy_of: Option<VmaId>) -> Result<VmaId, NoMemory> {
        self.allocate()?;
        self.vmas += 1;
        let vma = VmaId(self.vmas);
        self.raise(Event::VmaAlloc { vma, copy_of });
        Ok(vma)
    }

    /// Puts an area into its address space at its place in the order.
    pub fn link(&mut self, m: usize, i: usize, area: Area) {
        self.raise(Event::VmaLink {
            vma: area.id,
            mm: self.mms[m].id,
        });
        self.about(About::Area(area.id));
        self.about(About::Areas(self.mms[m].id));
        self.mms[m].areas.insert(i, area);
    }

    /// Whether this address space has as many areas as it may, or more (section 14).
    pub fn map_is_full(&self, m: usize) -> bool {
        self.mms[m].areas.len() as u64 >= u64::from(self.config.max_map_count)
    }

    /// Whether it has more than it may: what mmap and brk ask (section 14).
    pub fn map_is_overfull(&self, m: usize) -> bool {
        self.mms[m].areas.len() as u64 > u64::from(self.config.max_map_count)
    }

    /// Charges pages to the commit limit, whose reaching refuses (section 18, overcommit).
    pub fn charge(&mut self, pages: u64) -> Result<(), NoMemory> {
        if pages == 0 {
            return Ok(());
        }
        let limit = self.config.commit_limit;
        if limit != u64::MAX && self.committed + pages >= limit {
            if self.driven {
                // It is charged before it is asked whether that is too much.
                self.committed += pages;
                self.overcharged += pages;
            }
            self.about(About::Committed);
            return Err(NoMemory);
        }
        self.committed += pages;
        self.about(About::Committed);
        Ok(())
    }

    /// Gives a charge back after a refusal or with an object's last reference: a step of its own, which
    /// comes next (`vm_unacct_memory`, a counter).
    pub fn give_back(&mut self, pages: u64) {
        if self.driven {
            self.overcharged += pages;
        } else {
            self.uncharge(pages);
        }
    }

    /// Gives a charge back.
    pub fn uncharge(&mut self, pages: u64) {
        if pages > 0 {
            self.committed -= pages;
            self.about(About::Committed);
        }
    }

    /// Whether MAP_NORESERVE counts: not where overcommit is strict (section 18).
    pub fn honours_noreserve(&self) -> bool {
        self.config.commit_limit == u64::MAX
    }

    /// Whether RLIMIT_MEMLOCK lets a task lock anything (`can_do_mlock`).
    pub fn may_lock(&self, m: usize) -> bool {
        self.soft_limit(m, Resource::MemLock) != 0 || self.config.cap_ipc_lock
    }

    /// Whether so many locked pages exceed RLIMIT_MEMLOCK.
    pub fn locks_too_much(&self, m: usize, pages: u64) -> bool {
        pages > self.soft_limit(m, Resource::MemLock) / PAGE_SIZE && !self.config.cap_ipc_lock
    }

    /// Bytes that stay free below a stack.
    pub fn guard(&self) -> u64 {
        self.config.stack_guard_gap.saturating_mul(PAGE_SIZE)
    }

    /// An unaligned start is what most calls refuse first.
    pub fn aligned(addr: u64) -> Answer<()> {
        if is_aligned(addr) {
            Ok(())
        } else {
            Err(Errno::EINVAL)
        }
    }
}

impl Hash for World {
    /// What steps depend on. Configuration and guards stay as they are; what is kept for reuse
    /// and what the running step is about do not count.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.tasks.hash(state);
        self.mms.hash(state);
        (&self.anons, self.live_anons, &self.files, &self.policies).hash(state);
        (
            &self.frames,
            &self.slots,
            self.live_frames,
            self.committed,
            self.vmas,
        )
            .hash(state);
        (
            &self.tlbs,
            (&self.flushed, &self.dropped),
            &self.flights,
            &self.tables,
            &self.detaching,
            &self.gathers,
            (&self.growing, &self.counting),
            (&self.letting_go, &self.put_back),
            self.misuse,
        )
            .hash(state);
    }
}

impl Task {
    /// A task that has not done anything.
    pub fn new(mm: usize) -> Self {
        Self {
            mm,
            alive: true,
            minor: 0,
            major: 0,
            policy: None,
        }
    }
}
