//! Replays the parts of a woven run on the reference in some order, and lists what differs.

use vmadiff_contract::{
    Call, CallKind, Errno, Event, Fail, Note, Outcome, Replay, Snapshot, TaskId, Touch,
};

use super::order::{Serves, Setting};
use super::parts::{Act, Part, Parts};
use super::rewritten;
use crate::judge::life::Life;
use crate::judge::names::Names;
use crate::judge::{Rule, outcome, state};
use crate::program::text::outcome_text;
use crate::program::{Program, Step};
use crate::run::{Recorder, Woven};

/// Something that the replay did otherwise than the run.
#[derive(Clone, Debug)]
pub struct Objection {
    pub rule: Rule,
    /// The signature's field.
    pub field: &'static str,
    /// The part at which it shows; none: the state at the end.
    pub part: Option<usize>,
    /// The page that it is about, whosever.
    pub page: Option<u64>,
    pub what: String,
}

/// A run to be explained.
#[derive(Clone, Copy)]
pub struct Trial<'a> {
    pub program: &'a Program,
    pub woven: &'a Woven,
    pub parts: &'a Parts,
}

/// So many pages at the end make a section as dear as a part about one page.
const PAGES: usize = 32;

impl Trial<'_> {
    /// What it takes to replay a part, in parts about one page.
    pub fn cost(&self, part: &Part) -> usize {
        if part.is_section() {
            1 + self.cost_of_state()
        } else {
            1
        }
    }

    /// What it takes to look at the whole state.
    pub fn cost_of_state(&self) -> usize {
        self.woven.state.pages.len() / PAGES
    }

    /// Whether a call overlaps another that is of a kind.
    pub fn meets(&self, call: usize, is: impl Fn(usize) -> bool) -> bool {
        (0..self.program.calls.len())
            .any(|other| other != call && is(other) && self.parts.calls_overlap(call, other))
    }

    /// Whether a fork had copied its areas by the time that another took the last number for a task:
    /// they are freed again, which the laws see to.
    pub fn late_refusal(&self, call: usize) -> bool {
        let fork = |call: usize| self.program.calls[call].call == Call::Fork;
        let refused = self.woven.outcomes[call] == Some(Outcome::Errno(Errno::EAGAIN));
        fork(call) && refused && self.meets(call, fork)
    }

    /// The access to where an mremap that overlaps has moved its page.
    fn moved(&self, part: &Part) -> Call {
        let mut others = self.parts.list.iter().filter(|o| o.overlaps(part));
        let by = others.find_map(|other| other.moves(self.program, self.woven, part));
        let by = by.unwrap_or_default();
        match self.program.calls[part.call].call {
            Call::Load { addr } => Call::Load {
                addr: addr.wrapping_add(by),
            },
            Call::Exec { addr } => Call::Exec {
                addr: addr.wrapping_add(by),
            },
            Call::Store { addr, value } => Call::Store {
                addr: addr.wrapping_add(by),
                value,
            },
            call => call,
        }
    }
}

/// Replays orders; keeps its memory from one to the next.
#[derive(Default)]
pub struct Replayer {
    names: Names,
    life: Life,
    ours: Snapshot,
    theirs: Snapshot,
    /// What differed in the last order.
    pub objections: Vec<Objection>,
}

impl Replayer {
    /// Boots the reference.
    pub fn begin(&mut self, trial: &Trial<'_>, reference: &mut dyn Replay) {
        reference.reset(&trial.program.config);
        self.names.clear(trial.program.config.tasks.clamp(1, 8));
        self.objections.clear();
        Recorder::clear();
    }

    /// Replays a whole order. `eager`: the first objection is enough.
    pub fn run(
        &mut self,
        trial: &Trial<'_>,
        reference: &mut dyn Replay,
        sorted: &[usize],
        settings: &[Setting],
        eager: bool,
    ) -> bool {
        self.begin(trial, reference);
        for &i in sorted {
            self.part(trial, reference, i, settings[i]);
            if eager && !self.objections.is_empty() {
                return false;
            }
        }
        self.settle(trial, reference)
    }

