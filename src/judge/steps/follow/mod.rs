//! Takes the reference along the path that a candidate's marks are.
//!
//! At a mark the reference takes steps of the mark's call up to the one that the mark tells of;
//! steps before it that need no mark are taken silently. A step that has to wait lets other calls
//! take steps that need no mark. What a mark tells is compared with what the step did, what a call
//! answers when it returns, and the whole state at the end.
//!
//! | | |
//! |---|---|
//! | `mark` | from a mark to the step that it tells of |
//! | `look` | marks for which the reference has no step of its own |
//! | `choose` | which way a step goes, by what marks tell |
//! | `take` | one step of the reference, and steps of others for which it has to wait |
//! | `compare` | what a mark tells, and what its step did |
//! | `settle` | returns of calls, and the end of the race |
//! | `quiet` | laws of the reference itself, at quiet points |

mod choose;
mod compare;
mod look;
mod mark;
mod quiet;
mod settle;
mod take;

pub(super) use take::ahead;

use vmadiff_contract::{
    About, Call, Choice, Event, MmId, Offer, Outcome, PageState, Snapshot, Stepped, TaskId,
};

use super::path::{Race, What};
use quiet::Quiet;

use crate::judge::life::Life;
use crate::judge::names::Names;
use crate::judge::{Divergence, Rule};
use crate::run::Recorder;

/// Where the candidate and the reference part.
#[derive(Clone, Debug)]
pub struct Objection {
    /// The rule that is broken.
    pub rule: Rule,
    /// The signature's field.
    pub field: &'static str,
    /// The item at which it shows; none: the state at the end.
    pub item: Option<usize>,
    /// The step of the reference at which they part.
    pub step: Option<Offer>,
    /// Another call that was under way then, the last one that took a step.
    pub with: Option<usize>,
    /// What differs, in a sentence.
    pub what: String,
    /// A bound stopped the follower: whether the reference can do the same is not known.
    pub bounded: bool,
}

type Followed<T = ()> = Result<T, Box<Objection>>;

/// Steps that one mark may stand behind; a call that populates takes a few thousand.
const SILENT_MAX: usize = 20_000;

/// A step that the reference took, for who wants to see its way.
#[derive(Clone, Debug)]
pub struct Trod {
    /// The item at which it was taken.
    pub item: usize,
    /// Whose call, by its index in the program.
    pub call: usize,
    /// The step, with the way that it went.
    pub step: Offer,
    /// What it was about.
    pub about: Vec<About>,
}

/// Follows one race after another; keeps its memory.
#[derive(Default)]
pub struct Follower {
    /// The steps that were taken, if they are kept.
    pub trail: Option<Vec<Trod>>,
    names: Names,
    life: Life,
    quiet: Quiet,
    calls: Vec<Pending>,
    /// Calls that are under way, the one that took a step last behind the others.
    under_way: Vec<usize>,
    about: Vec<About>,
    ways: Vec<Choice>,
    ours: Snapshot,
    theirs: Snapshot,
    /// The item that is being followed.
    item: usize,
    /// Steps that were taken.
    taken: u64,
}

/// A call, as far as it has come.
#[derive(Default)]
struct Pending {
    /// Who makes it in the reference; none: it has not begun there, or was answered at once.
    task: Option<TaskId>,
    /// What it answers though it has no steps.
    answer: Option<Outcome>,
    /// Its task was not there when it began.
    unborn: bool,
    /// What it raised.
    events: Vec<Event>,
    allocated: usize,
    anons: usize,
    linked: usize,
    /// The step that was told last: another mark may tell of another object of it.
    last: Vec<About>,
    /// What marks have told of that step, in the candidate's names.
    told: Vec<About>,
    step: Option<Offer>,
    /// Pages that it charged, or gave back.
    charged: u64,
    /// Steps that were taken where another call waited for them, and what they were about; their marks come.
    early: Vec<(Offer, About)>,
    /// That step refused, which is yet to be told.
    refused: bool,
    /// A refusal was told: only undoing follows.
    refusal_told: bool,
    /// How many steps had been taken when it was told.
    told_at: u64,
    /// How many when it was last seen to have come to a flush.
    flushed_at: u64,
}

/// A step that was taken.
struct Done {
    offer: Offer,
    choice: Choice,
    refused: bool,
    /// It only looked at its entry.
    left_alone: bool,
    returned: Option<Outcome>,
    /// The entry that the mark is about, before and after; and as the TLB held it.
    before: Option<PageState>,
    after: Option<PageState>,
    held: Option<PageState>,
    /// Pages that it charged, or gave back.
    charged: u64,
}

/// An entry that a mark is about, in the reference's names.
type Place = Option<(MmId, u64)>;

impl Follower {
    /// One that keeps the steps that it takes.
    pub fn with_trail() -> Self {
        Self {
            trail: Some(Vec::new()),
            ..Self::default()
        }
    }

