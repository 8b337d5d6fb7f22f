//! What a woven run consists of: parts of calls, each with the moment at which it took effect and
//! the window in which it may have.
//!
//! A call is a section (what it does under `mmap_sem` held for writing, or at one moment without),
//! faults, and an access; the marks of [`vmadiff_interleave::at`] say where each took effect. A call
//! without a mark took effect somewhere between its begin and its end.

use vmadiff_contract::{
    Advice, AnonId, Call, Event, MapFlags, Outcome, PAGE_SIZE, Prot, QueryFlags, Touch,
};
use vmadiff_interleave::sim::TASKS;

use crate::program::Program;
use crate::run::Woven;

/// A part of a call, replayed as one.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// The call's index in the program.
    pub call: usize,
    /// What is replayed.
    pub act: Act,
    /// The address space: 1 for the first, else the number of the task it was made for.
    pub mm: u8,
    /// The page that it is about; none: a section.
    pub page: Option<u64>,
    /// The step at which it was marked; without a mark the last of its window.
    pub at: u32,
    /// It can have had no effect before this step, and none after the other.
    pub window: (u32, u32),
    /// How it held mmap_sem when it was marked.
    pub holds: Holds,
    /// It gives its area an anon_vma, if it has none: a store's fault, or one that may grow a stack.
    pub wants_anon: bool,
}

/// What a part does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// All that a call does at one moment.
    Section,
    /// A fault that was served.
    Fault(Touch),
    /// An access that was made.
    Access,
    /// An access that got a signal, or no memory.
    Refused(Touch),
    /// A fault of a call that populates, which got no page.
    Unserved(Touch),
}

/// How mmap_sem is held, by which sections of one address space exclude each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// Not at all, or not for the whole of the section.
    Nothing,
    /// For reading.
    Read,
    /// For writing.
    Write,
}

/// The parts of a run, in the order of their marks.
#[derive(Default)]
pub struct Parts {
    pub list: Vec<Part>,
    pub(super) spans: Vec<Span>,
    /// Events about VMAs and their files, by call.
    pub(super) life: Vec<(u32, Event)>,
    /// anon_vmas that calls allocated and kept: the call, and the step.
    pub(super) fresh: Vec<(u32, u32, AnonId)>,
    /// Faults that were served, by task.
    pub faults: [u64; TASKS + 1],
}

/// Where a call stands in the trace.
#[derive(Clone, Copy, Default)]
pub(super) struct Span {
    pub begin: u32,
    pub end: u32,
    /// The first step that can have changed anything.
    pub effect: Option<u32>,
    /// The last mark of a section, and how many there were.
    pub section: Option<u32>,
    pub sections: u32,
    /// Its access was marked.
    pub accessed: bool,
}

impl Parts {
    /// Whether a part allocated an anon_vma and kept it.
    pub fn took_fresh_anon(&self, part: &Part) -> bool {
        let within = |step: u32| part.window.0 < step && step <= part.at;
        let mut fresh = self.fresh.iter();
        fresh.any(|&(call, step, _)| call as usize == part.call && within(step))
    }

    /// What a call raised about VMAs and their files, in order.
    pub fn life_of(&self, call: usize) -> &[(u32, Event)] {
        let from = self.life.partition_point(|&(c, _)| (c as usize) < call);
        let to = self.life.partition_point(|&(c, _)| c as usize <= call);
        &self.life[from..to]
    }

    /// How often a call's section was marked: more than once where it gives mmap_sem up on the way.
    pub fn sections_of(&self, call: usize) -> u32 {
        self.spans[call].sections
    }

    /// Whether two calls were under way at the same time.
    pub fn calls_overlap(&self, a: usize, b: usize) -> bool {
        let (a, b) = (self.spans[a], self.spans[b]);
        a.begin < b.end && b.begin < a.end
    }
}

