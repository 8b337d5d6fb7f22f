//! What happened in a run, step by step, and the schedule that makes it happen again.

use std::fmt;

use crate::policy::{Moment, Switch};
use crate::{Kind, Owner, Site, Value};

/// One thing that a task did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Who; 0 is the softirq.
    pub task: u8,
    /// Where in the code. For the begin and the end of a call: one of [`SITES`](super::SITES).
    pub site: Site,
    /// What.
    pub what: What,
}

impl Step {
    /// Whether the task passes the step's site with it: what switches by site count.
    pub fn passes_site(&self) -> bool {
        matches!(self.what, What::Access { .. } | What::Begin(_))
    }

    /// How often in these steps its task passes its site.
    pub fn passes_in(&self, steps: &[Self]) -> u32 {
        passes(steps, self.task, self.site)
    }
}

/// How often the task passes the site in these steps.
fn passes(steps: &[Step], task: u8, site: Site) -> u32 {
    let passes = |step: &&Step| step.task == task && step.site == site && step.passes_site();
    steps.iter().filter(passes).count() as u32
}

/// What a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// An access to a shared object, named by the order of first appearance from 1.
    Access {
        /// What it does to the object.
        kind: Kind,
        /// Which object.
        object: u32,
    },
    /// The call took effect here; see [`mark`](crate::mark). The word says at what, where the
    /// site needs one ([`at`](crate::at)).
    Mark(u64),
    /// The task began the call of this number.
    Begin(u32),
    /// That call returned.
    End(u32),
    /// Of several callbacks that were ready one was chosen, counted from 0.
    Chose(u8),
}

/// How a run ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// Every call has returned.
    #[default]
    Finished,
    /// Nothing could move any more: who waited for what.
    Deadlock(Vec<Blocked>),
    /// Nothing took effect for as many scheduling points as there may be: a livelock, or a limit too
    /// low.
    StepLimit,
}

/// A task that could not move when the run ended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Blocked {
    /// Who; 0 is the softirq.
    pub task: u8,
    /// In, or before, the call of this number; none: the softirq.
    pub call: Option<u32>,
    /// What it was about to do.
    pub kind: Kind,
    /// Where.
    pub site: Site,
    /// To which object; 0: none.
    pub object: u32,
    /// Who held it up.
    pub holders: Vec<u8>,
    /// Where the object was taken.
    pub taken_at: Option<Site>,
}

/// Something that a call left behind when it returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// The index of the step that ended the call.
    pub step: usize,
    /// Who.
    pub task: u8,
    /// The call.
    pub call: u32,
    /// What.
    pub what: Left,
}

/// What may be left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// A lock was still held.
    Lock {
        /// Which.
        object: u32,
        /// Where it was taken.
        taken_at: Option<Site>,
    },
    /// A read-side section of RCU was still open.
    ReadSection,
    /// Interrupts were still off.
    InterruptsOff,
}

/// A choice that was not the default one.
#[derive(Clone, Copy, Debug)]
enum Decision {
    /// Another task went on when this one arrived at a site, after so many steps of the run.
    Task {
        steps: usize,
        task: u8,
        site: Site,
        to: u8,
    },
    /// Another callback was taken than the first, at the run's `nth` choice.
    Callback { nth: u32, to: u8 },
}

/// A run may be this many times as long as a stretch in which nothing takes effect.
const LONGEST: u32 = 20;

/// A run.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    steps: Vec<Step>,
    /// By step; empty where nobody asked for them.
    values: Vec<Value>,
    decisions: Vec<Decision>,
    /// Choices among ready callbacks so far.
    choices: u32,
    hash: u64,
    pub(super) points: u32,
    /// Points when something was last marked.
    pub(super) marked: u32,
    pub(super) end: End,
    pub(super) leftovers: Vec<Leftover>,
}

