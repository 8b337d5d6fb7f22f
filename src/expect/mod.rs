//! Compares what a program's text expects with what a manager did.
//!
//! Expectations are the project's memory of what is right: both managers can be wrong in the same
//! way, and then the judge, who compares them, says nothing.

mod maps;
mod unasked;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use vmadiff_contract::{Event, MmId, Outcome, Snapshot, TaskId, VmaId};

use crate::compare::{Shown, View};
use crate::judge::Verdict;
use crate::pair::Ran;
use crate::program::text::{answer_text, maps_lines, outcome_text};
use crate::program::{Case, Check, Counter, Wants};
use crate::run::{Observation, Woven};

use maps::seen_by;
pub use unasked::{Unasked, unasked_in};

/// The address space of the first tasks.
const FIRST: MmId = MmId(1);

/// An expectation that a manager did not meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmet {
    /// The manager: its name, or its part in the run.
    pub manager: &'static str,
    /// Which expectation.
    pub of: Of,
    /// What it is about, as text.
    pub about: String,
    /// What was expected, as text.
    pub expected: String,
    /// What was found instead, as text.
    pub found: String,
}

/// Which of a case's expectations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// What the call of this index answers, or frees.
    Call(usize),
    /// The check of this index.
    Check(usize),
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            manager,
            about,
            expected,
            found,
            ..
        } = self;
        write!(f, "{about}: expected {expected}, {manager} has {found}")
    }
}

/// The points at which a case asks for the state: after how many calls.
pub fn looks(case: &Case) -> Vec<usize> {
    case.checks.iter().map(|check| check.after).collect()
}

/// What a manager did not meet of a case's expectations, in the order of the calls.
pub fn unmet(case: &Case, seen: &Observation) -> Vec<Unmet> {
    unmet_by(case, seen, &View::all())
}

/// What was not met in a run, woven or not, by manager, in the order of the calls. The managers are
/// called by their parts in the run, as in reports.
pub fn unmet_in(case: &Case, ran: &Ran) -> Vec<Unmet> {
    let by = |manager, unmet: Vec<Unmet>| {
        let unmet = unmet.into_iter();
        unmet.map(move |unmet| Unmet { manager, ..unmet })
    };
    let view = &ran.view;
    let all: Vec<Unmet> = match &ran.woven {
        Some(woven) => by("the candidate", unmet_by(case, woven.as_ref(), view)).collect(),
        // Nothing answered, and nothing was asked.
        None if matches!(ran.verdict, Verdict::Skip(_)) => Vec::new(),
        None => by("the reference", unmet_by(case, &ran.reference, view))
            .chain(by("the candidate", unmet_by(case, &ran.candidate, view)))
            .collect(),
    };
    let asked = all.into_iter();
    asked.filter(|unmet| can_be_met(case, ran, unmet)).collect()
}

/// Whether what was not met was asked. Behind a known difference at which a run ended nothing is, nor at
/// one that it went past; what else is not asked, [`unasked_in`] tells.
fn can_be_met(case: &Case, ran: &Ran, unmet: &Unmet) -> bool {
    let ended = ran.known.last().filter(|known| !known.went_on);
    let ended = ended.filter(|_| ran.woven.is_none());
    let made = |calls: usize| ended.is_none_or(|ended| calls <= ended.at);
    match unmet.of {
        Of::Call(at) => {
            let frees = unmet.expected.starts_with("frees") && !ran.view.shows(Shown::EVENTS);
            let known = ran.woven.is_none() && ran.known.iter().any(|known| known.at == at);
            made(at) && !frees && !known && !ran.unmade().contains(&at)
        }
        Of::Check(check) => made(case.checks[check].after) && is_shown(ran, &case.checks[check]),
    }
}

fn is_shown(ran: &Ran, check: &Check) -> bool {
    ran.view.shows(match check.wants {
        Wants::Maps(_) => Shown::AREAS,
        Wants::Status(_) => Shown::COUNTERS,
    })
}

/// What expectations are about.
trait Seen {
    fn manager(&self) -> &'static str;
    fn outcome(&self, call: usize) -> Option<Outcome>;
    /// The state after so many calls.
    fn state(&self, calls: usize) -> Option<&Snapshot>;
    /// All that was raised, in order, each with the call that raised it.
    fn events(&self) -> impl Iterator<Item = (Option<usize>, Event)>;
}

impl Seen for Observation {
    fn manager(&self) -> &'static str {
        self.manager
    }

    fn outcome(&self, call: usize) -> Option<Outcome> {
        self.calls.get(call).map(|observed| observed.outcome)
    }

    fn state(&self, calls: usize) -> Option<&Snapshot> {
        Observation::state(self, calls.checked_sub(1)?)
    }

    fn events(&self) -> impl Iterator<Item = (Option<usize>, Event)> {
        let calls = self.calls.iter().enumerate();
        let raised = calls.flat_map(|(at, call)| call.events.iter().map(move |e| (Some(at), *e)));
        raised.chain(self.deferred.iter().map(|event| (None, *event)))
    }
}

impl Seen for Woven {
    fn manager(&self) -> &'static str {
        self.manager
    }

    fn outcome(&self, call: usize) -> Option<Outcome> {
        self.outcomes.get(call).copied().flatten()
    }

    fn state(&self, _calls: usize) -> Option<&Snapshot> {
        self.finished().then_some(&self.state)
    }

    fn events(&self) -> impl Iterator<Item = (Option<usize>, Event)> {
        let by = |call: Option<u32>| call.map(|call| call as usize);
        let raised = self
            .events
            .iter()
            .map(move |raised| (by(raised.call), raised.event));
        raised.chain(self.deferred.iter().map(|event| (None, *event)))
    }
}

