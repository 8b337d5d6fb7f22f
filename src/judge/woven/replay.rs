//! Replays the parts of a woven run on the reference in some order, and lists what differs.

use vmadiff_contract::{Call, Errno, Event, Fail, Note, Outcome, Replay, Snapshot, TaskId, Touch};

use super::life::Life;
use super::names::Names;
use super::order::{Serves, Setting};
use super::parts::{Act, Part, Parts};
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
    pub fn begin<R: Replay>(&mut self, trial: &Trial<'_>, reference: &mut R) {
        reference.reset(&trial.program.config);
        self.names.clear(trial.program.config.tasks.clamp(1, 8));
        self.objections.clear();
        Recorder::clear();
    }

    /// Replays a whole order. `eager`: the first objection is enough.
    pub fn run<R: Replay>(
        &mut self,
        trial: &Trial<'_>,
        reference: &mut R,
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
    pub fn part<R: Replay>(
        &mut self,
        trial: &Trial<'_>,
        reference: &R,
        i: usize,
        setting: Setting,
    ) -> bool {
        let part = &trial.parts.list[i];
        let step = &trial.program.calls[part.call];
        let theirs = trial.woven.outcomes[part.call].unwrap_or(Outcome::NoTask);
        let before = self.objections.len();
        match self.names.task(step.task) {
            None if theirs == Outcome::NoTask => {}
            None => self.object(
                i,
                part,
                Rule::Outcome,
                "kind",
                "there is no such task".into(),
            ),
            Some(task) => match part.act {
                Act::Section if setting.serves == Serves::Nothing => {}
                Act::Section => self.section(trial, reference, i, task, theirs),
                Act::Fault(touch) => self.fault(reference, i, part, step, task, touch, setting),
                Act::Unserved(touch) => self.unserved(reference, i, part, task, touch, setting),
                Act::Access => self.access(reference, i, part, step, task, theirs),
                Act::Refused(touch) => {
                    let ours = refused(reference, part, step, task, touch, theirs, setting);
                    self.compare(i, part, step, ours, theirs);
                }
            },
        }
        Recorder::clear();
        self.objections.len() == before
    }

    fn section<R: Replay>(
        &mut self,
        trial: &Trial<'_>,
        reference: &R,
        i: usize,
        task: TaskId,
        theirs: Outcome,
    ) {
        let part = &trial.parts.list[i];
        let step = &trial.program.calls[part.call];
        let ours = reference.section(task, &step.call, step.fail);
        match (step.call, ours, theirs) {
            (Call::Fork, Outcome::Value(ours), Outcome::Value(theirs)) => {
                if !self.names.tasks.pair(theirs as u32, ours as u32) {
                    let what = format!("task {theirs} is made twice");
                    self.object(i, part, Rule::Outcome, "value", what);
                }
            }
            // What the populating answers is not the section's.
            (
                Call::Mlock { .. } | Call::Mlock2 { .. },
                Outcome::Value(0),
                Outcome::Errno(Errno::ENOMEM | Errno::EAGAIN),
            ) => {}
            _ => self.compare(i, part, step, ours, theirs),
        }
        let theirs = trial.parts.life_of(part.call);
        let Self { life, names, .. } = self;
        let differs = Recorder::drain(|ours| life.differs(names, ours, theirs));
        if let Some(kind) = differs {
            let what = format!("{kind} events differ from those of the same call in the reference");
            self.object(i, part, Rule::Events, kind, what);
        }
    }

    #[expect(clippy::too_many_arguments)]
    fn fault<R: Replay>(
        &mut self,
        reference: &R,
        i: usize,
        part: &Part,
        step: &Step,
        task: TaskId,
        touch: Touch,
        setting: Setting,
    ) {
        let addr = address(step, part);
        let lender = setting.lender.into();
        let ours = match setting.serves {
            Serves::Page => reference.fault(task, addr, touch, lender),
            Serves::Anon => reference.prepare(task, addr, lender),
            Serves::Nothing => Outcome::Value(0),
        };
        if ours != Outcome::Value(0) {
            let what = format!(
                "a fault on page {:#x} was served, where the reference answers {}",
                part.page.unwrap_or(addr),
                outcome_text(step.call.kind(), ours)
            );
            self.object(i, part, Rule::FaultUnexplained, "served", what);
        }
    }

    /// A populated page that could not be had: for a reason that the reference shares, or, where
    /// an allocation was made to fail, after the area's anon_vma or before.
    fn unserved<R: Replay>(
        &mut self,
        reference: &R,
        i: usize,
        part: &Part,
        task: TaskId,
        touch: Touch,
        setting: Setting,
    ) {
        let (page, lender) = (part.page.unwrap_or_default(), setting.lender.into());
        match (setting.serves, touch) {
            (Serves::Page, _) => {
                if reference.fault(task, page, touch, lender) == Outcome::Value(0) {
                    let what = format!("page {page:#x} was not populated, the reference has it");
                    self.object(i, part, Rule::FaultUnexplained, "refused", what);
                }
            }
            (Serves::Anon, Touch::Store) => {
                reference.prepare(task, page, lender);
            }
            (Serves::Anon | Serves::Nothing, _) => {}
        }
    }

    fn access<R: Replay>(
        &mut self,
        reference: &R,
        i: usize,
        part: &Part,
        step: &Step,
        task: TaskId,
        theirs: Outcome,
    ) {
        let ours = reference.call(task, &step.call, Fail::NONE);
        self.compare(i, part, step, ours, theirs);
        let served = |e: &Event| matches!(e, Event::Note(Note::Classic));
        let faulted = Recorder::drain(|events| events.iter().any(served));
        if ours == theirs && faulted {
            let page = part.page.unwrap_or_default();
            let what = format!(
                "an access to page {page:#x} went through, where the reference has no entry that \
                 allows it"
            );
            self.object(i, part, Rule::StaleEntry, "entry", what);
        }
    }

    fn compare(&mut self, i: usize, part: &Part, step: &Step, ours: Outcome, theirs: Outcome) {
        if let Some((field, what)) = outcome::difference(step.call.kind(), ours, theirs) {
            self.object(i, part, Rule::Outcome, field, what);
        }
    }

    /// All parts were replayed: compares the states at the end.
    pub fn settle<R: Replay>(&mut self, trial: &Trial<'_>, reference: &R) -> bool {
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

    fn object(&mut self, i: usize, part: &Part, rule: Rule, field: &'static str, what: String) {
        self.objections.push(Objection {
            rule,
            field,
            part: Some(i),
            page: part.page,
            what,
        });
    }
}

/// What the reference answers to an access that was refused.
fn refused<R: Replay>(
    reference: &R,
    part: &Part,
    step: &Step,
    task: TaskId,
    touch: Touch,
    theirs: Outcome,
    setting: Setting,
) -> Outcome {
    if theirs == Outcome::Oom {
        return reference.call(task, &step.call, step.fail);
    }
    let ours = reference.fault(task, address(step, part), touch, setting.lender.into());
    match ours {
        // It would have been served.
        Outcome::Value(0) => reference.call(task, &step.call, Fail::NONE),
        _ => ours,
    }
}

/// Where a part's fault was: an access's own address, or a page that is populated.
fn address(step: &Step, part: &Part) -> u64 {
    match step.call {
        Call::Load { addr } | Call::Store { addr, .. } | Call::Exec { addr } => addr,
        _ => part.page.unwrap_or_default(),
    }
}