impl Trace {
    /// Forgets everything and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.steps.clear();
        self.values.clear();
        self.decisions.clear();
        self.choices = 0;
        self.hash = 0;
        self.points = 0;
        self.marked = 0;
        self.end = End::Finished;
        self.leftovers.clear();
    }

    /// Whether nothing has taken effect for so many points, or the run is as long as any may be.
    #[inline]
    pub(super) fn is_stuck(&self, limit: u32) -> bool {
        self.points - self.marked >= limit || self.points >= limit.saturating_mul(LONGEST)
    }

    #[inline]
    pub(super) fn push(&mut self, step: Step) {
        let (tag, value) = match step.what {
            What::Access { kind, object } => (kind as u64, object),
            What::Mark(word) => (64, (word ^ word >> 32) as u32),
            What::Begin(call) => (65, call),
            What::End(call) => (66, call),
            What::Chose(index) => (67, u32::from(index)),
        };
        let word = u64::from(step.site.number()) | u64::from(value) << 32;
        let who = tag << 5 | u64::from(step.task);
        let mixed = self.hash.rotate_left(5) ^ word ^ who << 52;
        self.hash = mixed.wrapping_mul(0x517c_c1b7_2722_0a95);
        self.steps.push(step);
    }

    pub(super) fn decided(&mut self, task: u8, site: Site, to: u8) {
        self.decisions.push(Decision::Task {
            steps: self.steps.len(),
            task,
            site,
            to,
        });
    }

    /// A callback was chosen among several.
    pub(super) fn chose(&mut self, task: u8, site: Site, index: u8) {
        self.choices += 1;
        if index != 0 {
            self.decisions.push(Decision::Callback {
                nth: self.choices,
                to: index,
            });
        }
        self.push(Step {
            task,
            site,
            what: What::Chose(index),
        });
    }

    /// The word that was accessed last holds this.
    pub(super) fn hold(&mut self, word: u64, owner: Option<Owner>) {
        if let Some(step) = self.steps.len().checked_sub(1) {
            let step = step as u32;
            self.values.push(Value { step, word, owner });
        }
    }

    /// What words held, in order; nothing where nobody asked for it.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// What the word held that was read or written at a step; none: nobody asked for values
    /// ([`Plan::values`](super::Plan::values)), or it was no plain read or write.
    pub fn value(&self, step: usize) -> Option<&Value> {
        let at = self
            .values
            .partition_point(|value| (value.step as usize) < step);
        let value = self.values.get(at)?;
        (value.step as usize == step).then_some(value)
    }

    /// What happened, in order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// How the run ended.
    pub fn end(&self) -> &End {
        &self.end
    }

    /// What calls left behind: each is a bug.
    pub fn leftovers(&self) -> &[Leftover] {
        &self.leftovers
    }

    /// How many scheduling points the run had.
    pub fn points(&self) -> u32 {
        self.points
    }

    /// A hash over all steps: equal for equal runs, on every machine.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Where another task went on than by default: before which step, and who had arrived.
    pub fn switched(&self) -> impl Iterator<Item = (usize, u8)> {
        self.decisions
            .iter()
            .filter_map(|decision| match *decision {
                Decision::Task { steps, task, .. } => Some((steps, task)),
                Decision::Callback { .. } => None,
            })
    }

    /// The schedule that gives this run again, whatever policy made it: each choice that was not
    /// the default, by name and in order.
    pub fn switches(&self) -> Vec<Switch> {
        let switch = |decision: &Decision| match *decision {
            Decision::Callback { nth, to } => Switch {
                at: Moment::Callback { nth },
                to,
            },
            Decision::Task {
                steps,
                task,
                site,
                to,
            } => Switch {
                at: Moment::Site {
                    task,
                    site: site.number(),
                    nth: passes(&self.steps[..steps], task, site) + 1,
                },
                to,
            },
        };
        self.decisions.iter().map(switch).collect()
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Access { kind, object } => write!(f, "{kind:?} @{object}"),
            Self::Mark(0) => f.write_str("takes effect"),
            Self::Mark(word) => write!(f, "takes effect at {word:#x}"),
            // From 1, as everywhere that people read.
            Self::Begin(call) => write!(f, "begins call {}", call + 1),
            Self::End(call) => write!(f, "ends call {}", call + 1),
            Self::Chose(index) => write!(f, "takes ready callback {index}"),
        }
    }
}

/// A line for each step: its number, the task, the site and what it did.
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.steps.iter().enumerate() {
            let Step { task, site, what } = step;
            writeln!(f, "{number:5}  [{task}] {:32} {what}", site.name)?;
        }
        write!(f, "{}", self.end)
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Finished => f.write_str("finished"),
            Self::StepLimit => f.write_str("the limit of scheduling points was reached"),
            Self::Deadlock(blocked) => {
                f.write_str("deadlock")?;
                blocked.iter().try_for_each(|task| write!(f, "\n  {task}"))
            }
        }
    }
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {}", self.task)?;
        if let Some(call) = self.call {
            write!(f, " in call {}", call + 1)?;
        }
        write!(f, " at {}: {:?}", self.site.name, self.kind)?;
        if self.object != 0 {
            write!(f, " @{}", self.object)?;
        }
        for (index, holder) in self.holders.iter().enumerate() {
            let word = if index == 0 { ", held up by" } else { "," };
            write!(f, "{word} task {holder}")?;
        }
        match self.taken_at {
            Some(site) if !self.holders.is_empty() => write!(f, " since {}", site.name),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::What;

    #[test]
    fn calls_are_counted_from_one() {
        assert_eq!(What::Begin(0).to_string(), "begins call 1");
        assert_eq!(What::End(1).to_string(), "ends call 2");
    }
}
