//! The simulation: many logical threads on one OS thread, switched where a policy says.

mod books;
#[allow(unsafe_code)]
pub(crate) mod current;
mod desk;
mod objects;
mod run;
#[allow(unsafe_code)]
mod thread;
mod trace;

use std::cell::Cell;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::policy::Policy;
use crate::{Site, SiteInfo};
use books::Books;
use run::Run;
use thread::{Fibers, Panic, Threads};
pub use trace::{Blocked, End, Left, Leftover, Step, Trace, What};

/// Tasks are numbered from 1 to this.
pub const TASKS: usize = 16;

/// The number of the pseudo-thread that runs RCU callbacks.
pub const SOFTIRQ: u8 = 0;

static START: Site = &SiteInfo::new("run.start");
pub(crate) static BEGIN: Site = &SiteInfo::new("call.begin");
static END: Site = &SiteInfo::new("call.end");
static EXIT: Site = &SiteInfo::new("task.exit");
pub(crate) static SOFTIRQ_WAIT: Site = &SiteInfo::new("softirq.wait");

/// The sites of the simulation itself. Task 0 passes `run.start` once, before anything else.
pub static SITES: &[Site] = &[
    &SiteInfo::new("run.start"),
    &SiteInfo::new("call.begin"),
    &SiteInfo::new("call.end"),
    &SiteInfo::new("task.exit"),
    &SiteInfo::new("softirq.wait"),
];

/// Bytes of a logical thread's stack, unless told otherwise: enough for a candidate built without
/// optimisation, and touched only as far as it is used.
const STACK_SIZE: usize = 256 << 10;

/// Scheduling points in which nothing takes effect, unless told otherwise: far more than the longest
/// part of a call needs, which takes out a whole table's pages.
const LIMIT: u32 = 100_000;

/// A call of a program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Planned {
    /// Who makes it, from 1 to [`TASKS`].
    pub task: u8,
    /// It may make new tasks.
    pub forks: bool,
    /// It does not begin before all earlier calls that may make tasks have returned: its task may
    /// be one of theirs.
    pub after_forks: bool,
}

impl Planned {
    /// A plain call of this task.
    pub const fn by(task: u8) -> Self {
        Self {
            task,
            forks: false,
            after_forks: false,
        }
    }
}

/// What runs.
#[derive(Clone, Copy)]
pub struct Plan<'a> {
    /// The calls in program order; a call's number is its index. The calls of one task follow one
    /// another; calls of different tasks overlap as the policy says.
    pub calls: &'a [Planned],
    /// Makes a call: given the task and the number of the call. Panics reach the caller of
    /// [`Sim::run`].
    pub body: &'a dyn Fn(u8, u32),
    /// Runs one or more callbacks that are ready; none: nobody does while calls run.
    pub softirq: Option<&'a dyn Fn()>,
    /// Callbacks that were queued before the run and still wait.
    pub waiting: usize,
    /// Counts which write met which read of another task: each pair of sites has a counter, by a
    /// hash. A fuzzing engine takes them for coverage.
    pub pairs: Option<&'a [Cell<u8>]>,
    /// Called at each mark, once the trace has it, for whoever wants to look at the state then. It
    /// is no place for accesses that are scheduled.
    pub marked: Option<&'a dyn Fn()>,
    /// The trace has what words held when they were read and written, too.
    pub values: bool,
    /// Scheduling points without a mark after which the run is given up.
    pub limit: u32,
}

impl<'a> Plan<'a> {
    /// These calls, without a softirq.
    pub fn new(calls: &'a [Planned], body: &'a dyn Fn(u8, u32)) -> Self {
        Self {
            calls,
            body,
            softirq: None,
            waiting: 0,
            pairs: None,
            marked: None,
            values: false,
            limit: LIMIT,
        }
    }

    /// The task's next call after this one.
    fn next_call(&self, task: u8, call: u32) -> Option<u32> {
        let later = &self.calls[call as usize + 1..];
        let ahead = later.iter().position(|planned| planned.task == task)?;
        Some(call + 1 + ahead as u32)
    }

