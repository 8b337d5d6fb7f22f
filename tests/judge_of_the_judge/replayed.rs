//! Woven runs judged by the reference: the reference itself runs in the simulation, so that all is
//! well, and each forgery of what was observed, or of where it was marked, falls under its rule.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use vmadiff::judge::{Rule, Verdict, WovenJudge};
use vmadiff::program::{Moment, Program, Schedule, Step, Switch};
use vmadiff::run::{Recorder, Weaver, Woven};
use vmadiff_contract::{
    Call, Capabilities, Config, Event, EventSink, Fail, Fd, Manager, MapFlags, Note, Outcome, Prot,
    Snapshot, TaskId,
};
use vmadiff_interleave::{Cell, at, sites};
use vmadiff_reference::Reference;

use crate::FIRED;

sites! {
    BEFORE = "marked.before";
    BETWEEN = "marked.between";
}

const PAGE: u64 = Config::WINDOW;

/// The reference, with the marks that a candidate makes.
struct Marked {
    inner: Reference,
    faults: Arc<Faults>,
    word: Cell<u64>,
    how: How,
}

/// Where it marks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    AtOnce,
    /// The sections of task 1: others may come between effect and mark.
    Late,
    /// Faults are not marked.
    NoFaults,
    /// An access that is refused was served a fault before.
    FaultAnyway,
}

/// Counts faults on the way.
struct Faults(Arc<dyn EventSink>, AtomicU64);

impl EventSink for Faults {
    fn event(&self, event: Event) {
        if event == Event::Note(Note::Classic) {
            self.1.fetch_add(1, Relaxed);
        }
        self.0.event(event);
    }
}

impl Marked {
    fn made(how: How, config: &Config, events: Arc<dyn EventSink>) -> Self {
        let faults = Arc::new(Faults(events, AtomicU64::new(0)));
        Self {
            inner: Reference::new(config, Arc::clone(&faults) as Arc<dyn EventSink>),
            faults,
            word: Cell::new(0),
            how,
        }
    }

    fn mark_access(&self, addr: u64, store: bool, served: u64, outcome: Outcome) {
        let marked = match self.how {
            How::NoFaults => 0,
            How::FaultAnyway if !outcome.is_success() => 1,
            _ => served,
        };
        (0..marked).for_each(|_| at::fault(addr & !4095, store));
        at::access();
    }
}

impl Manager for Marked {
    fn boot(config: &Config, events: Arc<dyn EventSink>) -> Box<dyn Manager> {
        Box::new(Self::made(How::AtOnce, config, events))
    }

    fn reset(&mut self, config: &Config) {
        self.inner.reset(config);
    }

    fn name(&self) -> &'static str {
        "marked"
    }

    fn supports(&self) -> Capabilities {
        self.inner.supports()
    }

    fn call(&self, task: TaskId, call: &Call, fail: Fail) -> Outcome {
        self.word.get(BEFORE);
        let before = self.faults.1.load(Relaxed);
        let outcome = self.inner.call(task, call, fail);
        let served = self.faults.1.load(Relaxed) - before;
        match *call {
            Call::Load { addr } | Call::Exec { addr } => {
                self.mark_access(addr, false, served, outcome);
            }
            Call::Store { addr, .. } => self.mark_access(addr, true, served, outcome),
            _ => {
                if self.how == How::Late && task.0 == 1 {
                    self.word.get(BETWEEN);
                }
                at::section();
            }
        }
        outcome
    }

    fn snapshot(&self, into: &mut Snapshot) {
        self.inner.snapshot(into);
    }

    fn quiesce(&self) {}
}

fn step(task: u8, call: Call) -> Step {
    let (task, fail) = (TaskId(task), Fail::NONE);
    Step { task, call, fail }
}

fn map(task: u8) -> Step {
    let call = Call::Mmap {
        addr: PAGE,
        len: 4096,
        prot: Prot::READ | Prot::WRITE,
        flags: MapFlags::PRIVATE | MapFlags::ANONYMOUS | MapFlags::FIXED_NOREPLACE,
        fd: Fd(-1),
        off: 0,
    };
    step(task, call)
}

fn store(task: u8, value: u8) -> Step {
    step(task, Call::Store { addr: PAGE, value })
}

fn load(task: u8) -> Step {
    step(task, Call::Load { addr: PAGE })
}

