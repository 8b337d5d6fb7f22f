//! A manager that panics, wherever it does, is found, told of the program that it panics in, and is never
//! the reference.

use std::sync::Arc;

use vmadiff::compare::Compare;
use vmadiff::contract::{
    Call, Capabilities, Config, DesignInfo, EventSink, Fail, Manager, Outcome, Snapshot, TaskId,
};
use vmadiff::designs::Planted;
use vmadiff::judge::Side;
use vmadiff::pair::Pair;
use vmadiff::{Placement, View, compare};

use super::space::{self, Space};
use super::{case, divergence, finds};

fn panicking<const BUG: u8>(placement: Placement) -> Compare {
    compare::<Space<BUG>>("space")
        .view(View::areas().joined())
        .placement(placement)
}

/// What is said of a program, by the campaign's way and by that of a report.
#[track_caller]
fn told(pair: &mut Pair, text: &str) -> (String, Option<Side>, Option<usize>) {
    let case = case(text);
    let fast = pair.run(&case.program, &mut ()).expect("it is found");
    let ran = pair.observe_twice(&case.program);
    assert_eq!(divergence(&fast), divergence(&ran));
    let found = divergence(&ran).expect("it diverges");
    (found.signature.to_string(), found.side, found.at)
}

const MAP: &str = "mmap(0x1f0000, 0x1000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)\n";

#[test]
fn one_that_panics_as_it_is_thrown_away_is_told_of_its_program() {
    for placement in [Placement::FollowReference, Placement::Free] {
        let mut pair = panicking::<{ space::PANICS_LAST }>(placement).pair();
        let fine = case(&format!("{MAP}munmap(0x1f0000, 0x1000)\n"));
        for _ in 0..3 {
            let found = told(&mut pair, MAP);
            let expected = ("panic/drop/panic".to_owned(), Some(Side::Candidate), None);
            assert_eq!(found, expected);
            assert!(pair.run(&fine.program, &mut ()).is_none());
        }
    }
    finds(
        panicking::<{ space::PANICS_LAST }>(Placement::FollowReference),
        "panic/drop/panic",
        1,
    );
}

#[test]
fn one_that_panics_as_it_boots_is_a_finding() {
    let mut pair = panicking::<{ space::PANICS_FIRST }>(Placement::FollowReference).pair();
    let found = told(&mut pair, MAP);
    let expected = ("panic/boot/panic".to_owned(), Some(Side::Candidate), None);
    assert_eq!(found, expected);
}

/// A manager that is compared whole, and boots for programs of one task only.
struct Lonely(Box<dyn Manager>);

fn lonely(config: &Config, events: Arc<dyn EventSink>, _: &[&str]) -> Box<dyn Manager> {
    Box::new(Lonely(Planted::default().boot(config, events)))
}

/// One that there never is.
fn never(_: &Config, _: Arc<dyn EventSink>, _: &[&str]) -> Box<dyn Manager> {
    panic!("nothing to stand on")
}

impl Manager for Lonely {
    fn boot(config: &Config, events: Arc<dyn EventSink>) -> Box<dyn Manager> {
        lonely(config, events, &[])
    }

    fn reset(&mut self, config: &Config) {
        assert_ne!(config.tasks, 2, "it takes one task at a time");
        self.0.reset(config);
    }

    fn name(&self) -> &'static str {
        "lonely"
    }

    fn supports(&self) -> Capabilities {
        self.0.supports()
    }

    fn call(&self, task: TaskId, call: &Call, fail: Fail) -> Outcome {
        self.0.call(task, call, fail)
    }

    fn snapshot(&self, into: &mut Snapshot) {
        self.0.snapshot(into);
    }

    fn quiesce(&self) {
        self.0.quiesce();
    }
}

/// Serial or not, as it is made or for a program; the next program finds a manager that is there.
#[test]
fn a_whole_one_that_panics_as_it_boots_is_a_finding() {
    let of = |boot| DesignInfo {
        boot,
        ..*Planted::default().design()
    };
    let mut lonely = Compare::of(of(lonely)).pair();
    let mut never = Compare::of(of(never)).pair();
    let race = format!("{MAP}[2] munmap(0x1f0000, 0x1000)\nswitch: 0@run.start#1 -> 2\n");
    for text in [MAP, &race] {
        let expected = ("panic/boot/panic".to_owned(), Some(Side::Candidate), None);
        assert_eq!(told(&mut lonely, text), expected, "{text}");
        assert_eq!(told(&mut never, text), expected, "{text}");
        let alone = case(&format!("config tasks=1\n{MAP}"));
        assert!(lonely.run(&alone.program, &mut ()).is_none());
    }
}

/// Whoever made the call last.
#[test]
fn one_that_panics_as_it_is_looked_at_is_the_one_to_blame() {
    for placement in [Placement::FollowReference, Placement::Free] {
        let mut pair = panicking::<{ space::PANICS_SEEN }>(placement).pair();
        let found = told(&mut pair, &MAP.replace("0x1000", "0x3000"));
        let expected = (
            "panic/mmap/panic".to_owned(),
            Some(Side::Candidate),
            Some(0),
        );
        assert_eq!(found, expected);
    }
}

/// Behind a known difference it is made what the reference is, and panics there.
#[test]
fn one_that_panics_as_it_takes_a_state_on_is_the_one_to_blame() {
    for placement in [Placement::FollowReference, Placement::Free] {
        let mut pair = panicking::<{ space::PANICS_AGAIN }>(placement)
            .known("skips holes", |_, difference| difference.names_a_hole())
            .pair();
        let behind = MAP.replace("0x1f0000", "0x1f2000");
        let text = format!("{MAP}{behind}mprotect(0x1f0000, 0x3000, PROT_NONE)\n");
        let found = told(&mut pair, &text);
        let expected = (
            "panic/mprotect/panic".to_owned(),
            Some(Side::Candidate),
            Some(2),
        );
        assert_eq!(found, expected);
    }
}