impl Part {
    /// Whether the two can have taken effect in either order, as far as time goes.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.window.0 <= other.window.1 && other.window.0 <= self.window.1
    }

    /// Sections that exclude each other by mmap_sem: the order of their marks is theirs.
    pub fn excludes(&self, other: &Self) -> bool {
        self.mm == other.mm
            && self.holds != Holds::Nothing
            && other.holds != Holds::Nothing
            && (self.holds == Holds::Write || other.holds == Holds::Write)
    }

    /// Whether it is a whole call or a section of one.
    pub fn is_section(&self) -> bool {
        self.act == Act::Section
    }

    /// Whether a section of this call may change what becomes of a page.
    pub fn may_reach(&self, program: &Program, woven: &Woven, other: &Self) -> bool {
        let Some(page) = other.page else {
            return true;
        };
        if self.holds != Holds::Nothing && self.mm != other.mm {
            // A child maps its parent's pages, and these ask who else does.
            let call = &program.calls[self.call].call;
            return matches!(
                call,
                Call::Fork | Call::NumaScan { .. } | Call::Collapse { .. }
            );
        }
        if other.wants_anon {
            // Areas anywhere may be cut or merged, and with them goes whose anon_vma they have.
            return true;
        }
        let within = |addr: u64, len: u64| {
            page >= addr & !(PAGE_SIZE - 1) && page < addr.saturating_add(len)
        };
        match program.calls[self.call].call {
            Call::Munmap { addr, len } => within(addr, len),
            Call::Madvise { addr, len, advice } if advice != Advice::Remove => within(addr, len),
            Call::Mprotect { addr, len, prot } => {
                within(addr, len) || prot.contains(Prot::GROWSDOWN)
            }
            Call::Mmap { len, flags, .. } => match woven.outcomes[self.call] {
                // A stack's neighbours may reach further.
                Some(Outcome::Value(addr)) if !flags.contains(MapFlags::GROWSDOWN) => {
                    within(addr, len)
                }
                _ => true,
            },
            _ => true,
        }
    }
}

impl Part {
    /// By how much an mremap, if the part is one, moved the page of another part up.
    pub fn moves(&self, program: &Program, woven: &Woven, other: &Self) -> Option<u64> {
        let (Act::Section, Call::Mremap { addr, old_len, .. }) =
            (self.act, program.calls[self.call].call)
        else {
            return None;
        };
        let Some(Outcome::Value(new)) = woven.outcomes[self.call] else {
            return None;
        };
        let within = other.page?.checked_sub(addr)? < old_len;
        (self.mm == other.mm && within && new != addr).then(|| new.wrapping_sub(addr))
    }
}

/// Whether something in the program grows by faults.
pub(super) fn has_stack(program: &Program) -> bool {
    let grows = |call: &Call| match call {
        Call::Mmap { flags, .. } => flags.contains(MapFlags::GROWSDOWN),
        _ => false,
    };
    program.calls.iter().any(|step| grows(&step.call))
}

/// A section of this call, its place in time still open.
pub(super) fn section(program: &Program, call: usize) -> Part {
    let step = &program.calls[call];
    let first = step.task.0 <= program.config.tasks.clamp(1, 8);
    Part {
        call,
        act: Act::Section,
        mm: if first { 1 } else { step.task.0 },
        page: None,
        at: 0,
        window: (0, 0),
        holds: holds(&step.call),
        wants_anon: false,
    }
}

fn holds(call: &Call) -> Holds {
    match call {
        Call::Mmap { .. }
        | Call::Munmap { .. }
        | Call::Mremap { .. }
        | Call::Brk { .. }
        | Call::Mprotect { .. }
        | Call::Fork
        | Call::Mlock { .. }
        | Call::Mlock2 { .. }
        | Call::Munlock { .. }
        | Call::Mlockall { .. }
        | Call::Munlockall
        | Call::Mbind { .. }
        | Call::UffdRegister { .. }
        | Call::UffdUnregister { .. }
        | Call::Collapse { .. } => Holds::Write,
        Call::Madvise { advice, .. } => match advice {
            Advice::DontNeed | Advice::Free | Advice::WillNeed => Holds::Read,
            // It is given up on the way.
            Advice::Remove => Holds::Nothing,
            _ => Holds::Write,
        },
        Call::NumaScan { .. } | Call::Mincore { .. } | Call::Msync { .. } => Holds::Read,
        Call::GetMempolicy { flags, .. } if flags.contains(QueryFlags::ADDR) => Holds::Read,
        _ => Holds::Nothing,
    }
}
