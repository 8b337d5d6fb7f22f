//! What the candidate did, moment by moment: the thread that reports and pictures are told along.
//!
//! A serial run has moments for calls and events; a woven one has the steps of its trace, too.

pub mod words;

use vmadiff_contract::{Event, Outcome, TaskId};
use vmadiff_interleave::sim::{Step, What};
use vmadiff_interleave::{Kind, Site, Value};

use crate::judge::Divergence;
use crate::pair::Ran;
use crate::program::Program;
use crate::run::{Observation, Woven};

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Who did it; 0 is the kernel itself.
    pub task: TaskId,
    /// In which call, by its index in the program. Behind the program's calls come the exits of
    /// the tasks that were left; none: the kernel, or quiescing.
    pub call: Option<usize>,
    /// What.
    pub what: Happening,
    /// The run was found wanting here.
    pub offends: bool,
    /// In a woven run, the index of the trace's step that it is.
    pub at: Option<usize>,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// A call begins.
    Begin,
    /// It returned, with this.
    End(Outcome),
    /// An access to shared memory: locks and sections among them.
    Access {
        /// What it does.
        kind: Kind,
        /// To which object, by order of first appearance.
        object: u32,
        /// Where in the code.
        site: Site,
        /// What the word held, and whose it is; none: nobody kept it.
        value: Option<Value>,
    },
    /// The call took effect.
    Mark(Site),
    /// An event was raised.
    Event(Event),
}

/// The story of the candidate in this run.
pub fn of(program: &Program, ran: &Ran, divergence: Option<&Divergence>) -> Vec<Moment> {
    match &ran.woven {
        Some(woven) => self::woven(program, woven, divergence),
        None => serial(program, &ran.candidate, divergence),
    }
}

/// The story of a serial run.
pub fn serial(
    program: &Program,
    seen: &Observation,
    divergence: Option<&Divergence>,
) -> Vec<Moment> {
    let mut teller = Teller::default();
    for (index, observed) in seen.calls.iter().enumerate() {
        let step = program.calls.get(index);
        let task = step.map_or_else(|| exiting(seen, index), |step| step.task);
        let offends = divergence.filter(|found| found.at == Some(index));
        teller.call(task, index, &observed.events, observed.outcome, offends);
    }
    teller.rest(&seen.deferred, divergence.filter(|d| d.at.is_none()));
    teller.moments
}

/// The story of a woven run: the trace's steps, with events where they were raised.
pub fn woven(program: &Program, woven: &Woven, divergence: Option<&Divergence>) -> Vec<Moment> {
    let mut teller = Teller::default();
    let calls = program.calls.len();
    let within = divergence.filter(|found| found.step.is_some());
    let mut events = woven.events.iter().enumerate().peekable();
    let steps = woven.trace.steps();
    for at in 0..=steps.len() {
        while let Some((index, raised)) = events.next_if(|(_, raised)| raised.step as usize <= at) {
            let call = raised.call.map(|call| call as usize);
            let offends = within.is_some_and(|found| found.event == Some(index));
            teller.push(raised.task, call, Happening::Event(raised.event), offends);
        }
        if let Some(step) = steps.get(at) {
            let offends =
                divergence.is_some_and(|d| d.shown_step() == Some(at) && d.event.is_none());
            teller.step(step, woven, at, offends);
        }
    }
    for (number, exited) in woven.exits.iter().enumerate() {
        let index = calls + number;
        let offends = divergence.filter(|found| found.at == Some(index));
        let seen = &exited.seen;
        teller.call(exited.task, index, &seen.events, seen.outcome, offends);
    }
    let at_end = divergence.filter(|found| found.at.is_none() && found.step.is_none());
    teller.rest(&woven.deferred, at_end);
    teller.moments
}

/// Who exits: the last task that was left.
fn exiting(seen: &Observation, index: usize) -> TaskId {
    let before = index.checked_sub(1).and_then(|before| seen.state(before));
    let last = before.and_then(|before| before.tasks.last());
    last.map_or(TaskId(1), |task| task.task)
}

#[derive(Default)]
struct Teller {
    moments: Vec<Moment>,
    /// The call that each task is in.
    inside: [Option<usize>; 32],
}

impl Teller {
    fn push(&mut self, task: TaskId, call: Option<usize>, what: Happening, offends: bool) {
        self.moments.push(Moment {
            task,
            call,
            what,
            offends,
            at: None,
        });
    }

    /// A call that nobody else came into.
    fn call(
        &mut self,
        task: TaskId,
        index: usize,
        events: &[Event],
        outcome: Outcome,
        divergence: Option<&Divergence>,
    ) {
        self.push(task, Some(index), Happening::Begin, false);
        for (number, event) in events.iter().enumerate() {
            let offends = divergence.is_some_and(|found| found.event == Some(number));
            self.push(task, Some(index), Happening::Event(*event), offends);
        }
        let offends = divergence.is_some_and(|found| found.event.is_none());
        self.push(task, Some(index), Happening::End(outcome), offends);
    }

    /// Quiescing.
    fn rest(&mut self, events: &[Event], divergence: Option<&Divergence>) {
        for (number, event) in events.iter().enumerate() {
            let offends = divergence.is_some_and(|found| found.event == Some(number));
            self.push(TaskId(0), None, Happening::Event(*event), offends);
        }
    }

    fn step(&mut self, step: &Step, woven: &Woven, at: usize, offends: bool) {
        let task = TaskId(step.task);
        let place = usize::from(step.task) % self.inside.len();
        let (call, what) = match step.what {
            What::Begin(call) => {
                self.inside[place] = Some(call as usize);
                (Some(call as usize), Happening::Begin)
            }
            What::End(call) => {
                self.inside[place] = None;
                let outcome = woven.outcomes.get(call as usize).copied().flatten();
                let outcome = outcome.unwrap_or(Outcome::Unsupported);
                (Some(call as usize), Happening::End(outcome))
            }
            What::Access { kind, object } => {
                let site = step.site;
                let value = woven.trace.value(at).copied();
                let access = Happening::Access {
                    kind,
                    object,
                    site,
                    value,
                };
                (self.inside[place], access)
            }
            What::Mark(_) => (self.inside[place], Happening::Mark(step.site)),
            What::Chose(_) => return,
        };
        self.moments.push(Moment {
            task,
            call,
            what,
            offends,
            at: Some(at),
        });
    }
}