    /// Replays one part; whether it went as in the run.
    pub fn part(
        &mut self,
        trial: &Trial<'_>,
        reference: &dyn Replay,
        index: usize,
        setting: Setting,
    ) -> bool {
        let part = &trial.parts.list[index];
        let step = &trial.program.calls[part.call];
        let theirs = trial.woven.outcomes[part.call].unwrap_or(Outcome::NoTask);
        let before = self.objections.len();
        let here = |task| Here {
            index,
            part,
            step,
            task,
            theirs,
            setting,
        };
        match self.names.task(step.task) {
            None if theirs == Outcome::NoTask => {}
            None => {
                let what = format!("there is no task {}", step.task);
                self.object(&here(step.task), Rule::Outcome, "kind", what);
            }
            // Its address space was there before it was.
            Some(_) if theirs == Outcome::NoTask && unborn(trial, part.call) => {}
            Some(task) => self.act(trial, reference, &here(task)),
        }
        Recorder::clear();
        self.objections.len() == before
    }

    fn act(&mut self, trial: &Trial<'_>, reference: &dyn Replay, here: &Here<'_>) {
        match here.part.act {
            Act::Section if here.setting.serves == Serves::Nothing => {}
            Act::Section => self.section(trial, reference, here),
            Act::Fault(touch) => self.fault(reference, here, touch),
            Act::Unserved(touch) => self.unserved(trial, reference, here, touch),
            Act::Access => self.access(trial, reference, here),
            Act::Refused(touch) => {
                let ours = refused(reference, here, touch);
                self.compare(here, ours);
            }
        }
    }

    fn section(&mut self, trial: &Trial<'_>, reference: &dyn Replay, here: &Here<'_>) {
        let Here {
            part, step, theirs, ..
        } = *here;
        let ours = reference.section(here.task, &step.call, step.fail);
        match (step.call, ours, theirs) {
            (Call::Fork, Outcome::Value(ours), Outcome::Value(theirs)) => {
                if !self.names.tasks.pair(theirs as u32, ours as u32) {
                    let what = format!("task {theirs} is made twice");
                    self.object(here, Rule::Outcome, "value", what);
                }
            }
            // What the populating answers is not the section's.
            (
                Call::Mlock { .. } | Call::Mlock2 { .. },
                Outcome::Value(0),
                Outcome::Errno(Errno::ENOMEM | Errno::EAGAIN),
            ) => {}
            _ => self.compare(here, ours),
        }
        if trial.late_refusal(part.call) {
            return;
        }
        let theirs = trial.parts.life_of(part.call);
        let Self { life, names, .. } = self;
        let differs = Recorder::drain(|ours| life.differs(names, ours, theirs));
        if let Some(kind) = differs {
            let what = format!("{kind} events differ from those of the same call in the reference");
            self.object(here, Rule::Events, kind, what);
        }
    }

    fn fault(&mut self, reference: &dyn Replay, here: &Here<'_>, touch: Touch) {
        let (addr, lender) = (here.address(), here.setting.lender.into());
        let ours = match here.setting.serves {
            Serves::Page => reference.fault(here.task, addr, touch, lender),
            Serves::Anon => reference.prepare(here.task, addr, lender, Fail::NONE),
            Serves::Nothing | Serves::Moved => Outcome::Value(0),
        };
        if ours != Outcome::Value(0) {
            let what = format!(
                "a fault on page {:#x} was served, where the reference answers {}",
                here.part.page.unwrap_or(addr),
                outcome_text(CallKind::Load, ours)
            );
            self.object(here, Rule::FaultUnexplained, "served", what);
        }
    }

    /// A populated page that could not be had: for a reason that the reference shares, or, where
    /// an allocation was made to fail, after the area's anon_vma or before.
    fn unserved(
        &mut self,
        trial: &Trial<'_>,
        reference: &dyn Replay,
        here: &Here<'_>,
        touch: Touch,
    ) {
        let (page, lender) = (here.address(), here.setting.lender.into());
        match (here.setting.serves, touch) {
            (Serves::Page, _) => {
                if reference.fault(here.task, page, touch, lender) == Outcome::Value(0) {
                    let what = format!("page {page:#x} was not populated, the reference has it");
                    self.object(here, Rule::FaultUnexplained, "refused", what);
                }
            }
            (Serves::Anon, Touch::Store) => {
                // What failed was the anon_vma, or what comes after it.
                let fail = Fail(u8::from(!trial.parts.took_fresh_anon(here.part)));
                reference.prepare(here.task, page, lender, fail);
            }
            (Serves::Anon | Serves::Nothing | Serves::Moved, _) => {}
        }
    }

