//! Decides whether two observations of a program agree. Pure; nothing else decides.
//!
//! Calls are judged in order, and the first objection is the verdict. Within a call, what says
//! more comes first: a panic, a livelock, a law broken by an event (the reference's before the
//! candidate's), the outcome, a law broken by the state, the state compared, the events compared.
//! What is compared at all, and what not, is in docs/compared.md.

use std::fmt;

mod alone;
mod compare;
mod events;
mod laws;
mod life;
mod names;
mod outcome;
mod rule;
mod state;
pub mod steps;

pub use alone::Alone;
pub use compare::judge;
pub use events::Digest;
pub use laws::{Broken, Laws, Obeyed};
pub use outcome::difference as answers_differ;
pub use rule::{RULES, Rule, RuleInfo};
pub use state::{difference as states_differ, same as same_state, same_moved};

use steps::{Parting, StepAt};
use vmadiff_contract::{AnonId, FileId, FrameId, MmId, PolicyId, TableId, VmaId};

/// What the judge says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All that is compared is equal, and no law is broken.
    Agree,
    /// Not comparable, and why.
    Skip(String),
    /// A bug.
    Diverge(Divergence),
}

/// A difference, or a law broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// What kind of difference: stable, whatever the addresses and numbers are.
    pub signature: Signature,
    /// What the signature was before races were named by steps and objects by what was done to them;
    /// none: the same. Lists of known findings may have that one.
    pub formerly: Option<Signature>,
    /// Of a race, where it parts from the reference; none: its marks do not tell.
    pub parting: Option<Box<Parting>>,
    /// The index of the call at which it shows; none: at quiescence. Indexes beyond the program's
    /// calls are the exits that end every run.
    pub at: Option<usize>,
    /// Whose law was broken; none where two were compared.
    pub side: Option<Side>,
    /// The index, among the events of the call, of the one that broke a law; among those of the
    /// whole run while calls are woven.
    pub event: Option<usize>,
    /// In a woven run the index of the step, in its trace, at which it shows.
    pub step: Option<usize>,
    /// The object that the law is about.
    pub object: Option<Object>,
    /// What happened, in one sentence without a full stop.
    pub what: String,
}

impl Divergence {
    /// One of which no more is known than what it is.
    pub(crate) fn of(signature: Signature, what: String) -> Self {
        Self {
            signature,
            formerly: None,
            parting: None,
            at: None,
            side: None,
            event: None,
            step: None,
            object: None,
            what,
        }
    }

    /// The call to show: the one at which it shows, else the one whose step parts from the reference.
    pub fn shown_at(&self) -> Option<usize> {
        self.at.or(self.part().map(|step| step.call))
    }

    /// The step of a woven run's trace to show: as [`Divergence::shown_at`].
    pub fn shown_step(&self) -> Option<usize> {
        self.step.or(self.part().map(|step| step.at))
    }

    /// Whether this call of a race is one to mark: it shows there, or parts from the reference there.
    pub fn marks(&self, call: usize) -> bool {
        self.at == Some(call) || self.part().is_some_and(|step| step.call == call)
    }

    /// The step at which a race parts from the reference, or at which that shows.
    fn part(&self) -> Option<&StepAt> {
        self.parting.as_ref().map(|parting| &parting.step)
    }

    /// Names it anew, and keeps what it was called before.
    pub(crate) fn rename(&mut self, signature: Signature) {
        let before = std::mem::replace(&mut self.signature, signature);
        if before != self.signature {
            self.formerly.get_or_insert(before);
        }
    }

    /// The name under which it is on a list of known signatures: the one that it has, or had.
    pub fn known_as(&self, is_known: impl Fn(&str) -> bool) -> Option<String> {
        let names = std::iter::once(&self.signature).chain(&self.formerly);
        names.map(ToString::to_string).find(|name| is_known(name))
    }
}

/// One of the two managers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The one that takes one lock.
    Reference,
    /// The one under test.
    Candidate,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Reference => "reference",
            Self::Candidate => "candidate",
        })
    }
}

/// An object with a life of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Object {
    Vma(VmaId),
    Anon(AnonId),
    File(FileId),
    Policy(PolicyId),
    Frame(FrameId),
    Table(TableId),
    Mm(MmId),
}

impl Object {
    /// What it is, as signatures name it.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Vma(_) => "vma",
            Self::Anon(_) => "anon",
            Self::File(_) => "file",
            Self::Policy(_) => "policy",
            Self::Frame(_) => "frame",
            Self::Table(_) => "table",
            Self::Mm(_) => "mm",
        }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vma(id) => id.fmt(f),
            Self::Anon(id) => id.fmt(f),
            Self::File(id) => id.fmt(f),
            Self::Policy(id) => id.fmt(f),
            Self::Frame(id) => id.fmt(f),
            Self::Table(id) => id.fmt(f),
            Self::Mm(id) => id.fmt(f),
        }
    }
}

/// Names a kind of divergence: dedup, shrinking and file names go by it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Signature {
    /// The rule that was broken.
    pub rule: Rule,
    /// The call at which it showed, or `quiescence`; of a race the step at which it parts, for example
    /// `fault.decide`; of a count, what was done last to the object.
    pub call: &'static str,
    /// The field or object, for example `vmas.flags`; of a race what it raced with; of a leak who
    /// should have let go.
    pub field: &'static str,
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.rule, self.call, self.field)
    }
}
