//! Forged races that only the two laws beside the steps notice: race and reference are wrong in the same way.

use std::cell::Cell;

use crate::judge::Rule;
use crate::judge::steps::{StepJudge, What};
use crate::source::{Recorded, record, reference};
use crate::tests::{number, program};
use vmadiff_contract::{
    About, Call, Choice, Config, Fail, MmId, Offer, Outcome, PageState, Refusal, Snapshot, Stepped,
    Taken, TaskId,
};
use vmadiff_reference::Reference;

/// Fault of a misled reference.
#[derive(Clone, Copy, PartialEq)]
enum Wrong {
    /// Loads answer another byte.
    Loads,
    /// Files are counted once more than they are open and mapped.
    Files,
    /// The same, at the first look only.
    FilesAtFirst,
}

/// The answer of a load whose byte was lost.
fn lost(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Value(value) => Outcome::Value(value ^ 0x80),
        other => other,
    }
}

fn count_once_more(state: &mut Snapshot) {
    state.files.iter_mut().for_each(|file| file.refs += 1);
}

/// A reference with one fault.
struct Misled {
    wrong: Wrong,
    loading: Vec<TaskId>,
    looked: Cell<bool>,
    reference: Reference,
}

impl Misled {
    fn taken(&self, task: TaskId, taken: Taken) -> Taken {
        match taken {
            Taken::Returned(outcome)
                if self.wrong == Wrong::Loads && self.loading.contains(&task) =>
            {
                Taken::Returned(lost(outcome))
            }
            other => other,
        }
    }
}

impl Stepped for Misled {
    fn drive(&mut self, config: &Config) {
        self.reference.drive(config);
    }

    fn begin(&mut self, task: TaskId, call: &Call, fail: Fail) -> Result<(), Outcome> {
        self.loading.retain(|&other| other != task);
        if matches!(call, Call::Load { .. }) {
            self.loading.push(task);
        }
        self.reference.begin(task, call, fail)
    }

    fn legal(&self, into: &mut Vec<Offer>) {
        self.reference.legal(into);
    }

    fn take(&mut self, task: TaskId, choice: Choice) -> Result<Taken, Refusal> {
        let taken = self.reference.take(task, choice)?;
        Ok(self.taken(task, taken))
    }

    fn next(&mut self, task: TaskId) -> Option<Offer> {
        self.reference.next(task)
    }

    fn takes_hold(&mut self, task: TaskId) -> bool {
        self.reference.takes_hold(task)
    }

    fn ways(&mut self, task: TaskId, into: &mut Vec<Choice>) {
        self.reference.ways(task, into);
    }

    fn take_upto(&mut self, task: TaskId, choice: Choice, upto: u64) -> Result<Taken, Refusal> {
        let taken = self.reference.take_upto(task, choice, upto)?;
        Ok(self.taken(task, taken))
    }

    fn refused(&mut self) -> bool {
        self.reference.refused()
    }

    fn left_alone(&mut self) -> bool {
        self.reference.left_alone()
    }

    fn footprint(&mut self, into: &mut Vec<About>) {
        self.reference.footprint(into);
    }

    fn entry(&mut self, mm: MmId, addr: u64) -> Option<PageState> {
        self.reference.entry(mm, addr)
    }

    fn held(&mut self, task: TaskId, addr: u64) -> Option<PageState> {
        self.reference.held(task, addr)
    }

    fn stale(&mut self, task: TaskId, start: u64, end: u64) -> usize {
        self.reference.stale(task, start, end)
    }

    fn forget(&mut self, by: TaskId, task: TaskId, start: u64, end: u64) {
        self.reference.forget(by, task, start, end);
    }

    fn holds_any(&mut self, task: TaskId) -> bool {
        self.reference.holds_any(task)
    }

    fn observe(&self, about: About, into: &mut Snapshot) {
        self.reference.observe(about, into);
    }

    fn see(&self, into: &mut Snapshot) {
        self.reference.see(into);
        let first = !self.looked.replace(true);
        if self.wrong == Wrong::Files || first && self.wrong == Wrong::FilesAtFirst {
            count_once_more(into);
        }
    }

    fn fork(&self) -> Box<dyn Stepped> {
        self.reference.fork()
    }

    fn digest(&self) -> u64 {
        self.reference.digest()
    }
}

/// Forges many races in the way their reference is wrong: rules of the objections, and the number of forged
/// races.
fn judged(wrong: Wrong, forge: impl Fn(&mut Recorded) -> bool) -> (Vec<Rule>, usize) {
    let mut judge = StepJudge::default();
    let (mut found, mut forged) = (Vec::new(), 0);
    for seed in 0..number("STEPS_FORGED", 400) {
        let program = program(seed);
        let Some(mut made) = record(&program, seed) else {
            continue;
        };
        if !forge(&mut made) {
            continue;
        }
        forged += 1;
        let mut misled = Misled {
            wrong,
            loading: Vec::new(),
            looked: Cell::new(false),
            reference: reference(&program),
        };
        let objection = judge.judge(&made.race(), &mut misled);
        assert!(
            objection.is_none(),
            "seed {seed}: the steps notice: {objection:?}"
        );
        found.extend(judge.beside(&made.race()).map(|found| found.signature.rule));
    }
    (found, forged)
}

#[test]
fn a_byte_that_both_lose() {
    let (found, forged) = judged(Wrong::Loads, |made| {
        let mut forged = false;
        for (step, outcome) in made.program.calls.iter().zip(&mut made.outcomes) {
            if let (Call::Load { .. }, Some(Outcome::Value(_))) = (step.call, *outcome) {
                *outcome = outcome.map(lost);
                forged = true;
            }
        }
        forged
    });
    println!("{} of {forged} races are objected to", found.len());
    assert!(forged > 20, "{forged} races load");
    assert!(found.len() * 4 > forged, "{} of {forged}", found.len());
    assert!(
        found.iter().all(|&rule| rule == Rule::LostStore),
        "{found:?}"
    );
}

#[test]
fn a_file_that_both_count_once_more() {
    let (found, forged) = judged(Wrong::Files, |made| {
        count_once_more(&mut made.state);
        !made.state.files.is_empty()
    });
    assert!(forged > 20, "{forged} races have files");
    assert_eq!(found, vec![Rule::FileReferences; forged]);
}

/// A fault that has healed by the end is noticed at quiet points.
#[test]
fn a_file_that_is_counted_once_more_for_a_while() {
    let (found, forged) = judged(Wrong::FilesAtFirst, |made| {
        let mut under_way = 0;
        let mut overlaps = false;
        let mut quiet_between = false;
        for item in &made.items {
            match item.what {
                What::Begin => {
                    quiet_between |= overlaps && under_way == 0;
                    under_way += 1;
                    overlaps |= under_way > 1;
                }
                What::End => under_way -= 1,
                What::Mark(_) => {}
            }
        }
        quiet_between
    });
    println!("{} of {forged} races are objected to", found.len());
    assert!(found.len() > 20, "{} of {forged}", found.len());
    assert!(
        found.iter().all(|&rule| rule == Rule::FileReferences),
        "{found:?}"
    );
}

#[test]
fn correct_races_pass_both_laws() {
    let mut judge = StepJudge::default();
    for seed in 0..number("STEPS_COUNT", 2000) {
        let program = program(seed);
        let Some(made) = record(&program, seed) else {
            continue;
        };
        let objection = judge.judge(&made.race(), &mut reference(&program));
        assert!(objection.is_none(), "seed {seed}: {objection:?}");
        let beside = judge.beside(&made.race());
        assert!(beside.is_none(), "seed {seed}: {beside:?}\n{program}");
    }
}
