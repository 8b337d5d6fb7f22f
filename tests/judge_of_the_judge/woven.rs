//! Woven runs of a clumsy manager: each way to be clumsy falls under its own rule, and the same
//! done right under none.

use std::mem::forget;
use std::sync::Arc;

use vmadiff::judge::{Alone, Divergence, Rule};
use vmadiff::program::{Moment, Program, Schedule, Step, Switch};
use vmadiff::run::Weaver;
use vmadiff_contract::{
    Call, CallKind, Capabilities, Config, DesignInfo, Event, EventSink, Fail, Frees, Manager, MmId,
    Outcome, Snapshot, TaskId, VmaId,
};
use vmadiff_interleave::{Cell, Irqs, Rcu, Site, SpinLock, sites};

use crate::FIRED;

sites! {
    FIRST = "first.lock";
    SECOND = "second.lock";
    INSIDE = "inside.word";
    ENTER = "enter.section";
    QUEUE = "queue.call_rcu";
    POP = "pop.callback";
}

/// How it makes its calls.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    /// Takes two locks, each task in an order of its own.
    LocksCrosswise,
    /// Reads a word for ever.
    Spins,
    KeepsLock,
    KeepsSection,
    KeepsInterruptsOff,
    Panics,
    Livelocks,
    /// Task 1 reads in a section; task 2 frees at once, or when the section is over.
    FreesUnderReader,
    FreesAfterReader,
    FreesUnderInterruptsOff,
    FreesUnderLaterSection,
}

/// What has been erased waits for readers.
static CLUMSY: DesignInfo = DesignInfo {
    frees: Frees::AfterReaders,
    ..DesignInfo::plain("clumsy", |config, events, _| Clumsy::boot(config, events))
};

struct Clumsy {
    how: How,
    events: Arc<dyn EventSink>,
    first: SpinLock,
    second: SpinLock,
    word: Cell<u64>,
    rcu: Rcu<VmaId>,
    irqs: Irqs,
}

impl Clumsy {
    fn made(how: How, events: Arc<dyn EventSink>) -> Self {
        Self {
            how,
            events,
            first: SpinLock::new(),
            second: SpinLock::new(),
            word: Cell::new(0),
            rcu: Rcu::new(),
            irqs: Irqs::new(),
        }
    }

    fn both(&self, one: &SpinLock, other: &SpinLock) {
        let _one = one.lock(FIRST);
        let _other = other.lock(SECOND);
    }

    /// What task 1 does while task 2 erases.
    fn read(&self) {
        match self.how {
            How::FreesUnderInterruptsOff => {
                let _off = self.irqs.disable(ENTER);
                self.word.get(INSIDE);
            }
            How::FreesUnderLaterSection => {
                let early = self.irqs.disable(ENTER);
                self.word.get(INSIDE);
                let _later = self.rcu.read_lock(ENTER);
                drop(early);
                self.word.get(INSIDE);
            }
            _ => {
                let _section = self.rcu.read_lock(ENTER);
                self.word.get(INSIDE);
            }
        }
    }

    /// What task 2 does: a VMA comes and goes.
    fn erase(&self) {
        let (vma, mm) = (VmaId(1), MmId(1));
        self.events.event(Event::VmaAlloc { vma, copy_of: None });
        self.events.event(Event::VmaLink { vma, mm });
        self.events.event(Event::VmaUnlink { vma });
        if matches!(
            self.how,
            How::FreesUnderReader | How::FreesUnderInterruptsOff
        ) {
            self.events.event(Event::VmaFree { vma });
        } else {
            self.rcu.call(QUEUE, vma);
        }
    }

    fn act(&self, task: TaskId) -> Outcome {
        match self.how {
            How::LocksCrosswise if task.0 == 1 => self.both(&self.first, &self.second),
            How::LocksCrosswise => self.both(&self.second, &self.first),
            How::Spins => loop {
                self.word.get(INSIDE);
            },
            How::KeepsLock => forget(self.first.lock(FIRST)),
            How::KeepsSection => forget(self.rcu.read_lock(ENTER)),
            How::KeepsInterruptsOff => forget(self.irqs.disable(ENTER)),
            How::Panics => panic!("clumsy"),
            How::Livelocks => return Outcome::Livelock,
            _ if task.0 == 1 => self.read(),
            _ => self.erase(),
        }
        Outcome::Value(0)
    }
}

impl Manager for Clumsy {
    fn boot(_config: &Config, events: Arc<dyn EventSink>) -> Box<dyn Manager> {
        Box::new(Self::made(How::FreesAfterReader, events))
    }

    fn reset(&mut self, _config: &Config) {
        *self = Self::made(self.how, Arc::clone(&self.events));
    }

    fn name(&self) -> &'static str {
        "clumsy"
    }

    fn supports(&self) -> Capabilities {
        Capabilities::of(&[CallKind::Munmap])
    }

    fn call(&self, task: TaskId, _call: &Call, _fail: Fail) -> Outcome {
        if task.0 != 0 {
            return self.act(task);
        }
        while let Some(vma) = self.rcu.pop_ready(POP) {
            self.events.event(Event::VmaFree { vma });
        }
        Outcome::Value(0)
    }

    fn snapshot(&self, into: &mut Snapshot) {
        into.clear();
    }

    fn quiesce(&self) {
        self.call(TaskId(0), &Call::Softirq, Fail::NONE);
    }
}

