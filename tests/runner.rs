//! The fast path of a run: it must object to whatever the judge objects to, survive a panic, and
//! leave out what a manager does not know. Tried on a manager small enough to be obviously right.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

use vmadiff::View;
use vmadiff::compare::Terms;
use vmadiff::judge::{Rule, Side, Verdict};
use vmadiff::pair::Pair;
use vmadiff::program::{Program, Step};
use vmadiff::run::{Seen, Watch};
use vmadiff_contract::{
    Call, CallKind, Capabilities, Config, DesignInfo, Event, EventSink, Fail, Frees, LimitState,
    Manager, MmId, MmState, Moves, Outcome, Parts, Resource, Snapshot, TaskId, TaskState, VmFlags,
    VmaId, VmaState,
};

/// Knows softirq and exit; each softirq answers 0.
struct Tiny {
    events: Arc<dyn EventSink>,
    tasks: AtomicU8,
    calls: AtomicU64,
    wrong: Wrong,
}

/// What is wrong with it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wrong {
    Nothing,
    Answers,
    Counts,
    FreesUnknown,
    PanicsInCall,
    PanicsInSnapshot,
    PanicsAtTheEnd,
    NeverExits,
    AnswersAtRandom,
    /// Nothing: from the third call on it shows a limit.
    ShowsALimit,
    /// So it does, and says that its files and limits never move.
    HidesTheLimit,
    /// Nothing: from the third call on it shows an area.
    ShowsAnArea,
    /// So it does, and says that its areas never move.
    HidesTheArea,
}

impl Manager for Tiny {
    fn boot(config: &Config, events: Arc<dyn EventSink>) -> Box<dyn Manager> {
        Box::new(Self::made(Wrong::Nothing, config, events))
    }

    fn reset(&mut self, config: &Config) {
        self.tasks.store(config.tasks, Relaxed);
        self.calls.store(0, Relaxed);
    }

    fn name(&self) -> &'static str {
        "tiny"
    }

    fn supports(&self) -> Capabilities {
        Capabilities::of(&[CallKind::Softirq, CallKind::Exit])
    }

    fn call(&self, task: TaskId, call: &Call, _fail: Fail) -> Outcome {
        static RANDOM: AtomicU64 = AtomicU64::new(0);
        let third = self.calls.fetch_add(1, Relaxed) == 2;
        match (call, self.wrong) {
            (Call::Exit, Wrong::NeverExits) => Outcome::Unsupported,
            (Call::Exit, _) => {
                self.tasks.store(task.0 - 1, Relaxed);
                Outcome::Value(0)
            }
            (Call::Softirq, Wrong::Answers) if third => Outcome::Value(1),
            (Call::Softirq, Wrong::AnswersAtRandom) => Outcome::Value(RANDOM.fetch_add(1, Relaxed)),
            (Call::Softirq, Wrong::PanicsInCall) if third => panic!("third call"),
            (Call::Softirq, Wrong::FreesUnknown) if third => {
                self.events.event(Event::VmaFree { vma: VmaId(1) });
                Outcome::Value(0)
            }
            (Call::Softirq, _) => Outcome::Value(0),
            _ => Outcome::Unsupported,
        }
    }

    fn moves(&self) -> Option<Moves> {
        let hides = matches!(self.wrong, Wrong::HidesTheLimit | Wrong::HidesTheArea);
        hides.then(Moves::default)
    }

    fn look_again(&self, parts: Parts, into: &mut Snapshot) {
        let (limits, vmas) = (mem::take(&mut into.limits), mem::take(&mut into.vmas));
        self.snapshot(into);
        if !parts.files {
            into.limits = limits;
        }
        if !parts.areas {
            into.vmas = vmas;
        }
    }

    fn snapshot(&self, into: &mut Snapshot) {
        into.clear();
        let limited = matches!(self.wrong, Wrong::ShowsALimit | Wrong::HidesTheLimit);
        let mapped = matches!(self.wrong, Wrong::ShowsAnArea | Wrong::HidesTheArea);
        let later = self.calls.load(Relaxed) >= 3 && self.tasks.load(Relaxed) != 0;
        if later && mapped {
            into.vmas.push(VmaState {
                mm: MmId(1),
                end: 0x1000,
                ..VmaState::default()
            });
        }
        if later && limited {
            into.limits.push(LimitState {
                mm: MmId(1),
                resource: Resource::Stack,
                soft: 1,
                hard: 1,
            });
        }
        if self.wrong == Wrong::PanicsInSnapshot && self.calls.load(Relaxed) == 3 {
            panic!("third state");
        }
        if self.wrong == Wrong::Counts && self.calls.load(Relaxed) == 3 {
            into.committed = 1;
        }
        for task in 1..=self.tasks.load(Relaxed) {
            let (task, mm) = (TaskId(task), MmId(1));
            into.tasks.push(TaskState {
                task,
                mm,
                minor_faults: 0,
                major_faults: 0,
                policy: None,
            });
        }
        if self.tasks.load(Relaxed) != 0 {
            into.mms.push(empty_mm());
        }
    }

    fn quiesce(&self) {
        assert!(self.wrong != Wrong::PanicsAtTheEnd, "at the end");
    }
}

