//! Steps: the vocabulary in which a judge follows a race. Data, and the trait by which a manager
//! that knows its own steps is driven through them.
//!
//! A call is a list of steps, each atomic in Linux by the lock that is held or the single access
//! that it is. `docs/steps.md` has the list of every call.

use crate::{
    AnonId, Call, Config, Fail, Fd, FileId, FrameId, MmId, Outcome, PageState, PolicyId, Snapshot,
    TaskId, VmFlags, VmaId,
};

macro_rules! steps {
    ($($(#[$doc:meta])* $name:literal $kind:ident,)*) => {
        /// What a step does. Where a step is about an object, [`About`] says which.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum StepKind { $($(#[$doc])* $kind,)* }

        impl StepKind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// The name in lists and reports.
            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => $name),* }
            }
        }
    };
}

steps! {
    /// Looks a descriptor up, enters or removes one, or copies them all.
    "descriptor" Descriptor,
    /// Reads what decides: an area and its flags, a limit, whether there is a number left.
    "decide" Decide,
    /// Charges pages to the commit limit.
    "charge" Charge,
    /// Gives a charge back.
    "uncharge" Uncharge,
    /// Changes plain counters of an address space (`total_vm`, `locked_vm` and their like).
    "count" Count,
    /// Takes a number: of a task, of an address space.
    "number" Number,
    /// Allocates an object that nobody else sees yet.
    "allocate" Allocate,
    /// Cuts an area in two.
    "cut" Cut,
    /// Makes a range part of its neighbours.
    "merge" Merge,
    /// Puts an area into its address space.
    "link" Link,
    /// Takes areas out of their address space.
    "detach" Detach,
    /// Moves an end of an area: a heap, a stack, an mremap that grows in place.
    "resize" Resize,
    /// Writes an area's flags.
    "flags" Flags,
    /// Replaces an area's or a task's policy.
    "policy" Policy,
    /// Passes over one entry and the stretch without entries before it.
    "pass" Pass,
    /// Writes one entry, which is still as it was read.
    "entry" Entry,
    /// The processor reads an entry, for an access.
    "walk" Walk,
    /// The processor makes an access by an entry that it has read.
    "touch" Touch,
    /// Copies the contents of a page.
    "copy" Copy,
    /// Flushes a range from one task's TLB.
    "flush" Flush,
    /// Gives an area an anon_vma, or a copy its links.
    "anon" Anon,
    /// Takes an area out of its anon_vmas.
    "unlink" Unlink,
    /// Puts references or frees objects.
    "put" Put,
    /// Sets a file's size.
    "size" Size,
    /// Drops contents of a file.
    "drop" Drop,
    /// The call answers.
    "return" Return,
}

/// What a step reads or writes that others can see: its footprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum About {
    /// The counters of an address space.
    Counters(MmId),
    /// The set of areas of an address space: one entered or left it.
    Areas(MmId),
    /// One area.
    Area(VmaId),
    /// One entry, which may be empty.
    Entry {
        /// Its address space.
        mm: MmId,
        /// The page's address.
        addr: u64,
    },
    /// All entries of a range, and that there are no others.
    Range {
        /// Their address space.
        mm: MmId,
        /// First byte.
        start: u64,
        /// One past the last byte.
        end: u64,
    },
    /// A frame: its contents or who maps it.
    Frame(FrameId),
    /// An anon_vma.
    Anon(AnonId),
    /// A policy.
    Policy(PolicyId),
    /// A file: its size or its references.
    File(FileId),
    /// A page of a file.
    FilePage {
        /// The file.
        file: FileId,
        /// The page's index.
        index: u64,
    },
    /// A descriptor; any of them if it is negative.
    Descriptor {
        /// The process.
        mm: MmId,
        /// The number.
        fd: Fd,
    },
    /// `vm_committed_as`.
    Committed,
    /// What a task's TLB holds.
    Tlb(TaskId),
    /// A task: that it lives.
    Task(TaskId),
}

/// What decides between the ways that a step may go. A choice carries no bytes, flags or bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Choice {
    /// As the rule says; the only way of most steps.
    #[default]
    Go,
    /// An access goes by the entry that the task's TLB holds, though the table has another.
    Stale,
    /// The allocation of this step fails. Legal once in a call that was begun with a failing
    /// allocation: which one it is depends on how often a fault began again.
    Fail,
    /// A fault begins again. Legal until it has written its entry.
    Again,
    /// A fault leaves its entry, which is no longer as it read it, before it has all that it would
    /// need to serve it.
    Leave,
    /// What is looked at in several places was so in each as it was looked at there, beside calls that
    /// change it: areas, or how many map a page and then an entry of it.
    OneByOne,
    /// A page that another call is just letting go of counts as shared yet: the entry goes before its
    /// count.
    Shared,
    /// Of the tasks that are left to be flushed this one comes next; without a choice the first.
    Of(TaskId),
    /// Of the areas of a file or an anon_vma the one that maps its pages here comes next; without a
    /// choice the first. They have no order in Linux.
    At {
        /// The address space.
        mm: MmId,
        /// The first address.
        addr: u64,
    },
    /// A step of the kernel gives up, since another call is at the page.
    GiveUp,
}