fn at(task: u8, site: Site, nth: u32, to: u8) -> Switch {
    let (task, site) = (TaskId(task), site.number());
    let at = Moment::Site { task, site, nth };
    Switch { at, to: TaskId(to) }
}

/// What the judge says of one call of each of two tasks, woven so.
fn judged(how: How, switches: &[Switch]) -> Result<(), Box<Divergence>> {
    judged_by(&CLUMSY, how, switches)
}

fn judged_by(
    design: &'static DesignInfo,
    how: How,
    switches: &[Switch],
) -> Result<(), Box<Divergence>> {
    let step = |task| Step {
        task: TaskId(task),
        call: Call::Munmap { addr: 0, len: 0 },
        fail: Fail::NONE,
    };
    let program = Program {
        calls: vec![step(1), step(2)],
        schedule: Schedule {
            switches: switches.to_vec(),
            ..Schedule::default()
        },
        ..Program::default()
    };
    let make =
        move |_: &Config, events| -> Box<dyn Manager> { Box::new(Clumsy::made(how, events)) };
    let mut weaver = Weaver::new(Arc::new(make));
    let known = weaver.supports();
    let woven = weaver.weave(&program, known, None);
    let verdict = Alone::new(design).judge(&program, woven);
    if let Err(divergence) = &verdict {
        let rule = divergence.signature.rule;
        FIRED.with_borrow_mut(|fired| fired.insert(rule));
    }
    verdict
}

#[track_caller]
fn objects(how: How, switches: &[Switch], rule: Rule, says: &str) {
    let divergence = judged(how, switches).expect_err("an objection");
    assert_eq!(divergence.signature.rule, rule, "{divergence:?}");
    assert!(divergence.what.contains(says), "{divergence:?}");
}

#[test]
pub fn a_run_that_does_not_end_is_objected_to() {
    let crosswise = [at(1, SECOND, 1, 2)];
    let waits = "task 1 in call 1 at second.lock: Lock @2, held up by task 2 since first.lock; \
                 task 2 in call 2 at second.lock: Lock @1, held up by task 1 since first.lock";
    objects(How::LocksCrosswise, &crosswise, Rule::Deadlock, waits);
    assert_eq!(judged(How::LocksCrosswise, &[]), Ok(()));
    objects(How::Spins, &[], Rule::StepLimit, "scheduling points");
    objects(How::Livelocks, &[], Rule::Livelock, "again and again");
    objects(How::Panics, &[], Rule::Panic, "clumsy");
}

#[test]
pub fn what_a_call_leaves_behind_is_objected_to() {
    objects(
        How::KeepsLock,
        &[],
        Rule::LockLeft,
        "task 1 returned and left the lock taken at",
    );
    objects(
        How::KeepsSection,
        &[],
        Rule::SectionLeft,
        "RCU read section",
    );
    objects(
        How::KeepsInterruptsOff,
        &[],
        Rule::InterruptsLeft,
        "interrupts off",
    );
}

/// Where VMAs do not wait for readers, that is no rule.
#[test]
fn readers_are_waited_for_only_if_the_design_says_so() {
    static AT_ONCE: DesignInfo =
        DesignInfo::plain("at-once", |config, events, _| Clumsy::boot(config, events));
    let inside = [at(1, INSIDE, 1, 2)];
    let judged = |how| judged_by(&AT_ONCE, how, &inside);
    assert_eq!(judged(How::FreesUnderReader), Ok(()));
    let late = judged(How::FreesAfterReader).expect_err("a callback is left");
    assert_eq!(late.signature.rule, Rule::VmaFreedLate, "{late:?}");
}

#[test]
pub fn a_free_that_does_not_wait_for_readers_is_objected_to() {
    let inside = [at(1, INSIDE, 1, 2)];
    let says = "#1 was freed while task 1 still reads";
    objects(How::FreesUnderReader, &inside, Rule::GracePeriod, says);
    objects(
        How::FreesUnderInterruptsOff,
        &inside,
        Rule::GracePeriod,
        says,
    );
    assert_eq!(judged(How::FreesUnderReader, &[]), Ok(()), "nobody reads");
    assert_eq!(judged(How::FreesAfterReader, &inside), Ok(()));
    let later = [at(1, INSIDE, 1, 2), at(1, INSIDE, 2, 0)];
    assert_eq!(
        judged(How::FreesUnderLaterSection, &later),
        Ok(()),
        "entered after the erase"
    );
}

#[test]
pub fn an_objection_names_the_step() {
    let divergence = judged(How::FreesUnderReader, &[at(1, INSIDE, 1, 2)]).expect_err("early");
    // run.start, task 1 begins and enters, task 2 begins: there it frees.
    assert_eq!(
        (divergence.step, divergence.event, divergence.at),
        (Some(2), Some(3), Some(1))
    );
}