    fn access(&mut self, trial: &Trial<'_>, reference: &dyn Replay, here: &Here<'_>) {
        let call = match here.setting.serves {
            Serves::Moved => trial.moved(here.part),
            _ => here.step.call,
        };
        let ours = reference.call(here.task, &call, Fail::NONE);
        self.compare(here, ours);
        let served = |e: &Event| matches!(e, Event::Note(Note::Classic));
        let faulted = Recorder::drain(|events| events.iter().any(served));
        if ours == here.theirs && faulted {
            let page = here.part.page.unwrap_or_default();
            let what = format!(
                "an access to page {page:#x} went through, where the reference has no entry that \
                 allows it"
            );
            self.object(here, Rule::StaleEntry, "entry", what);
        }
    }

    fn compare(&mut self, here: &Here<'_>, ours: Outcome) {
        let kind = here.step.call.kind();
        if let Some((field, what)) = outcome::difference(kind, ours, here.theirs) {
            self.object(here, Rule::Outcome, field, what);
        }
    }

    /// All parts were replayed: compares the states at the end.
    pub fn settle(&mut self, trial: &Trial<'_>, reference: &dyn Replay) -> bool {
        reference.snapshot(&mut self.ours);
        let Self {
            names,
            ours,
            theirs,
            objections,
            ..
        } = self;
        names.translate(ours, &trial.woven.state, theirs);
        if objections.is_empty() && state::same(ours, theirs) {
            return true;
        }
        rewritten::admit(trial, ours, theirs);
        for difference in state::differences(ours, theirs) {
            let lost = difference.field.contains("bytes");
            objections.push(Objection {
                rule: if lost { Rule::LostStore } else { Rule::State },
                field: difference.field,
                part: None,
                page: difference.page,
                what: difference.what,
            });
        }
        objections.is_empty()
    }

    /// Which objects are which, as far as the last order told.
    pub fn names(&self) -> &Names {
        &self.names
    }

    fn object(&mut self, here: &Here<'_>, rule: Rule, field: &'static str, what: String) {
        self.objections.push(Objection {
            rule,
            field,
            part: Some(here.index),
            page: here.part.page,
            what,
        });
    }
}

/// Whether a call was made while the fork was under way that makes its task: areas are copied under
/// mmap_sem, and the task can be found only after that.
fn unborn(trial: &Trial<'_>, call: usize) -> bool {
    let calls = &trial.program.calls;
    let task = u64::from(calls[call].task.0);
    trial.meets(call, |other| {
        let made = trial.woven.outcomes[other] == Some(Outcome::Value(task));
        calls[other].call == Call::Fork && made
    })
}

/// A part that is being replayed.
struct Here<'a> {
    index: usize,
    part: &'a Part,
    step: &'a Step,
    /// Who makes the call, in the reference's names.
    task: TaskId,
    /// What the candidate's call answered.
    theirs: Outcome,
    setting: Setting,
}

impl Here<'_> {
    /// Where a fault was: an access's own address, or a page that is populated.
    fn address(&self) -> u64 {
        match self.step.call {
            Call::Load { addr } | Call::Store { addr, .. } | Call::Exec { addr } => addr,
            _ => self.part.page.unwrap_or_default(),
        }
    }
}

/// What the reference answers to an access that was refused. Where an allocation is made to fail it
/// is first tried whole: only a speculative fault that gave up can have used the failure up.
fn refused(reference: &dyn Replay, here: &Here<'_>, touch: Touch) -> Outcome {
    let (call, fail) = (&here.step.call, here.step.fail);
    if fail != Fail::NONE {
        match here.setting.serves {
            Serves::Page => return reference.call(here.task, call, fail),
            Serves::Anon => {}
            Serves::Nothing | Serves::Moved => return here.theirs,
        }
    }
    let lender = here.setting.lender.into();
    match reference.fault(here.task, here.address(), touch, lender) {
        // It would have been served.
        Outcome::Value(0) => reference.call(here.task, call, Fail::NONE),
        ours => ours,
    }
}