/// Weaves these calls.
fn woven(how: How, calls: &[Step], switches: &[Switch]) -> (Program, Woven) {
    let program = Program {
        calls: calls.to_vec(),
        schedule: Schedule {
            switches: switches.to_vec(),
            ..Schedule::default()
        },
        ..Program::default()
    };
    let make = move |config: &Config, events| -> Box<dyn Manager> {
        Box::new(Marked::made(how, config, events))
    };
    let mut weaver = Weaver::new(Arc::new(make));
    let known = weaver.supports();
    let woven = weaver.weave(&program, known, None).clone();
    assert!(woven.finished());
    (program, woven)
}

fn judged(program: &Program, woven: &Woven) -> Verdict {
    let mut reference = Reference::new(&program.config, Arc::new(Recorder));
    let verdict = WovenJudge::default().judge(program, &mut reference, woven);
    if let Verdict::Diverge(found) = &verdict {
        FIRED.with_borrow_mut(|fired| fired.insert(found.signature.rule));
    }
    verdict
}

#[track_caller]
fn objects((program, woven): &(Program, Woven), rule: Rule, forge: impl Fn(&mut Woven)) {
    let mut forged = woven.clone();
    forge(&mut forged);
    match judged(program, &forged) {
        Verdict::Diverge(found) if found.signature.rule == rule => {}
        other => panic!("expected {rule}, got {other:?}"),
    }
}

/// A page is mapped, stored to and loaded by two tasks, and unmapped.
fn plain() -> (Program, Woven) {
    let unmap = Call::Munmap {
        addr: PAGE,
        len: 4096,
    };
    let calls = [
        map(1),
        store(1, 7),
        load(2),
        step(2, unmap),
        map(1),
        store(2, 8),
    ];
    woven(How::AtOnce, &calls, &[])
}

#[test]
fn what_is_not_forged_is_agreed_to() {
    let (program, woven) = plain();
    assert_eq!(judged(&program, &woven), Verdict::Agree);
}

#[test]
pub fn what_differs_from_the_replay_is_objected_to() {
    let plain = plain();
    objects(&plain, Rule::Outcome, |w| {
        w.outcomes[2] = Some(Outcome::Value(8));
    });
    objects(&plain, Rule::Outcome, |w| {
        w.outcomes[0] = Some(Outcome::Value(0));
    });
    objects(&plain, Rule::State, |w| w.state.vmas[0].pgoff += 1);
    objects(&plain, Rule::State, |w| w.state.pages[0].writable = false);
    objects(&plain, Rule::LostStore, |w| w.state.bytes[0].value = 7);
    objects(&plain, Rule::LostStore, |w| w.state.bytes.clear());
    objects(&plain, Rule::FaultCount, |w| {
        w.state.tasks[1].minor_faults += 1;
    });
    objects(&plain, Rule::Events, |w| {
        let unlink = |e: &Event| matches!(e, Event::VmaUnlink { .. });
        w.events.retain(|raised| !unlink(&raised.event));
    });
    // The second VMA takes the name of the first.
    objects(&plain, Rule::State, |w| w.state.vmas[0].vma.0 = 1);
}

#[test]
pub fn an_entry_from_nowhere_is_objected_to() {
    let calls = [map(1), store(1, 7)];
    let silent = woven(How::NoFaults, &calls, &[]);
    objects(&silent, Rule::StaleEntry, |w| {
        w.state.tasks[0].minor_faults = 0;
    });
}

#[test]
pub fn a_fault_that_nothing_allows_is_objected_to() {
    let eager = woven(How::FaultAnyway, &[load(1)], &[]);
    objects(&eager, Rule::FaultUnexplained, |w| {
        w.state.tasks[0].minor_faults = 1;
    });
}

/// Task 1 maps first, and marks it after task 2 found the place taken.
#[test]
pub fn a_mark_that_comes_late_is_objected_to() {
    let (task, site, nth) = (TaskId(1), BETWEEN.number(), 1);
    let switch = Switch {
        at: Moment::Site { task, site, nth },
        to: TaskId(2),
    };
    let calls = [map(1), map(2)];
    let late = woven(How::Late, &calls, &[switch]);
    objects(&late, Rule::CommitPoint, |_| {});
    let (program, at_once) = woven(How::AtOnce, &calls, &[switch]);
    assert_eq!(judged(&program, &at_once), Verdict::Agree);
}
