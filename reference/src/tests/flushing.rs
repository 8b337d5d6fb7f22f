//! When passes are flushed, and what may come before that: driven step by step.

use std::sync::Arc;

use vmadiff_contract::{
    About, Access, Advice, Call, Choice, Config, Fail, FallocFlags, Fd, FileKind, Manager,
    MapFlags, MoveFlags, Offer, Outcome, StepKind, Stepped, Taken, TaskId,
};

use super::driving::{ONE, TWO, begin, finish, legal, until};
use super::{Log, RO, RW, Step, at, fork, load, map, map_with, protect, store, unmap};
use crate::Reference;

const THREE: TaskId = TaskId(3);
const FOUR: TaskId = TaskId(4);

/// A driven machine of three threads on which these calls were made.
fn after(setup: &[Step]) -> Reference {
    after_by(3, setup)
}

fn after_by(tasks: u8, setup: &[Step]) -> Reference {
    let config = Config {
        tasks,
        ..Config::default()
    };
    let mut reference = Reference::new(&config, Arc::new(Log::default()));
    reference.drive(&config);
    for step in setup {
        assert_eq!(reference.call(step.task, &step.call, Fail::NONE), step.want);
    }
    reference
}

/// Opens a file of so many pages.
fn open(pages: u64) -> Step {
    let (kind, access, size) = (FileKind::Plain, Access::all(), pages * 4096);
    Step::new(Call::Open { kind, access, size }).is(3)
}

fn truncate(pages: u64) -> Call {
    let (fd, size) = (Fd(3), pages * 4096);
    Call::Ftruncate { fd, size }
}

fn advise(page: u64, pages: u64, advice: Advice) -> Call {
    let (addr, len) = (at(page), pages * 4096);
    Call::Madvise { addr, len, advice }
}

/// The kinds of the steps that a call takes from here, each run of one kind once, and its answer.
fn kinds(reference: &mut dyn Stepped, task: TaskId) -> (Vec<StepKind>, Outcome) {
    let mut kinds = Vec::new();
    loop {
        let kind = legal(reference, task)[0].kind;
        match reference.take(task, Choice::Go) {
            Ok(Taken::Returned(outcome)) => {
                kinds.dedup();
                return (kinds, outcome);
            }
            Ok(Taken::Step) => kinds.push(kind),
            Err(refusal) => panic!("{refusal:?}"),
        }
    }
}

fn kinds_of(reference: &mut Reference, call: &Call) -> Vec<StepKind> {
    begin(reference, ONE, call);
    let (mut kinds, _) = kinds(reference, ONE);
    kinds.retain(|kind| *kind != StepKind::Decide);
    kinds
}

/// unmap_region: free_pgtables, and only then tlb_finish_mmu.
#[test]
fn munmap_flushes_after_its_areas_have_left_their_anon_vmas() {
    use StepKind::{Cut, Detach, Flush, Pass, Put, Uncharge, Unlink};
    let mut reference = after(&[map(0, 1), store(0, 7)]);
    let kinds = kinds_of(&mut reference, &unmap(0, 1).call);
    let last = [Unlink, Flush, Put, Uncharge]; // none is left to unlink; then the flush
    assert_eq!(
        kinds,
        [&[Cut, Detach, Pass, Unlink, Put][..], &last].concat()
    );
}

/// Unmaps a file's page that two tasks' TLBs have, up to its flush, and drops the page.
fn dropped_with_seven() -> Reference {
    let shared = map_with(0, 1, RW, MapFlags::SHARED | MapFlags::FIXED, 3);
    let setup = [open(1), shared, store(0, 7).by(2), load(0, 7).by(4)];
    let mut reference = after_by(4, &setup);
    let it: &mut dyn Stepped = &mut reference;
    begin(it, ONE, &unmap(0, 1).call);
    until(it, ONE, StepKind::Flush);
    begin(it, THREE, &truncate(0));
    assert_eq!(finish(it, THREE), Outcome::Value(0));
    reference
}

/// An access by an entry that the tables have no more.
fn by_tlb(reference: &mut dyn Stepped, task: TaskId, call: &Call) -> Outcome {
    begin(reference, task, call);
    assert_eq!(reference.take(task, Choice::Stale), Ok(Taken::Step));
    finish(reference, task)
}