/// A step that a pending call may take now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Offer {
    /// Whose call.
    pub task: TaskId,
    /// The list that it is of, and its row in it, as `docs/steps.md` has them.
    pub list: &'static str,
    /// The row, from 0.
    pub row: u8,
    /// What it does.
    pub kind: StepKind,
    /// The same in words.
    pub what: &'static str,
    /// The Linux function and lock that make it one step.
    pub by: &'static str,
    /// The way that it goes.
    pub choice: Choice,
}

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Taken {
    /// There is more to do.
    Step,
    /// The call returned this. Its task can begin another one.
    Returned(Outcome),
}

/// What a manager may tell of a step that takes effect, of a read that decides, and of a pass. Whose
/// call it is of, the sink knows, as it does of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mark {
    /// What the call did.
    pub kind: StepKind,
    /// To what. A page table's entries are named by address, whichever table holds them.
    pub about: About,
    /// What was read or written.
    pub told: Told,
}

/// What a mark tells of its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Told {
    /// That it was done. The object can be looked at.
    Done,
    /// It was refused, by what was read here: only undoing follows.
    Refused,
    /// A number that was read or written: pages, bytes, a count, a page offset.
    Number(u64),
    /// The flags of an area that were read or written.
    Flags(VmFlags),
    /// A flush that covers these addresses alone; one that tells [`Told::Done`] covers all of its TLB.
    Range {
        /// First byte.
        start: u64,
        /// One past the last byte.
        end: u64,
    },
    /// An entry as it was found and as it was left: none is an empty one, also one whose table is
    /// missing. A pass that changes nothing tells the same twice.
    Entry {
        /// Before.
        before: Option<PageState>,
        /// After.
        after: Option<PageState>,
    },
}

/// A manager that is driven step by step.
///
/// The value holds the machine and all pending calls. [`Stepped::fork`] and [`Stepped::digest`]
/// make it one state of a search.
pub trait Stepped {
    /// Forgets everything and boots, to be driven: translations are kept in TLBs from now on.
    fn drive(&mut self, config: &Config);

    /// Begins a call; nothing happens yet.
    ///
    /// # Errors
    ///
    /// The outcome of a call that has no steps: `NoTask`, `Unsupported`. A task that has a call
    /// pending answers `Livelock`, which is misuse.
    fn begin(&mut self, task: TaskId, call: &Call, fail: Fail) -> Result<(), Outcome>;

    /// Adds every step that a pending call may take now, by task and choice. A call whose next
    /// step has to wait is left out.
    fn legal(&self, into: &mut Vec<Offer>);

    /// Takes the next step of a task's call, this way.
    ///
    /// # Errors
    ///
    /// It is not legal, and nothing happened: the step that has to wait, or cannot go this way.
    fn take(&mut self, task: TaskId, choice: Choice) -> Result<Taken, Refusal>;

    /// The next step of a task's call, whether or not it has to wait; none: no call is pending.
    fn next(&mut self, task: TaskId) -> Option<Offer>;

    /// Whether the next step of a task's call takes mmap_sem, or takes more of it than the call holds.
    fn takes_hold(&mut self, task: TaskId) -> bool;

    /// Adds the ways that the next step of a task's call can go, [`Choice::Go`] first.
    fn ways(&mut self, task: TaskId, into: &mut Vec<Choice>);

    /// As [`Stepped::take`]; a pass goes no further than this address. The finest steps of a pass
    /// are those over one page each: so many of them are taken at once as end here.
    ///
    /// # Errors
    ///
    /// As [`Stepped::take`].
    fn take_upto(&mut self, task: TaskId, choice: Choice, upto: u64) -> Result<Taken, Refusal>;

    /// Whether the step taken last refused what was asked: only undoing follows.
    fn refused(&mut self) -> bool;

    /// Whether the step taken last left the entry that it was about as it was.
    fn left_alone(&mut self) -> bool;

    /// Adds what the step taken last read and wrote.
    fn footprint(&mut self, into: &mut Vec<About>);

    /// What can be seen of an entry; none: it is empty.
    fn entry(&mut self, mm: MmId, addr: u64) -> Option<PageState>;

    /// What a task's TLB holds of a page.
    fn held(&mut self, task: TaskId, addr: u64) -> Option<PageState>;

    /// Whether the task's TLB holds anything.
    fn holds_any(&mut self, task: TaskId) -> bool;

    /// How many pages of a range a task's TLB holds that the tables have no more, or with fewer rights.
    fn stale(&mut self, task: TaskId, start: u64, end: u64) -> usize;

    /// A task's TLB forgets what it holds of a range and the tables have as well, as it may at any time.
    /// What they have no more, or with fewer rights, stays until a flush takes it. If the call of `by` is at its
    /// flush, that has come by this TLB: what it comes to hold behind that is not for this flush.
    fn forget(&mut self, by: TaskId, task: TaskId, start: u64, end: u64);

    /// Writes what can be seen of an object, and nothing else; all of it with [`Stepped::see`].
    fn observe(&self, about: About, into: &mut Snapshot);

    /// Writes what can be seen of everything.
    fn see(&self, into: &mut Snapshot);

    /// A copy of the machine with its pending calls.
    fn fork(&self) -> Box<dyn Stepped>;

    /// A hash of the machine with its pending calls: equal states have equal ones.
    fn digest(&self) -> u64;
}

/// Why a step is not legal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The task has no call pending.
    Idle,
    /// The step has to wait for another task: for a lock or by a guard (its name).
    Waits(&'static str),
    /// The step knows no such choice here.
    Choice,
}
