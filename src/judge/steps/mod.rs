//! Judges races by steps: the candidate's marks are a path of the reference's steps, and the
//! reference takes the same ones, in the same order, and must see and leave the same
//! (docs/steps.md).
//!
//! | | |
//! |---|---|
//! | `path` | begins, marks and returns of calls, in one order |
//! | `rows` | which rows of the lists have to be marked |
//! | `follow` | takes the reference along the path |
//! | `told` | what a mark tells, against what the step did |
//! | `order` | whether another order of steps explains the outcomes and the end: the marks are wrong |
//!
//! No verdict is founded on it yet: its tests follow races of the reference with itself, and count
//! how far the candidate's marks are followed.

mod follow;
mod order;
mod path;
mod rows;
mod told;

use vmadiff_contract::Stepped;

pub use follow::{Follower, Objection, Trod};
pub use order::{Orders, Searched};
pub use path::{Item, Race, What, items};
pub use rows::must_be_marked;
pub use told::{about_text, mark_text};

use super::Rule;

/// Judges races by steps; keeps its memory from race to race.
#[derive(Default)]
pub struct StepJudge {
    follower: Follower,
    orders: Orders,
    /// Races whose search was stopped by its bound.
    pub undecided: u64,
}

impl StepJudge {
    /// What is objected to in a race; none: the reference did the same. Where another order of
    /// steps than that of the marks explains it, the marks are wrong: [`Rule::CommitPoint`].
    pub fn judge(
        &mut self,
        race: &Race<'_>,
        reference: &mut dyn Stepped,
    ) -> Option<Box<Objection>> {
        let mut objection = self.follower.follow(race, reference).err()?;
        match self.orders.explain(race, reference) {
            Searched::Explained => objection.rule = Rule::CommitPoint,
            Searched::Refuted => {}
            Searched::Unknown => self.undecided += 1,
        }
        Some(objection)
    }
}