/// A TLB may have a file's page that was dropped since munmap took the area out of the file: it is the
/// page as it was, and no page of the file any more.
#[test]
fn a_page_of_a_file_that_was_dropped_lives_until_the_flush_without_its_file() {
    let mut reference = dropped_with_seven();
    let it: &mut dyn Stepped = &mut reference;
    assert_eq!(by_tlb(it, TWO, &load(0, 0).call), Outcome::Value(7));
    assert_eq!(by_tlb(it, TWO, &store(0, 9).call), Outcome::Value(0));
    begin(it, THREE, &truncate(1));
    assert_eq!(finish(it, THREE), Outcome::Value(0));
    assert_eq!(by_tlb(it, FOUR, &load(0, 0).call), Outcome::Value(9));
    assert_eq!(finish(it, ONE), Outcome::Value(0));
    let mut seen = vmadiff_contract::Snapshot::default();
    it.see(&mut seen);
    assert_eq!(seen.file_bytes, []);
}

/// The file drops the page between the processor's walk and its access.
#[test]
fn a_page_is_dropped_amid_an_access_to_it() {
    let shared = map_with(0, 1, RW, MapFlags::SHARED | MapFlags::FIXED, 3);
    let mut reference = after(&[open(1), shared, store(0, 7).by(2)]);
    let it: &mut dyn Stepped = &mut reference;
    begin(it, TWO, &load(0, 0).call);
    until(it, TWO, StepKind::Touch);
    begin(it, ONE, &unmap(0, 1).call);
    until(it, ONE, StepKind::Flush);
    begin(it, THREE, &truncate(0));
    assert_eq!(finish(it, THREE), Outcome::Value(0));
    assert_eq!(finish(it, TWO), Outcome::Value(7));
}

/// What its file has and drops later is another page.
#[test]
fn a_page_that_was_dropped_is_not_dropped_again() {
    let mut reference = dropped_with_seven();
    let it: &mut dyn Stepped = &mut reference;
    for pages in [1, 0] {
        begin(it, THREE, &truncate(pages));
        assert_eq!(finish(it, THREE), Outcome::Value(0));
    }
    assert_eq!(by_tlb(it, TWO, &load(0, 0).call), Outcome::Value(7));
}

/// Takes all steps of a task; of the other one those alone that it has to wait for.
fn finish_before(reference: &mut dyn Stepped, task: TaskId, other: TaskId) -> Outcome {
    loop {
        match reference.take(task, Choice::Go) {
            Ok(Taken::Step) => {}
            Ok(Taken::Returned(outcome)) => return outcome,
            Err(_) => drop(reference.take(other, Choice::Go).expect("it may go on")),
        }
    }
}

/// When a call has returned, no task may use an entry that one of its passes has found cleared.
#[test]
fn what_was_found_cleared_is_flushed_before_the_call_returns() {
    let private = [map(0, 1), store(0, 7), store(0, 7).by(2)];
    let shared = map_with(0, 1, RW, MapFlags::SHARED | MapFlags::FIXED, 3);
    let shared = [open(1), shared, store(0, 7), store(0, 7).by(2)];
    let dontneed = advise(0, 1, Advice::DontNeed);
    let races: [(&[Step], Call, Call); 4] = [
        (&private, dontneed, dontneed),
        (&shared, truncate(0), dontneed),
        (&shared, truncate(0), unmap(0, 1).call),
        (&shared, dontneed, truncate(0)),
    ];
    for (setup, first, second) in races {
        let mut reference = after(setup);
        let reference: &mut dyn Stepped = &mut reference;
        begin(reference, ONE, &first);
        until(reference, ONE, StepKind::Flush);
        begin(reference, THREE, &second);
        assert_eq!(finish_before(reference, THREE, ONE), Outcome::Value(0));
        begin(reference, TWO, &load(0, 0).call);
        let ways = legal(reference, TWO);
        assert!(
            ways.iter().all(|offer| offer.choice != Choice::Stale),
            "{first:x?} {second:x?}: {ways:?}"
        );
    }
}

/// change_protection_range does not ask who else has cleared entries.
#[test]
fn what_mprotect_has_not_changed_may_be_used_until_its_own_call_flushes_it() {
    let shared = map_with(0, 1, RW, MapFlags::SHARED | MapFlags::FIXED, 3);
    let mut reference = after(&[open(1), shared, store(0, 7), store(0, 7).by(2)]);
    let reference: &mut dyn Stepped = &mut reference;
    begin(reference, ONE, &truncate(0));
    until(reference, ONE, StepKind::Flush);
    begin(reference, THREE, &protect(0, 1, RO).call);
    assert_eq!(finish(reference, THREE), Outcome::Value(0));
    begin(reference, TWO, &load(0, 0).call);
    let stale = |offer: &Offer| offer.choice == Choice::Stale;
    assert!(legal(reference, TWO).iter().any(stale));
}