    /// Whether the call must not begin yet, since an earlier one may still make its task.
    fn awaits_fork(&self, call: u32, ended: &[bool]) -> bool {
        let call = call as usize;
        self.calls[call].after_forks
            && (0..call).any(|earlier| self.calls[earlier].forks && !ended[earlier])
    }
}

/// Where the current simulation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Who runs; 0 is the softirq.
    pub task: u8,
    /// In which call; none: the softirq.
    pub call: Option<u32>,
    /// How many steps the trace has: the index of the next one.
    pub step: usize,
}

/// Where the simulation stands that the caller is a thread of. None: it is of none, or of one that
/// is over and being cleaned up.
#[expect(clippy::redundant_closure_for_method_calls)] // a path is not general enough
pub fn now() -> Option<Now> {
    current::with(|run| run.now()).flatten()
}

/// Runs plans. It keeps coroutines and books from run to run, so make one and use it again.
pub struct Sim {
    books: Box<Books>,
    fibers: Fibers,
}

impl Default for Sim {
    fn default() -> Self {
        Self::new()
    }
}

impl Sim {
    /// A simulation with stacks of 256 KiB.
    pub fn new() -> Self {
        Self::with_stack_size(STACK_SIZE)
    }

    /// A simulation with stacks of this many bytes.
    pub fn with_stack_size(bytes: usize) -> Self {
        Self {
            books: Box::new(Books::new()),
            fibers: Fibers::new(bytes),
        }
    }

    /// Runs all calls of the plan, interleaved as the policy says, until each has returned or
    /// nothing can move. The same plan, policy and state give the same trace, always.
    ///
    /// Threads that cannot finish are unwound: their destructors run, and accesses in them are no
    /// scheduling points. What they worked on must then be thrown away.
    ///
    /// # Panics
    /// With what a call panicked with; if a task's number is none; inside of another simulation.
    pub fn run(&mut self, plan: &Plan<'_>, policy: &mut dyn Policy) -> &Trace {
        let known = |call: &Planned| (1..=TASKS).contains(&usize::from(call.task));
        assert!(plan.calls.iter().all(known), "tasks are 1 to {TASKS}");
        self.books.open(plan, fresh_clock());
        policy.begin();
        let run = Run::new(&mut self.books, plan, policy);
        let threads = Threads::new(&run, &mut self.fibers);
        let panic = current::enter(&run, || weave(&run, threads));
        run.report();
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
        &self.books.trace
    }

    /// The trace of the last run.
    pub fn trace(&self) -> &Trace {
        &self.books.trace
    }

    /// Gives the trace of the last run away and takes another, whose memory the next run uses.
    pub fn swap_trace(&mut self, trace: &mut Trace) {
        std::mem::swap(&mut self.books.trace, trace);
    }
}

/// Lets the threads run in turn until nobody is left to; what one panicked with, if one did.
fn weave(run: &Run<'_>, mut threads: Threads<'_, '_>) -> Option<Panic> {
    let mut next = run.first();
    let mut panic = None;
    while let Some(task) = next {
        run.switch_to(task);
        if let Err(payload) = threads.resume(task) {
            panic = Some(payload);
            break;
        }
        next = run.next();
    }
    let finished = run.stop();
    if panic.is_none() && finished && threads.is_suspended(SOFTIRQ) {
        // It waits for callbacks that no longer matter, and leaves when told that it is over.
        panic = threads.resume(SOFTIRQ).err();
    }
    let unwound = threads.unwind();
    panic.or(unwound.err())
}

/// A moment later than any of all runs before, also of other simulations: a callback that one run
/// leaves behind is ready in the next.
fn fresh_clock() -> u64 {
    static RUNS: AtomicU64 = AtomicU64::new(1);
    RUNS.fetch_add(1, Relaxed) << 32
}
