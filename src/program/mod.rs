//! A program: a configuration, calls in order with the task that makes each, and a schedule.
//!
//! [`Program`] is what bytes hold, [`Case`] what text holds: a program with its comments and
//! expectations.

pub mod bytes;
pub mod c;
mod counter;
pub mod form;
pub mod input;
pub mod mutate;
pub mod settings;
pub mod shape;
pub mod sites;
pub mod strace;
pub mod syz;
pub mod text;
mod world;

pub use counter::Counter;
use vmadiff_contract::{Call, Config, DesignInfo, Fail, Outcome, TaskId, VmaId};
use vmadiff_interleave::policy as sim;

/// What runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// The machine.
    pub config: Config,
    /// The calls, in program order.
    pub calls: Vec<Step>,
    /// How they interleave; none: one after another.
    pub schedule: Schedule,
}

impl Program {
    /// Chooses one program in so many: always the same ones, here and everywhere.
    pub fn is_one_in(&self, many: u64) -> bool {
        let mut mixed = self.schedule.seed;
        let mut mix = |word: u64| {
            mixed = (mixed.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            mixed ^= mixed >> 32;
        };
        for step in &self.calls {
            mix(step.call.kind() as u64 | u64::from(step.task.0) << 8);
            mix(step.fail.0.into());
            // Some more of them than not are nothing, and a mix takes as long as all else here.
            let words = shape::words(&step.call).into_iter();
            mix(words.fold(0, |all: u64, word| all.rotate_left(11) ^ word));
        }
        for switch in &self.schedule.switches {
            let (at, nth) = match switch.at {
                Moment::Gap(gap) => (gap, 0),
                Moment::Site { site, nth, .. } => (site, nth),
                Moment::Callback { nth } => (0, nth),
            };
            mix(switch.to.0.into());
            mix(at.into());
            mix(nth.into());
        }
        // Not 0, which stands for a program without calls.
        mixed % many == 1
    }
}

/// One call of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Who makes it.
    pub task: TaskId,
    /// The call.
    pub call: Call,
    /// Which of its allocations fails.
    pub fail: Fail,
}

/// When which task runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    /// How the next task is chosen where `switches` says nothing.
    pub policy: Policy,
    /// For the policies that draw.
    pub seed: u64,
    /// The preemptions, in order. A policy that draws does so from the first of them on.
    pub switches: Vec<Switch>,
}

impl Schedule {
    /// Whether it says nothing: calls are made one after another.
    pub fn is_serial(&self) -> bool {
        *self == Self::default()
    }
}

/// How a simulation chooses the next task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// The earliest unfinished call in program order, but for the switches.
    #[default]
    Preemptions,
    /// Uniformly at each point.
    RandomWalk,
    /// Random priorities with a few change points (PCT).
    Pct,
    /// A random priority for each access (POS).
    Pos,
    /// A walk by how many accesses to what is raced for each task has left (SURW).
    Surw,
}

impl Policy {
    /// All, each with its name.
    pub const ALL: [(&str, Self); 5] = [
        ("preemptions", Self::Preemptions),
        ("random", Self::RandomWalk),
        ("pct", Self::Pct),
        ("pos", Self::Pos),
        ("surw", Self::Surw),
    ];

    /// Its name, in texts and on the command line.
    pub fn name(self) -> &'static str {
        let named = Self::ALL.into_iter().find(|&(_, policy)| policy == self);
        named.expect("all have names").0
    }

    /// The policy of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        let named = Self::ALL.into_iter().find(|&(known, _)| known == name);
        named.map(|(_, policy)| policy)
    }
}

/// A preemption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Switch {
    /// When.
    pub at: Moment,
    /// Which task runs next; 0 is the softirq.
    pub to: TaskId,
}

/// When a preemption happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// So many scheduling points after the previous switch.
    Gap(u32),
    /// Before this task passes the site of this number for the `nth` time (from 1) in the run.
    Site {
        /// Who.
        task: TaskId,
        /// The site's number.
        site: u32,
        /// Which time.
        nth: u32,
    },
    /// When one of several ready callbacks of RCU is taken for the `nth` time (from 1) in the run;
    /// `to` is which, from 0 in the order of queueing.
    Callback {
        /// Which time.
        nth: u32,
    },
}

impl From<sim::Switch> for Switch {
    fn from(switch: sim::Switch) -> Self {
        let at = match switch.at {
            sim::Moment::Gap(points) => Moment::Gap(points),
            sim::Moment::Site { task, site, nth } => Moment::Site {
                task: TaskId(task),
                site,
                nth,
            },
            sim::Moment::Callback { nth } => Moment::Callback { nth },
        };
        Self {
            at,
            to: TaskId(switch.to),
        }
    }
}

/// What a text file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Case {
    /// What runs.
    pub program: Program,
    /// What is expected of each call, by its index in the program; may be shorter.
    pub expect: Vec<Expect>,
    /// What is expected of the state at points of the program, in their order.
    pub checks: Vec<Check>,
    /// The design that its schedule is written for: its switches name places in that.
    pub design: Option<&'static DesignInfo>,
    /// Comments, each with the index of the call before which it stands.
    pub comments: Vec<(usize, String)>,
    /// Comments behind a call on its line, each with the call's index.
    pub notes: Vec<(usize, String)>,
}

/// What is expected of one call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expect {
    /// Its outcome.
    pub outcome: Option<Answer>,
    /// The VMAs that it frees, once all grace periods have ended.
    pub frees: Option<Vec<VmaId>>,
}

/// What a call is expected to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// This.
    Is(Outcome),
    /// SIGSEGV, with whichever code.
    Segv,
    /// An error, whichever.
    Error,
}

impl Answer {
    /// Whether a call that came to this does what is expected.
    pub fn is_met_by(self, outcome: Outcome) -> bool {
        match self {
            Self::Is(expected) => expected == outcome,
            Self::Segv => matches!(outcome, Outcome::Segv(_)),
            Self::Error => matches!(outcome, Outcome::Errno(_)),
        }
    }
}

/// What is expected of a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// How many calls have been made.
    pub after: usize,
    /// Whose address space is looked at: the one in which this task lives.
    pub task: TaskId,
    /// Comments before it.
    pub comments: Vec<String>,
    /// What is expected.
    pub wants: Wants,
}

/// What a check is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wants {
    /// The areas, as /proc/PID/maps would show them, a line each.
    Maps(Vec<String>),
    /// These counters.
    Status(Vec<(Counter, u64)>),
}

#[cfg(test)]
mod tests {
    use super::mutate::{Profile, generate};
    use super::*;

    #[test]
    fn one_program_in_many_is_chosen_and_always_the_same() {
        let chosen = || {
            let programs = (1..20_000).map(|seed| generate(seed, &Profile::default()));
            programs
                .enumerate()
                .filter(|(_, program)| program.is_one_in(100))
        };
        let first: Vec<usize> = chosen().map(|(index, _)| index).collect();
        assert!((150..250).contains(&first.len()), "{}", first.len());
        assert!(chosen().map(|(index, _)| index).eq(first));
        assert!(!Program::default().is_one_in(100));
    }
}
