//! What calls find of things that others are half-way through: it is agreed to, and objected to once an
//! answer or the state at the end is forged.

mod areas;
mod forks;
mod limits;
mod orders;
mod pages;

use vmadiff::designs::Planted;
use vmadiff::judge::{Rule, Verdict};
use vmadiff::program::{Case, Program};
use vmadiff::run::Woven;
use vmadiff_contract::Outcome;

use crate::weave::Loom;

fn program(text: &str) -> Program {
    Case::parse("between", text).expect("a program").program
}

fn serial(text: &str) -> Program {
    let mut program = program(text);
    program.schedule.switches.clear();
    program
}

/// The verdict if a call had answered something else.
fn falsified(program: &Program, call: usize, from: Outcome, to: Outcome) -> Verdict {
    let mut loom = Loom::new(&Planted::default());
    let mut woven = loom.weave(program).clone();
    assert_eq!(woven.outcomes[call], Some(from), "{}", woven.trace);
    woven.outcomes[call] = Some(to);
    loom.judge(program, &woven)
}

fn outcome_differs(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Diverge(found) if found.signature.rule == Rule::Outcome)
}

/// Checks that the state at the end is objected to, for a field.
fn state_differs(verdict: &Verdict, field: &str) {
    assert!(
        matches!(verdict, Verdict::Diverge(found) if found.signature.field == field),
        "{verdict:?}"
    );
}

/// Checks that a program is agreed to, and objected to for a field once its state is forged.
fn judged_at_rest(program: &Program, field: &str, forge: impl Fn(&mut Woven)) {
    let mut loom = Loom::new(&Planted::default());
    let mut woven = loom.weave(program).clone();
    assert_eq!(loom.judge(program, &woven), Verdict::Agree);
    forge(&mut woven);
    state_differs(&loom.judge(program, &woven), field);
}

/// Checks that a program is agreed to.
#[track_caller]
fn agreed(program: &Program) {
    let verdict = Loom::new(&Planted::default()).run(program);
    assert_eq!(verdict, Some(Verdict::Agree));
}
