//! A race as the judge of steps reads it: begins, marks and returns of calls, in one order.

use vmadiff_contract::{CallKind, Event, Mark, Outcome, Snapshot};
use vmadiff_interleave::sim::What as Traced;

use crate::program::Program;
use crate::run::Woven;

/// Something that a call did, or that was done to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Item {
    /// The step of the trace at which it happened.
    pub at: u32,
    /// The call's index in the program.
    pub call: u32,
    /// What it did.
    pub what: What,
}

/// What an item is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum What {
    /// The call begins.
    Begin,
    /// The candidate tells of a step.
    Mark(Mark),
    /// The call has returned.
    End,
}

/// What is judged.
#[derive(Clone, Copy, Debug)]
pub struct Race<'a> {
    /// The calls.
    pub program: &'a Program,
    /// What happened, in order.
    pub items: &'a [Item],
    /// What each call answered.
    pub outcomes: &'a [Option<Outcome>],
    /// What was raised about VMAs and their files, by call: all of one call together, in order.
    pub life: &'a [(u32, Event)],
    /// The state when all calls had returned.
    pub state: &'a Snapshot,
}

impl Race<'_> {
    /// Kind of a call of the program.
    pub fn kind(&self, call: usize) -> CallKind {
        self.program.calls[call].call.kind()
    }

    /// Number of threads of the first address space.
    pub fn threads(&self) -> u8 {
        self.program.config.tasks.clamp(1, 8)
    }

    /// By call: indexes of the items at which the call begins and returns; `usize::MAX`: never.
    pub fn spans(&self, into: &mut Vec<(usize, usize)>) {
        into.clear();
        into.resize(self.program.calls.len(), (usize::MAX, usize::MAX));
        for (at, item) in self.items.iter().enumerate() {
            let (begin, end) = &mut into[item.call as usize];
            match item.what {
                What::Begin => *begin = at,
                What::End => *end = at,
                What::Mark(_) => {}
            }
        }
    }

    /// What a call raised about VMAs and their files, in order.
    pub fn life_of(&self, call: usize) -> &[(u32, Event)] {
        let from = self.life.partition_point(|&(c, _)| (c as usize) < call);
        let to = self.life.partition_point(|&(c, _)| c as usize <= call);
        &self.life[from..to]
    }
}

/// Adds the items of a woven run, in order.
pub fn items(woven: &Woven, into: &mut Vec<Item>) {
    into.clear();
    let mut marks = woven.marks.iter().peekable();
    let steps = woven.trace.steps().iter().enumerate();
    for (at, step) in steps {
        let at = at as u32;
        // A mark is told between the step before its index and the one at it.
        while let Some(marked) = marks.next_if(|marked| marked.step <= at) {
            into.extend(marked.call.map(|call| Item {
                at: marked.step.saturating_sub(1),
                call,
                what: What::Mark(marked.mark),
            }));
        }
        let (call, what) = match step.what {
            Traced::Begin(call) => (call, What::Begin),
            Traced::End(call) => (call, What::End),
            _ => continue,
        };
        into.push(Item { at, call, what });
    }
}
