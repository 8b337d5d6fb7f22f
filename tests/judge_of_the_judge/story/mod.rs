//! An agreeing run, told by hand: every kind of life event occurs in it, on both sides.

mod chapters;
mod events;
mod states;

pub use events::alloc;
use states::boot;

use vmadiff::program::{Program, Step};
use vmadiff::run::{Observation, Observed};
use vmadiff_contract::{
    AtRest, Breach, Call, Config, Count, DesignInfo, Event, Fail, Frees, Outcome, Prot, Protocol,
    Reason, Snapshot, TaskId, VmFlags,
};

const W: u64 = Config::WINDOW;
const PAGE: u64 = 4096;
const RW: Prot = Prot::READ.union(Prot::WRITE);
const PRIVATE: VmFlags = VmFlags::READ
    .union(VmFlags::WRITE)
    .union(VmFlags::MAYREAD)
    .union(VmFlags::MAYWRITE)
    .union(VmFlags::MAYEXEC);
const SHARED: VmFlags = PRIVATE.union(VmFlags::SHARED).union(VmFlags::MAYSHARE);

/// What the candidate of the story declares: its VMAs are counted and wait for readers.
pub static DESIGN: DesignInfo = DesignInfo {
    counts: &[
        Count {
            name: "references",
            at_rest: AtRest::References {
                fresh: 1,
                linked: 2,
            },
        },
        Count {
            name: "sequence count",
            at_rest: AtRest::Even,
        },
    ],
    frees: Frees::AfterReaders,
    ..DesignInfo::plain("told", |_, _, _| unreachable!("the story is told by hand"))
};

/// Why a fault of the story gives up.
pub static REASON: Reason = Reason {
    number: 0,
    name: "TooEarly",
    what: "The area is not ready.",
    serial: true,
};

/// How its protocol can be broken.
pub static BREACH: Breach = Breach {
    rule: "misuse-of-the-story",
    says: "Nobody does that.",
    source: "this test",
    what: "was treated badly",
};

/// A program and what both managers made of it.
pub struct Story {
    pub program: Program,
    pub ours: Observation,
    pub theirs: Observation,
    state: Snapshot,
}

impl Story {
    pub fn told() -> Self {
        let mut story = Self {
            program: Program::default(),
            ours: Observation {
                manager: "ours",
                ..Observation::default()
            },
            theirs: Observation {
                manager: "theirs",
                ..Observation::default()
            },
            state: boot(),
        };
        story.a_private_file_mapping();
        story.its_tail_is_unmapped();
        story.shared_memory_and_a_fork();
        story.a_page_goes_to_swap_and_back();
        story.everyone_leaves();
        story
    }

    /// One more call: what it changes, and the events of both sides.
    fn call<const N: usize, const M: usize>(
        &mut self,
        (task, call, value): (u8, Call, u64),
        change: impl FnOnce(&mut Snapshot),
        ours: [Event; N],
        theirs: [Event; M],
    ) {
        self.program.calls.push(Step {
            task: TaskId(task),
            call,
            fail: Fail::NONE,
        });
        self.observed(value, change, &ours, &theirs);
    }

    fn observed(
        &mut self,
        value: u64,
        change: impl FnOnce(&mut Snapshot),
        ours: &[Event],
        theirs: &[Event],
    ) {
        change(&mut self.state);
        let outcome = Outcome::Value(value);
        let state = self.state.clone();
        let protocol = state.vmas.iter().map(|v| Protocol {
            vma: v.vma,
            counts: [2, 4],
        });
        let mut counted = Snapshot {
            protocol: protocol.collect(),
            ..state.clone()
        };
        counted.protocol.sort_by_key(|p| p.vma);
        self.ours.calls.push(Observed {
            outcome,
            events: ours.to_vec(),
            state,
        });
        self.theirs.calls.push(Observed {
            outcome,
            events: theirs.to_vec(),
            state: counted,
        });
    }
}