fn unmet_by(case: &Case, seen: &impl Seen, view: &View) -> Vec<Unmet> {
    let mut all = Vec::new();
    let asks = case.expect.iter().any(|expect| expect.frees.is_some());
    let lives = if asks {
        Lives::of(seen)
    } else {
        Lives::default()
    };
    let mut checks = case.checks.iter().enumerate().peekable();
    for index in 0..=case.program.calls.len() {
        while let Some((place, _)) = checks.next_if(|(_, check)| check.after <= index) {
            check_of(case, seen, view, place, &mut all);
        }
        call_of(case, seen, &lives, index, &mut all);
    }
    all
}

/// What a call was expected to answer and to free.
fn call_of(case: &Case, seen: &impl Seen, lives: &Lives, index: usize, all: &mut Vec<Unmet>) {
    let (Some(expect), Some(step)) = (case.expect.get(index), case.program.calls.get(index)) else {
        return;
    };
    let mut object = |expected: String, found: String| {
        all.push(Unmet {
            manager: seen.manager(),
            of: Of::Call(index),
            about: format!("call {}", index + 1),
            expected,
            found,
        });
    };
    if let Some(expected) = expect.outcome {
        let kind = step.call.kind();
        let found = seen.outcome(index);
        if !found.is_some_and(|outcome| expected.is_met_by(outcome)) {
            let found = found.map_or_else(nothing, |outcome| outcome_text(kind, outcome));
            object(answer_text(kind, expected), found);
        }
    }
    if let Some(expected) = &expect.frees {
        let expected: BTreeSet<VmaId> = expected.iter().copied().collect();
        let found = lives.frees.get(&index).cloned().unwrap_or_default();
        if expected != found {
            object(lives.show(&expected), lives.show(&found));
        }
    }
}

/// What was expected of a state.
fn check_of(case: &Case, seen: &impl Seen, view: &View, place: usize, all: &mut Vec<Unmet>) {
    let check = &case.checks[place];
    let state = seen.state(check.after);
    let when = if check.after == case.program.calls.len() {
        "at the end".to_owned()
    } else {
        format!("after call {}", check.after)
    };
    let whose = if check.task == TaskId(1) {
        String::new()
    } else {
        format!("of task {} ", check.task)
    };
    let mut object = |about: &str, expected: String, found: String| {
        if expected != found {
            all.push(Unmet {
                manager: seen.manager(),
                of: Of::Check(place),
                about: format!("{about} {whose}{when}"),
                expected,
                found,
            });
        }
    };
    match &check.wants {
        // Nothing is mapped at boot.
        Wants::Maps(expected) if check.after == 0 => {
            object("areas", show_maps(&seen_by(view, expected)), show_maps(&[]));
        }
        Wants::Maps(expected) => {
            let found = state.map_or_else(nothing, |state| {
                let mm = space(state, check.task, case.program.config.tasks);
                let lines = mm.map_or_else(Vec::new, |mm| maps_lines(state, mm));
                show_maps(&seen_by(view, &lines))
            });
            object("areas", show_maps(&seen_by(view, expected)), found);
        }
        Wants::Status(counters) => {
            for (counter, expected) in counters {
                let found = state.map_or_else(nothing, |state| count(*counter, state, check.task));
                object(counter.name(), expected.to_string(), found);
            }
        }
    }
}

/// The address space that a task lives in. The first tasks have the first, whether they live or not;
/// that of a child goes with it.
fn space(state: &Snapshot, task: TaskId, first: u8) -> Option<MmId> {
    if task.0 <= first {
        return Some(FIRST);
    }
    let mut tasks = state.tasks.iter();
    let own = tasks.find(|own| own.task == task);
    own.map(|own| own.mm)
}

fn count(counter: Counter, state: &Snapshot, task: TaskId) -> String {
    match counter.of(state, task) {
        Some(value) => value.to_string(),
        None => format!("no task {task}"),
    }
}

/// What became of each VMA.
#[derive(Default)]
struct Lives {
    /// By call, the VMAs that it frees, once all grace periods have ended: those that it took out of
    /// their tree, or freed without that, and that are freed in the end.
    frees: BTreeMap<usize, BTreeSet<VmaId>>,
    /// What each was cut from, or copied from by a fork.
    originals: BTreeMap<VmaId, VmaId>,
}

impl Lives {
    fn of(seen: &impl Seen) -> Self {
        let mut lives = Self::default();
        let mut unlinked = BTreeMap::new();
        for (call, event) in seen.events() {
            if let (Event::VmaUnlink { vma }, Some(call)) = (event, call) {
                unlinked.insert(vma, call);
            }
        }
        for (call, event) in seen.events() {
            match event {
                Event::VmaFree { vma } => {
                    if let Some(by) = unlinked.get(&vma).copied().or(call) {
                        lives.frees.entry(by).or_default().insert(vma);
                    }
                }
                Event::VmaAlloc {
                    vma,
                    copy_of: Some(original),
                } => {
                    lives.originals.insert(vma, original);
                }
                _ => {}
            }
        }
        lives
    }

    /// The VMAs by name, each with the one that it was cut from: nothing else tells a piece by its
    /// number.
    fn show(&self, vmas: &BTreeSet<VmaId>) -> String {
        if vmas.is_empty() {
            return "frees none".to_owned();
        }
        let name = |vma: &VmaId| match self.originals.get(vma) {
            Some(original) => format!("{vma} (made from {original})"),
            None => vma.to_string(),
        };
        let names: Vec<String> = vmas.iter().map(name).collect();
        format!("frees {}", names.join(", "))
    }
}

fn show_maps(lines: &[String]) -> String {
    if lines.is_empty() {
        "no areas".to_owned()
    } else {
        format!("\n  {}", lines.join("\n  "))
    }
}

fn nothing() -> String {
    "no answer".to_owned()
}
