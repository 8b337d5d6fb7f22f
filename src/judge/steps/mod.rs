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
//! | `signed` | what steps are called in signatures |
//! | `parting` | where a race and the reference part, for signatures and reports |
//! | `order` | whether another order of steps explains the outcomes and the end: the marks are wrong |
//! | `faults` | a task counts the faults that it was served |
//! | `stored` | what was stored is what is loaded, whatever the steps were |
//! | `scenes` | a race scene by scene, for pictures |
//!
//! A run that is followed to its end agrees, and one that is objected to is a finding. The search over
//! orders only says which: wrong marks, or a wrong manager. Tests follow races of the reference with
//! itself, and count how far the candidate's marks are followed.

mod faults;
mod follow;
mod order;
mod parting;
mod path;
mod rows;
mod scenes;
mod signed;
mod stored;
mod told;

use vmadiff_contract::{Event, Stepped};

pub use follow::{Follower, Objection, Trod};
pub use order::{Orders, STATES_MAX, STATES_MAX_OF_MARKS, Searched};
pub use parting::{ALONE, MARKS, Parting, StepAt};
pub use path::{Item, Race, What, items};
pub use rows::must_be_marked;
pub use scenes::Scene;
pub use signed::{list_name, list_names, step_name, step_names};
pub use told::{about_text, mark_text, rights_text};

use super::{Divergence, Rule, Signature, Verdict, life};
use crate::program::Program;
use crate::run::{Recorder, Woven};

/// Why a race is left unjudged: nothing else is.
pub const UNJUDGED: &str = "the reference takes more steps for one mark than are tried";

/// Judges races by steps; keeps its memory from race to race.
#[derive(Default)]
pub struct StepJudge {
    follower: Follower,
    stored: stored::Stored,
    orders: Orders,
    items: Vec<Item>,
    life: Vec<(u32, Event)>,
    /// Races whose search over orders was stopped by its bound.
    pub undecided: u64,
}

impl StepJudge {
    /// Judges a run that came to its end, by its marks. The reference may be in any state.
    pub fn verdict(
        &mut self,
        program: &Program,
        reference: &mut dyn Stepped,
        woven: &Woven,
    ) -> Verdict {
        if let Some(divergence) = faults::miscounted(woven) {
            return Verdict::Diverge(divergence);
        }
        self.with_race(program, woven, |judge, race| {
            match judge.judge(race, reference) {
                None => judge.beside(race).map_or(Verdict::Agree, Verdict::Diverge),
                Some(objection) if objection.bounded => Verdict::Skip(UNJUDGED.to_owned()),
                Some(objection) => Verdict::Diverge(divergence(race, *objection)),
            }
        })
    }

    /// What the laws beside the steps object to in a race that was followed to its end.
    pub fn beside(&mut self, race: &Race<'_>) -> Option<Divergence> {
        let broken = self.follower.broken();
        broken.or_else(|| self.stored.lost(race))
    }

    /// Where a run that diverges parts from the reference, which may be in any state; none: its marks
    /// do not tell.
    pub fn part(
        &mut self,
        program: &Program,
        reference: &mut dyn Stepped,
        woven: &Woven,
        divergence: &Divergence,
    ) -> Option<Parting> {
        if woven.marks.is_empty() {
            return None;
        }
        self.with_race(program, woven, |_, race| {
            let mut follower = Follower::with_trail();
            let mut spans = Vec::new();
            race.spans(&mut spans);
            let objection = follower.follow(race, reference).err();
            let followed = parting::Followed {
                race,
                spans: &spans,
                woven,
                trail: follower.trail.as_deref().unwrap_or_default(),
                names: follower.names(),
                reference,
                objection: objection.as_deref(),
            };
            followed.part(divergence)
        })
    }

    /// Does something with a run as a race.
    fn with_race<T>(
        &mut self,
        program: &Program,
        woven: &Woven,
        act: impl FnOnce(&mut Self, &Race<'_>) -> T,
    ) -> T {
        let mut path = std::mem::take(&mut self.items);
        let mut life = std::mem::take(&mut self.life);
        items(woven, &mut path);
        life.clear();
        let raised = woven.events.iter();
        let told = raised.filter(|raised| life::is_read(&raised.event));
        life.extend(told.filter_map(|raised| raised.call.map(|call| (call, raised.event))));
        life.sort_by_key(|&(call, _)| call);
        let race = Race {
            program,
            items: &path,
            outcomes: &woven.outcomes,
            life: &life,
            state: &woven.state,
        };
        let done = act(self, &race);
        (self.items, self.life) = (path, life);
        Recorder::clear();
        done
    }

    /// What is objected to in a race; none: the reference did the same. Where another order of
    /// steps than that of the marks explains it, the marks are wrong: [`Rule::CommitPoint`].
    pub fn judge(
        &mut self,
        race: &Race<'_>,
        reference: &mut dyn Stepped,
    ) -> Option<Box<Objection>> {
        let mut objection = self.follower.follow(race, reference).err()?;
        // The search pairs areas by their places, and does not ask what calls raised: it explains neither.
        let unasked = objection.rule == Rule::Events || objection.field == "vmas.vma";
        if objection.bounded || unasked {
            return Some(objection);
        }
        let states_max = match objection.rule {
            Rule::CommitPoint => STATES_MAX_OF_MARKS,
            _ => STATES_MAX,
        };
        match self.orders.explain(race, reference, states_max) {
            Searched::Explained => {
                objection.rule = Rule::CommitPoint;
                objection.what +=
                    "; another order of steps explains the run, that of its marks does not";
            }
            // No order would do: it is not the marks that are wrong.
            Searched::Refuted if objection.rule == Rule::CommitPoint => {
                objection.rule = Rule::FaultUnexplained;
                if let Some(step) = objection.what.strip_prefix("a step is not marked: ") {
                    objection.what = format!("the candidate leaves a step out: {step}");
                }
            }
            Searched::Refuted => {}
            Searched::Unknown => {
                self.undecided += 1;
                objection.what += "; not all orders of steps were tried";
            }
        }
        Some(objection)
    }
}

/// An objection as a verdict tells it: the call and the step of the trace at which it shows, and whom
/// it raced with.
fn divergence(race: &Race<'_>, objection: Objection) -> Divergence {
    let item = objection.item.map(|at| race.items[at]);
    let kind = |call: usize| race.kind(call).name();
    let signature = Signature {
        rule: objection.rule,
        call: item.map_or("end", |item| kind(item.call as usize)),
        field: objection.field,
    };
    let own = item.map(|item| item.call as usize);
    let with = objection.with.filter(|with| Some(*with) != own);
    let beside = with.map_or_else(String::new, |with| {
        format!(", beside {} (call {})", kind(with), with + 1)
    });
    Divergence {
        at: item.map(|item| item.call as usize),
        step: item.map(|item| item.at as usize),
        ..Divergence::of(signature, objection.what + &beside)
    }
}
