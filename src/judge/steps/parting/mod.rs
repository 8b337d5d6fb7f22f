//! Where a race and the reference part, told once a divergence is known: the step, what was legal there
//! and what was seen, the earlier step of another call that made it so, and what the reference would
//! have answered.
//!
//! The follower takes the race once more and keeps its trail. A law that is broken where the marks go
//! on as the reference does parts at the step that its call is at.
//!
//! | | |
//! |---|---|
//! | `find` | the step at which they part |
//! | `cause` | which step of which other call made it so |
//! | `shown` | what was legal and what was seen, in words |

mod cause;
mod find;
mod shown;

use vmadiff_contract::{About, CallKind, Offer, Outcome};

use super::signed::{list_name, step_name};
use crate::judge::{Rule, Signature, outcome};
use crate::program::Program;

pub(super) use find::Followed;
pub(super) use shown::to_its_end;

/// Where a race parts from what the reference can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parting {
    /// The step at which they part.
    pub step: StepAt,
    /// What was legal there, in the reference's terms; none: the marks are a path of its steps.
    pub legal: Option<String>,
    /// What was seen, in the candidate's.
    pub seen: Option<String>,
    /// What the candidate went by, in its own names.
    pub by: Option<About>,
    /// The earlier step of another call that made it so.
    pub cause: Option<StepAt>,
    /// Where nothing tells that, the last step of another call that was under way.
    pub beside: Option<StepAt>,
    /// What the call would have answered, had it gone on as the reference does.
    pub nearest: Option<Outcome>,
}

/// A step of a call, in the reference's terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepAt {
    /// Whose call, by its index in the program.
    pub call: usize,
    /// The step.
    pub step: Offer,
    /// The step of the trace at which it was told.
    pub at: usize,
    /// What it was about.
    pub about: String,
}

impl Parting {
    /// The same in a sentence without a full stop, for who knows the program and what differs.
    pub fn sentence(&self, program: &Program, what: &str) -> String {
        let kind = |call: usize| {
            let step = program.calls.get(call);
            step.map_or("exit", |step| step.call.kind().name())
        };
        let StepAt { call, step, .. } = &self.step;
        // A law may be broken where the marks go on as the reference does.
        let shows = if self.legal.is_some() {
            "they part"
        } else {
            "it shows"
        };
        let mut text = format!(
            "{shows} at `{}` of call {} ({})",
            step_name(step),
            call + 1,
            kind(*call)
        );
        if let Some(seen) = &self.seen {
            text += &format!(", where the candidate {seen}");
        }
        if let Some(legal) = self.legal.as_ref().filter(|legal| !what.contains(*legal)) {
            let and = if self.seen.is_some() { "and" } else { "where" };
            text += &format!(", {and} in the reference {legal}");
        }
        if let Some(StepAt {
            call, step, about, ..
        }) = &self.cause
        {
            let (name, kind) = (step_name(step), kind(*call));
            text += &format!(", since `{name}` of call {} ({kind})", call + 1);
            if !about.is_empty() {
                text += &format!(": {about}");
            }
        }
        text
    }

    /// What differs of the call's answer and the one that the reference would have given, if they do: as
    /// races were named before they were by steps, and in a sentence.
    pub fn as_answer(
        &self,
        program: &Program,
        outcomes: &[Option<Outcome>],
    ) -> Option<(Signature, String)> {
        let call = self.step.call;
        let kind = program.calls.get(call)?.call.kind();
        if kind == CallKind::Fork {
            // The two may number tasks otherwise.
            return None;
        }
        let theirs = (*outcomes.get(call)?)?;
        let (field, what) = outcome::difference(kind, self.nearest?, theirs)?;
        let signature = Signature {
            rule: Rule::Outcome,
            call: kind.name(),
            field,
        };
        Some((signature, what))
    }

    /// Whether it says more than the signature does.
    pub fn tells(&self) -> bool {
        self.legal.is_some() || self.cause.is_some()
    }

    /// The signature of a divergence that shows here: the rule, the step, and the call's list of steps
    /// that it raced with.
    pub fn signature(&self, found: &Signature) -> Signature {
        let met = self.cause.as_ref().or(self.beside.as_ref());
        let call = step_name(&self.step.step);
        match found.rule {
            // Who broke a design's own protocol is told by the rule; where is chance.
            Rule::Breach(_) => Signature {
                call: RUN,
                ..found.clone()
            },
            // A mark that stands wrong does so beside whoever comes.
            Rule::CommitPoint => Signature {
                rule: found.rule,
                call,
                field: MARKS,
            },
            rule => Signature {
                rule,
                call,
                field: met.map_or(ALONE, |met| list_name(&met.step)),
            },
        }
    }
}

/// Stands for the step where a protocol was broken that any step may break.
const RUN: &str = "run";
/// Stands for the other call where the marks are what is wrong.
pub const MARKS: &str = "marks";
/// Stands for the other call where there is none.
pub const ALONE: &str = "nobody";
