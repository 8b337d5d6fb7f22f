//! Woven runs judged by steps: the candidate runs in the simulation, so that all is well, and each forgery of
//! what was observed, or of what was marked, falls under its rule.

use std::sync::Arc;

use vmadiff::designs::Planted;
use vmadiff::judge::steps::StepJudge;
use vmadiff::judge::{Rule, Verdict};
use vmadiff::program::{Case, Program};
use vmadiff::run::{Recorder, Weaver, Woven};
use vmadiff_contract::{About, Event, Mark, Outcome, SegvCode, StepKind, Told};
use vmadiff_reference::Reference;

use crate::FIRED;

/// A page is mapped, stored to and loaded by two tasks, and unmapped; another comes in its place.
const PLAIN: &str = "\
mmap(0x1f0000, 0x1000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED_NOREPLACE, -1, 0)
store(0x1f0000, 7)
[2] load(0x1f0000)
[2] munmap(0x1f0000, 0x1000)
mmap(0x1f0000, 0x1000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED_NOREPLACE, -1, 0)
[2] store(0x1f0000, 8)
";

fn plain() -> (Program, Woven) {
    let program = Case::parse("plain", PLAIN).expect("a program").program;
    let planted = Planted::default();
    let make = move |config: &_, events| planted.boot(config, events);
    let mut weaver = Weaver::following(Arc::new(make));
    let known = weaver.supports();
    let woven = weaver.weave(&program, known, None).clone();
    assert!(woven.finished());
    (program, woven)
}

fn judged(program: &Program, woven: &Woven) -> Verdict {
    let mut reference = Reference::new(&program.config, Arc::new(Recorder));
    let verdict = StepJudge::default().verdict(program, &mut reference, woven);
    if let Verdict::Diverge(found) = &verdict {
        FIRED.with_borrow_mut(|fired| fired.insert(found.signature.rule));
    }
    verdict
}

#[track_caller]
fn objects(rule: Rule, forge: impl Fn(&mut Woven)) {
    let (program, mut forged) = plain();
    forge(&mut forged);
    match judged(&program, &forged) {
        Verdict::Diverge(found) if found.signature.rule == rule => {}
        other => panic!("expected {rule}, got {other:?}"),
    }
}

/// Changes the first mark that is like this.
#[track_caller]
fn tell(woven: &mut Woven, is: impl Fn(&Mark) -> bool, told: impl Fn(Told) -> Told) {
    let mut marks = woven.marks.iter_mut();
    let found = marks.find(|marked| is(&marked.mark)).expect("a mark");
    found.mark.told = told(found.mark.told);
}

#[test]
fn what_is_not_forged_is_agreed_to() {
    let (program, woven) = plain();
    assert_eq!(judged(&program, &woven), Verdict::Agree);
}

#[test]
pub fn what_differs_from_the_reference_is_objected_to() {
    objects(Rule::Outcome, |w| {
        w.outcomes[2] = Some(Outcome::Value(8));
    });
    objects(Rule::Outcome, |w| {
        w.outcomes[0] = Some(Outcome::Value(0));
    });
    objects(Rule::State, |w| w.state.vmas[0].pgoff += 1);
    objects(Rule::State, |w| w.state.pages[0].writable = false);
    objects(Rule::LostStore, |w| w.state.bytes[0].value = 7);
    objects(Rule::LostStore, |w| w.state.bytes.clear());
    objects(Rule::FaultCount, |w| {
        w.state.tasks[1].minor_faults += 1;
    });
    objects(Rule::Events, |w| {
        let unlink = |e: &Event| matches!(e, Event::VmaUnlink { .. });
        w.events.retain(|raised| !unlink(&raised.event));
    });
    // The second VMA takes the name of the first.
    objects(Rule::State, |w| w.state.vmas[0].vma.0 = 1);
}

/// A processor that has read another entry than the table had, and what it stored is nowhere.
#[test]
pub fn an_entry_from_nowhere_is_objected_to() {
    let there = |mark: &Mark| {
        let some = matches!(
            mark.told,
            Told::Entry {
                before: Some(_),
                ..
            }
        );
        mark.kind == StepKind::Walk && some
    };
    let otherwise = |told| match told {
        Told::Entry {
            before: Some(page), ..
        } => {
            let mut page = page;
            page.writable = !page.writable;
            let page = Some(page);
            Told::Entry {
                before: page,
                after: page,
            }
        }
        told => told,
    };
    objects(Rule::StaleEntry, |w| {
        tell(w, there, otherwise);
        w.state.bytes.clear();
    });
    // Where all that is seen is as it should be, the mark is what is wrong.
    objects(Rule::CommitPoint, |w| tell(w, there, otherwise));
}

/// A fault that is refused by an area that allows it.
#[test]
pub fn a_fault_that_nothing_explains_is_objected_to() {
    let decides = |mark: &Mark| {
        mark.kind == StepKind::Decide
            && matches!((mark.about, mark.told), (About::Area(_), Told::Flags(_)))
    };
    objects(Rule::FaultUnexplained, |w| {
        tell(w, decides, |_| Told::Refused);
        w.outcomes[1] = Some(Outcome::Segv(SegvCode::AccErr));
    });
}

/// A step that others can see is not told.
#[test]
pub fn a_mark_that_is_missing_is_objected_to() {
    objects(Rule::CommitPoint, |w| {
        let detach = |mark: &Mark| mark.kind == StepKind::Detach;
        let at = w.marks.iter().position(|marked| detach(&marked.mark));
        w.marks.remove(at.expect("a mark"));
    });
}