impl Tiny {
    fn made(wrong: Wrong, config: &Config, events: Arc<dyn EventSink>) -> Self {
        Self {
            events,
            tasks: config.tasks.into(),
            calls: 0.into(),
            wrong,
        }
    }
}

fn empty_mm() -> MmState {
    MmState {
        mm: MmId(1),
        map_count: 0,
        total_pages: 0,
        locked_pages: 0,
        data_pages: 0,
        stack_pages: 0,
        exec_pages: 0,
        rss_anon: 0,
        rss_file: 0,
        swap_entries: 0,
        brk: 0,
        def_flags: VmFlags::empty(),
    }
}

static TINY: DesignInfo = DesignInfo {
    frees: Frees::AfterReaders,
    ..DesignInfo::plain("tiny", |config, events, _| Tiny::boot(config, events))
};

fn runner(wrong: Wrong) -> Pair {
    runner_of(Wrong::Nothing, wrong)
}

fn runner_of(right: Wrong, wrong: Wrong) -> Pair {
    let right = move |config: &Config, events| -> Box<dyn Manager> {
        Box::new(Tiny::made(right, config, events))
    };
    let wrong = move |config: &Config, events| -> Box<dyn Manager> {
        Box::new(Tiny::made(wrong, config, events))
    };
    Pair::new(right, wrong, &TINY)
}

fn softirqs(count: usize) -> Program {
    let step = Step {
        task: TaskId(1),
        call: Call::Softirq,
        fail: Fail::NONE,
    };
    Program {
        calls: vec![step; count],
        ..Program::default()
    }
}

/// The rule and call index that a run of five calls with this wrong is objected to.
#[track_caller]
fn check(wrong: Wrong, rule: Rule, at: Option<usize>) {
    let mut runner = runner(wrong);
    let ran = runner.run(&softirqs(5), &mut ()).expect("an objection");
    let Verdict::Diverge(found) = &ran.verdict else {
        panic!("{:?}", ran.verdict)
    };
    assert_eq!(
        (found.signature.rule, found.at),
        (rule, at),
        "{}",
        found.what
    );
    let again = runner.run(&softirqs(0), &mut ());
    assert_eq!(
        again.is_some(),
        at.is_none(),
        "no third call, and so nothing wrong"
    );
}

#[test]
fn what_agrees_is_not_objected_to() {
    let mut runner = runner(Wrong::Nothing);
    for calls in 0..20 {
        assert_eq!(runner.run(&softirqs(calls), &mut ()), None);
    }
}

#[test]
fn a_wrong_answer_is_found() {
    check(Wrong::Answers, Rule::Outcome, Some(2));
}

#[test]
fn a_wrong_state_is_found() {
    check(Wrong::Counts, Rule::State, Some(2));
}

#[test]
fn a_broken_law_is_found() {
    check(Wrong::FreesUnknown, Rule::Ordinal, Some(2));
}

#[test]
fn a_panic_is_found_and_the_next_program_runs() {
    check(Wrong::PanicsInCall, Rule::Panic, Some(2));
    check(Wrong::PanicsInSnapshot, Rule::Panic, Some(2));
    check(Wrong::PanicsAtTheEnd, Rule::Panic, None);
}

