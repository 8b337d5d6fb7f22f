//! The reference as a judge drives it: through the trait, a step at a time.

use std::sync::Arc;

use vmadiff_contract::{
    About, Advice, Call, Choice, Config, Fail, Manager, MapFlags, Offer, Outcome, Refusal,
    Snapshot, StepKind, Stepped, Taken, TaskId,
};

use super::{Log, MAPERR, RW, at, map, map_with, store, unmap};
use crate::Reference;

pub(super) const ONE: TaskId = TaskId(1);
pub(super) const TWO: TaskId = TaskId(2);

/// A driven machine with pages 0 and 1 mapped, and a byte stored to page 1.
fn driven() -> Reference {
    let mut reference = Reference::new(&Config::default(), Arc::new(Log::default()));
    reference.drive(&Config::default());
    for step in [map(0, 2), store(1, 7)] {
        assert_eq!(reference.call(ONE, &step.call, Fail::NONE), step.want);
    }
    reference
}

pub(super) fn begin(reference: &mut dyn Stepped, task: TaskId, call: &Call) {
    assert_eq!(reference.begin(task, call, Fail::NONE), Ok(()));
}

pub(super) fn legal(reference: &dyn Stepped, task: TaskId) -> Vec<Offer> {
    let mut offers = Vec::new();
    reference.legal(&mut offers);
    offers.retain(|offer| offer.task == task);
    offers
}

/// Takes steps of a task until the next one is of this kind.
pub(super) fn until(reference: &mut dyn Stepped, task: TaskId, kind: StepKind) {
    while legal(reference, task)[0].kind != kind {
        assert_eq!(reference.take(task, Choice::Go), Ok(Taken::Step));
    }
}

/// Takes all steps of a task.
pub(super) fn finish(reference: &mut dyn Stepped, task: TaskId) -> Outcome {
    loop {
        match reference.take(task, Choice::Go) {
            Ok(Taken::Step) => {}
            Ok(Taken::Returned(outcome)) => return outcome,
            Err(refusal) => panic!("{refusal:?}"),
        }
    }
}

#[test]
fn a_store_that_decided_before_an_unmapping_begins_again_after_its_pass() {
    let mut reference = driven();
    let reference: &mut dyn Stepped = &mut reference;
    begin(reference, TWO, &store(0, 1).call);
    until(reference, TWO, StepKind::Entry);
    begin(reference, ONE, &unmap(0, 1).call);
    until(reference, ONE, StepKind::Put);
    assert_eq!(finish(reference, TWO), MAPERR);
    assert_eq!(finish(reference, ONE), Outcome::Value(0));
}

#[test]
fn the_same_store_may_write_before_the_pass() {
    let mut reference = driven();
    let reference: &mut dyn Stepped = &mut reference;
    begin(reference, TWO, &store(0, 1).call);
    until(reference, TWO, StepKind::Entry);
    begin(reference, ONE, &unmap(0, 1).call);
    until(reference, ONE, StepKind::Pass);
    assert_eq!(finish(reference, TWO), Outcome::Value(0));
    assert_eq!(finish(reference, ONE), Outcome::Value(0));
}

#[test]
fn who_has_to_wait_is_told_for_what() {
    let mut reference = driven();
    let reference: &mut dyn Stepped = &mut reference;
    begin(reference, ONE, &map(0, 1).call);
    until(reference, ONE, StepKind::Link);
    begin(reference, TWO, &unmap(1, 1).call);
    assert!(legal(reference, TWO).is_empty());
    assert_eq!(
        reference.take(TWO, Choice::Go),
        Err(Refusal::Waits("mmap-sem"))
    );
    let twice = reference.begin(TWO, &Call::Fork, Fail::NONE);
    assert_eq!(twice, Err(Outcome::Livelock), "a call is pending");
    assert_eq!(reference.take(TaskId(9), Choice::Go), Err(Refusal::Idle));
    assert_eq!(
        reference.begin(TaskId(9), &Call::Fork, Fail::NONE),
        Err(Outcome::NoTask)
    );
    assert_eq!(finish(reference, ONE), Outcome::Value(at(0)));
    assert_eq!(finish(reference, TWO), Outcome::Value(0));
}