/// tlb_finish_mmu without a changed entry, change_protection_range without pages.
#[test]
fn what_a_pass_has_not_changed_is_not_flushed() {
    let private = map_with(0, 1, RW, MapFlags::PRIVATE | MapFlags::FIXED, 3);
    let mut copied = after(&[open(1), private, store(0, 7)]);
    let punch = Call::Fallocate {
        fd: Fd(3),
        flags: FallocFlags::PUNCH_HOLE | FallocFlags::KEEP_SIZE,
        off: 0,
        len: 4096,
    };
    let mut none = after(&[map(0, 1)]);
    for kinds in [
        kinds_of(&mut copied, &punch),
        kinds_of(&mut none, &advise(0, 1, Advice::DontNeed)),
        kinds_of(&mut none, &protect(0, 1, RO).call),
    ] {
        assert!(kinds.contains(&StepKind::Pass) && !kinds.contains(&StepKind::Flush));
    }
}

/// A gather holds 32 frames: then they are flushed and put, in the middle of the pass.
#[test]
fn a_full_batch_is_put_before_the_pass_goes_on() {
    use StepKind::{Flush, Pass, Put};
    let mut setup = vec![map(0, 40)];
    setup.extend((0..40).map(|page| store(page, 1)));
    let mut reference = after(&setup);
    let kinds = kinds_of(&mut reference, &advise(0, 40, Advice::DontNeed));
    assert_eq!(kinds, [Pass, Flush, Put, Pass, Flush, Put]);
}

/// move_ptes flushes before it unlocks its tables.
#[test]
fn a_move_flushes_each_page_table_before_the_next() {
    use StepKind::{Flush, Pass};
    let tables = 2 << 20;
    let border = at(0).next_multiple_of(tables);
    let page = (border - at(0)) / 4096;
    let mut reference = after(&[map(page - 1, 2), store(page - 1, 1), store(page, 2)]);
    let mremap = Call::Mremap {
        addr: border - 4096,
        old_len: 2 * 4096,
        new_len: 2 * 4096,
        flags: MoveFlags::MAYMOVE | MoveFlags::FIXED,
        new_addr: border + tables,
    };
    let mut kinds = kinds_of(&mut reference, &mremap);
    kinds.retain(|kind| [Flush, Pass].contains(kind));
    assert_eq!(kinds[..4], [Pass, Flush, Pass, Flush]);
}

/// try_to_unmap_one: cleared, flushed, and set, under the page table's lock; whose entry comes
/// first is open. pageout: written out when nobody maps the page any more, who would store to it.
#[test]
fn reclaim_clears_flushes_and_sets_each_entry_and_copies_at_last() {
    use StepKind::{Copy, Decide, Entry, Flush};
    let setup = [
        map(0, 1),
        store(0, 7),
        fork(4),
        load(0, 7),
        load(0, 7).by(4),
    ];
    let mut reference = after(&setup);
    let reference: &mut dyn Stepped = &mut reference;
    begin(reference, ONE, &Call::Reclaim { addr: at(0) });
    for _ in 0..2 {
        assert_eq!(reference.take(ONE, Choice::Go), Ok(Taken::Step));
    }
    let ways: Vec<Choice> = legal(reference, ONE).iter().map(|way| way.choice).collect();
    let place = |mm| Choice::At {
        mm: vmadiff_contract::MmId(mm),
        addr: at(0),
    };
    assert_eq!(ways, [Choice::Go, place(1), place(2)]);
    assert_eq!(reference.take(ONE, place(2)), Ok(Taken::Step));
    let mut about = Vec::new();
    reference.footprint(&mut about);
    let (mm, addr) = (vmadiff_contract::MmId(2), at(0));
    assert_eq!(about, [About::Entry { mm, addr }]);
    begin(reference, TWO, &unmap(0, 1).call);
    let (kinds, outcome) = kinds(reference, ONE);
    assert_eq!(
        kinds,
        [Entry, Flush, Entry, Decide, Entry, Flush, Entry, Copy]
    );
    assert_eq!(outcome, Outcome::Value(1));
    assert_eq!(finish(reference, TWO), Outcome::Value(0));
    assert_eq!(legal(reference, ONE), []);
}