#[test]
fn an_exit_that_does_nothing_ends_the_run_all_the_same() {
    let mut runner = runner(Wrong::NeverExits);
    let ran = runner.run(&softirqs(1), &mut ()).expect("an objection");
    let Verdict::Diverge(found) = &ran.verdict else {
        panic!("{:?}", ran.verdict)
    };
    assert_eq!((found.signature.rule, found.at), (Rule::Outcome, Some(1)));
}

#[test]
fn what_does_not_repeat_is_found() {
    let mut runner = runner(Wrong::AnswersAtRandom);
    let ran = runner.run(&softirqs(5), &mut ()).expect("an objection");
    let Verdict::Diverge(found) = &ran.verdict else {
        panic!("{:?}", ran.verdict)
    };
    assert_eq!(found.signature.rule, Rule::Nondeterminism);
}

/// A manager that says of a part of its state that it has not moved is not looked at there, until the
/// whole is.
#[test]
fn a_part_that_moves_unsaid_is_found() {
    let mut honest = runner_of(Wrong::ShowsALimit, Wrong::ShowsALimit);
    assert_eq!(honest.run(&softirqs(5), &mut ()), None);
    for (right, wrong, side) in [
        (Wrong::ShowsALimit, Wrong::HidesTheLimit, Side::Candidate),
        (Wrong::HidesTheLimit, Wrong::ShowsALimit, Side::Reference),
        (Wrong::HidesTheLimit, Wrong::HidesTheLimit, Side::Reference),
    ] {
        assert_hides(&mut runner_of(right, wrong), side);
    }
}

/// So it is where only areas are compared: the reference is not looked at after a call by which none
/// has moved, the candidate each time.
#[test]
fn an_area_that_moves_unsaid_is_found() {
    let of_areas = |right, wrong| {
        let view = View::areas();
        runner_of(right, wrong).on(Terms {
            view,
            ..Terms::default()
        })
    };
    let found = |right, wrong| {
        let ran = of_areas(right, wrong).run(&softirqs(5), &mut ())?;
        let Verdict::Diverge(found) = ran.verdict else {
            panic!("it agrees")
        };
        Some((found.signature.rule, found.at))
    };
    let (shows, hides) = (Wrong::ShowsAnArea, Wrong::HidesTheArea);
    assert_eq!(found(shows, shows), None);
    assert_eq!(found(shows, hides), None);
    assert_eq!(found(hides, shows), Some((Rule::Nondeterminism, None)));
    assert_eq!(found(Wrong::Nothing, hides), Some((Rule::State, Some(2))));
}

#[track_caller]
fn assert_hides(pair: &mut Pair, side: Side) {
    let ran = pair.run(&softirqs(5), &mut ());
    let Verdict::Diverge(found) = ran.expect("an objection").verdict else {
        panic!("it agrees")
    };
    assert_eq!(found.signature.rule, Rule::Nondeterminism);
    assert_eq!(found.side, Some(side), "{}", found.what);
}

#[test]
fn a_call_that_is_not_known_is_not_made_and_keeps_its_index() {
    let mut runner = runner(Wrong::Answers);
    let mut program = softirqs(5);
    program.calls[1].call = Call::Fork;
    let ran = runner.run(&program, &mut ()).expect("an objection");
    let Verdict::Diverge(found) = &ran.verdict else {
        panic!("{:?}", ran.verdict)
    };
    assert_eq!(found.at, Some(3), "the third call that was made");
    assert_eq!(ran.candidate.calls[1].outcome, Outcome::Unsupported);
    assert_eq!(ran.reference.calls.len(), 7, "five calls and two exits");
}

#[test]
fn a_watcher_sees_the_calls_that_were_made() {
    struct Count(u32, u32);
    impl Watch for Count {
        fn begin(&mut self, _config: &Config) {
            self.0 += 1;
        }
        fn call(&mut self, seen: &Seen<'_>) {
            assert_eq!(seen.state.tasks.len(), 2);
            self.1 += 1;
        }
    }
    let mut program = softirqs(5);
    program.calls[1].call = Call::Fork;
    let mut count = Count(0, 0);
    assert_eq!(runner(Wrong::Nothing).run(&program, &mut count), None);
    assert_eq!((count.0, count.1), (1, 4));
}