    /// Follows a race on a reference that may be in any state.
    ///
    /// # Errors
    /// Where they part.
    pub fn follow(&mut self, race: &Race<'_>, reference: &mut dyn Stepped) -> Followed {
        self.boot(race, reference);
        for (at, item) in race.items.iter().enumerate() {
            self.item = at;
            match item.what {
                What::Begin => self.begin(race, reference, item.call as usize),
                What::Mark(mark) => self.mark(race, reference, *item, &mark)?,
                What::End => self.end(race, reference, item.call as usize)?,
            }
        }
        self.settle(race, reference)
    }

    /// As [`Follower::follow`]; behind an objection calls go on to their ends as the reference does, where
    /// they have returned. Before each item `look` is told the step of the trace at which it happened.
    pub(super) fn follow_through(
        &mut self,
        race: &Race<'_>,
        reference: &mut dyn Stepped,
        look: &mut dyn FnMut(u32, &dyn Stepped),
    ) {
        self.boot(race, reference);
        let mut parted = false;
        for (at, item) in race.items.iter().enumerate() {
            look(item.at, reference);
            self.item = at;
            let call = item.call as usize;
            match item.what {
                What::Begin => self.begin(race, reference, call),
                What::Mark(mark) if !parted => {
                    parted = self.mark(race, reference, *item, &mark).is_err();
                }
                What::Mark(_) => {}
                What::End => {
                    parted = parted || self.end(race, reference, call).is_err();
                    if parted {
                        self.end_alone(race, reference, call);
                    }
                }
            }
        }
        look(u32::MAX, reference);
        Recorder::clear();
    }

    /// Which objects are which, as far as the last race told.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// A law that the reference broke in the last race, if it did.
    pub(super) fn broken(&mut self) -> Option<Divergence> {
        self.quiet.take_broken()
    }

    /// Steps of the reference that were taken since the follower was made.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    fn boot(&mut self, race: &Race<'_>, reference: &mut dyn Stepped) {
        reference.drive(&race.program.config);
        Recorder::clear();
        self.names.clear(race.threads());
        self.quiet.reset();
        self.under_way.clear();
        if let Some(trail) = &mut self.trail {
            trail.clear();
        }
        self.calls
            .resize_with(race.program.calls.len(), Pending::default);
        for call in &mut self.calls {
            let Pending {
                task,
                answer,
                unborn,
                events,
                allocated,
                anons,
                linked,
                last,
                told,
                step,
                charged,
                early,
                refused,
                refusal_told,
                told_at,
                flushed_at,
            } = call;
            (*told_at, *flushed_at, *charged) = (0, 0, 0);
            (*task, *answer, *step) = (None, None, None);
            (*unborn, *refused, *refusal_told) = (false, false, false);
            (*allocated, *anons, *linked) = (0, 0, 0);
            events.clear();
            last.clear();
            told.clear();
            early.clear();
        }
    }

    fn begin(&mut self, race: &Race<'_>, reference: &mut dyn Stepped, call: usize) {
        let (step, theirs) = (&race.program.calls[call], race.outcomes[call]);
        let pending = &mut self.calls[call];
        pending.answer = if theirs == Some(Outcome::Unsupported) {
            theirs
        } else if step.task == TaskId(0) && step.call == Call::Softirq {
            Some(Outcome::Value(0))
        } else {
            None
        };
        if pending.answer.is_some() {
            return;
        }
        let task = self.names.task(step.task);
        pending.unborn = task.is_none();
        let Some(task) = task else {
            // A fork that is under way may still make it.
            return;
        };
        match reference.begin(task, &step.call, step.fail) {
            Ok(()) => {
                pending.task = Some(task);
                self.quiet.begin(!self.under_way.is_empty());
                self.under_way.push(call);
            }
            Err(outcome) => pending.answer = Some(outcome),
        }
    }

    /// Begins a call whose task was not there before.
    fn begin_late(&mut self, race: &Race<'_>, reference: &mut dyn Stepped, call: usize) {
        let pending = &self.calls[call];
        let no_task = race.outcomes[call] == Some(Outcome::NoTask);
        if pending.unborn && pending.task.is_none() && pending.answer.is_none() && !no_task {
            self.begin(race, reference, call);
        }
    }

    fn misplaced(&self, step: Option<Offer>, what: &str) -> Box<Objection> {
        self.object(Rule::CommitPoint, "misplaced", step, what.to_owned())
    }

    /// A bound was met.
    fn bounded(&self) -> Box<Objection> {
        let what = format!("no step of {SILENT_MAX} is the one that is marked");
        let mut objection = self.object(Rule::CommitPoint, "bound", None, what);
        objection.bounded = true;
        objection
    }

    #[cold]
    fn object(
        &self,
        rule: Rule,
        field: &'static str,
        step: Option<Offer>,
        what: String,
    ) -> Box<Objection> {
        let own = self.under_way.last();
        let others = self.under_way.iter().rev();
        let with = others.copied().find(|other| Some(other) != own);
        Box::new(Objection {
            rule,
            field,
            item: Some(self.item),
            step,
            with,
            what,
            bounded: false,
        })
    }
}