#[test]
fn a_stale_entry_may_be_used_until_it_is_flushed() {
    let mut reference = driven();
    assert_eq!(
        reference.call(TWO, &Call::Load { addr: at(1) }, Fail::NONE),
        Outcome::Value(7)
    );
    let reference: &mut dyn Stepped = &mut reference;
    begin(reference, ONE, &unmap(1, 1).call);
    until(reference, ONE, StepKind::Flush);
    begin(reference, TWO, &Call::Load { addr: at(1) });
    let choices: Vec<Choice> = legal(reference, TWO)
        .iter()
        .map(|offer| offer.choice)
        .collect();
    assert_eq!(choices, [Choice::Go, Choice::Stale]);
    let mut other = reference.fork();
    assert_eq!(other.digest(), reference.digest());
    assert_eq!(other.take(TWO, Choice::Stale), Ok(Taken::Step));
    assert_ne!(other.digest(), reference.digest());
    assert_eq!(finish(&mut *other, TWO), Outcome::Value(7));
    // Both TLBs hold the page; whose is flushed first is open.
    let choices: Vec<Choice> = legal(&*other, ONE)
        .iter()
        .map(|offer| offer.choice)
        .collect();
    assert_eq!(choices, [Choice::Go, Choice::Of(ONE), Choice::Of(TWO)]);
    assert_eq!(other.take(ONE, Choice::Of(TWO)), Ok(Taken::Step));
    let mut about = Vec::new();
    other.footprint(&mut about);
    assert_eq!(about, [About::Tlb(TWO)]);
    begin(&mut *other, TWO, &Call::Load { addr: at(1) });
    assert_eq!(finish(&mut *other, TWO), MAPERR);
    assert_eq!(other.take(ONE, Choice::GiveUp), Err(Refusal::Choice));
    assert_eq!(finish(reference, TWO), MAPERR);
}

#[test]
fn what_a_step_is_about_can_be_looked_at_alone() {
    let mut reference = driven();
    let reference: &mut dyn Stepped = &mut reference;
    begin(reference, TWO, &store(0, 1).call);
    until(reference, TWO, StepKind::Entry);
    assert_eq!(reference.take(TWO, Choice::Go), Ok(Taken::Step));
    let mut about = Vec::new();
    reference.footprint(&mut about);
    let entry = about
        .iter()
        .find(|about| matches!(about, About::Entry { addr, .. } if *addr == at(0)));
    let (mut part, mut all) = (Snapshot::default(), Snapshot::default());
    reference.observe(*entry.expect("it wrote the entry"), &mut part);
    reference.see(&mut all);
    assert_eq!((part.pages.len(), all.pages.len()), (1, 2));
    assert_eq!(part.pages[0], all.pages[0]);
    assert!(part.vmas.is_empty());
}

#[test]
fn which_allocation_of_a_fault_fails_is_a_choice_only_beside_others() {
    for beside in [false, true] {
        let mut reference = driven();
        let reference: &mut dyn Stepped = &mut reference;
        assert_eq!(reference.begin(TWO, &store(0, 1).call, Fail(1)), Ok(()));
        if beside {
            begin(reference, ONE, &Call::Load { addr: at(1) });
        }
        until(reference, TWO, StepKind::Allocate);
        assert_eq!(
            finish(reference, TWO),
            if beside {
                Outcome::Value(0)
            } else {
                Outcome::Oom
            }
        );
    }
}

#[test]
fn a_fault_may_begin_again_until_it_has_written() {
    let mut reference = driven();
    let reference: &mut dyn Stepped = &mut reference;
    begin(reference, TWO, &store(0, 1).call);
    until(reference, TWO, StepKind::Entry);
    assert_eq!(reference.take(TWO, Choice::Again), Ok(Taken::Step));
    assert_eq!(legal(reference, TWO)[0].kind, StepKind::Decide);
    assert_eq!(finish(reference, TWO), Outcome::Value(0));
    let mut seen = Snapshot::default();
    reference.see(&mut seen);
    assert_eq!((seen.anon_frames, seen.tasks[1].minor_faults), (2, 1));
}

/// MADV_REMOVE gives mmap_sem up before it punches.
#[test]
fn no_step_holds_mmap_sem_longer_than_its_list_says() {
    let mut reference = driven();
    let flags = MapFlags::SHARED | MapFlags::ANONYMOUS | MapFlags::FIXED;
    let shared = map_with(4, 1, RW, flags, -1);
    assert_eq!(reference.call(ONE, &shared.call, Fail::NONE), shared.want);
    let reference: &mut dyn Stepped = &mut reference;
    let (addr, len) = (at(4), 4096);
    let remove = Call::Madvise {
        addr,
        len,
        advice: Advice::Remove,
    };
    begin(reference, ONE, &remove);
    until(reference, ONE, StepKind::Drop);
    begin(reference, TWO, &unmap(0, 1).call);
    assert_eq!(finish(reference, TWO), Outcome::Value(0));
    assert_eq!(finish(reference, ONE), Outcome::Value(0));
}
