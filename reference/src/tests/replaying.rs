//! Parts of calls: what a section leaves to others, and a fault without its access.

use std::sync::Arc;

use vmadiff_contract::{
    Call, Config, Fail, Fd, Lender, Manager, MapFlags, Outcome, Prot, Replay, SegvCode, Snapshot,
    TaskId, Touch,
};

use super::{Log, PRIVATE, RO, RW, at};
use crate::Reference;

const TASK: TaskId = TaskId(1);
const DONE: Outcome = Outcome::Value(0);

fn boot() -> Reference {
    Reference::new(&Config::default(), Arc::new(Log::default()))
}

fn map(reference: &Reference, page: u64, prot: Prot, more: MapFlags) {
    let call = Call::Mmap {
        addr: at(page),
        len: 4096,
        prot,
        flags: PRIVATE | more,
        fd: Fd(-1),
        off: 0,
    };
    let mapped = reference.section(TASK, &call, Fail::NONE);
    assert_eq!(mapped, Outcome::Value(at(page)));
}

fn state(reference: &Reference) -> Snapshot {
    let mut state = Snapshot::default();
    reference.snapshot(&mut state);
    state
}

#[test]
fn a_section_populates_nothing_and_the_next_call_does() {
    let reference = boot();
    map(&reference, 0, RW, MapFlags::POPULATE);
    assert!(state(&reference).pages.is_empty());
    let call = Call::Mlock {
        addr: at(0),
        len: 4096,
    };
    assert_eq!(reference.call(TASK, &call, Fail::NONE), DONE);
    assert_eq!(state(&reference).pages.len(), 1);
}

#[test]
fn a_fault_maps_and_does_not_access() {
    let reference = boot();
    map(&reference, 0, RW, MapFlags::empty());
    let store = |touch| reference.fault(TASK, at(0), touch, Lender::ByRule);
    assert_eq!(store(Touch::Load), DONE);
    assert!(!state(&reference).pages[0].writable);
    assert_eq!(store(Touch::Store), DONE);
    assert!(state(&reference).pages[0].writable);
    assert!(state(&reference).bytes.is_empty());
    assert_eq!(state(&reference).tasks[0].minor_faults, 2);
    let unmapped = reference.fault(TASK, at(9), Touch::Load, Lender::ByRule);
    assert_eq!(unmapped, Outcome::Segv(SegvCode::MapErr));
}

/// Two loads that found no entry each have a fault; the second finds the first one's page.
#[test]
fn a_fault_is_served_where_another_was_faster() {
    for (prot, touch) in [(RO, Touch::Load), (Prot::EXEC, Touch::Exec)] {
        let reference = boot();
        map(&reference, 0, prot, MapFlags::empty());
        let fault = || reference.fault(TASK, at(0), touch, Lender::ByRule);
        assert_eq!((fault(), fault()), (DONE, DONE));
        assert_eq!(state(&reference).tasks[0].minor_faults, 2);
    }
}

#[test]
fn an_exec_of_a_page_that_is_there_and_not_executable_is_refused() {
    let reference = boot();
    map(&reference, 0, RO, MapFlags::empty());
    let exec = || reference.fault(TASK, at(0), Touch::Exec, Lender::ByRule);
    assert_eq!(exec(), DONE);
    assert_eq!(exec(), Outcome::Segv(SegvCode::AccErr));
}

#[test]
fn who_lends_an_anon_vma_can_be_told() {
    let borrowed_from = |lender| {
        let reference = boot();
        map(&reference, 0, RW, MapFlags::empty());
        map(&reference, 1, RW, MapFlags::empty());
        map(&reference, 2, RW, MapFlags::empty());
        // Three areas that are one but for their protection.
        let call = Call::Mprotect {
            addr: at(1),
            len: 4096,
            prot: RO,
        };
        assert_eq!(reference.section(TASK, &call, Fail::NONE), DONE);
        for (page, lender) in [(0, Lender::Nobody), (2, Lender::Nobody)] {
            assert_eq!(reference.fault(TASK, at(page), Touch::Store, lender), DONE);
        }
        let call = Call::Mprotect {
            addr: at(1),
            len: 4096,
            prot: RW | Prot::EXEC,
        };
        assert_eq!(reference.section(TASK, &call, Fail::NONE), DONE);
        assert_eq!(reference.fault(TASK, at(1), Touch::Store, lender), DONE);
        state(&reference).vmas[1].anon.unwrap().0
    };
    assert_eq!(borrowed_from(Lender::Prev), 1);
    assert_eq!(borrowed_from(Lender::ByRule), 2);
    assert_eq!(borrowed_from(Lender::Nobody), 3);
}

#[test]
fn an_area_takes_its_neighbours_anon_vma_where_no_other_can_be_had() {
    let reference = boot();
    map(&reference, 0, RW, MapFlags::empty());
    map(&reference, 1, RW, MapFlags::empty());
    // Two areas that are one but for their protection.
    let call = Call::Mprotect {
        addr: at(1),
        len: 4096,
        prot: RO,
    };
    assert_eq!(reference.section(TASK, &call, Fail::NONE), DONE);
    let prepare = |page| reference.prepare(TASK, at(page), Lender::ByRule, Fail(1));
    assert_eq!(prepare(0), Outcome::Oom);
    assert_eq!(state(&reference).anons, 0);
    let store = |page| reference.fault(TASK, at(page), Touch::Store, Lender::ByRule);
    assert_eq!(store(0), DONE);
    assert_eq!(prepare(1), DONE);
    let state = state(&reference);
    assert_eq!((state.vmas.len(), state.anons), (2, 1));
    assert_eq!(state.vmas[0].anon, state.vmas[1].anon);
}

#[test]
fn an_area_can_be_given_an_anon_vma_and_no_page() {
    let reference = boot();
    map(&reference, 0, RW, MapFlags::empty());
    let prepare = |page| reference.prepare(TASK, at(page), Lender::ByRule, Fail::NONE);
    assert_eq!(prepare(1), Outcome::Segv(SegvCode::MapErr));
    assert_eq!((prepare(0), prepare(0)), (DONE, DONE));
    let state = state(&reference);
    assert_eq!((state.pages.len(), state.anons), (0, 1));
    assert_eq!(state.vmas[0].anon_chain, 1);
}

#[test]
fn a_section_of_mprotect_populates_locked_memory_that_becomes_writable() {
    let reference = boot();
    map(&reference, 0, RO, MapFlags::empty());
    let locks = Call::Mlock {
        addr: at(0),
        len: 4096,
    };
    assert_eq!(reference.section(TASK, &locks, Fail::NONE), DONE);
    assert_eq!(state(&reference).pages.len(), 0);
    let call = Call::Mprotect {
        addr: at(0),
        len: 4096,
        prot: RW,
    };
    assert_eq!(reference.section(TASK, &call, Fail::NONE), DONE);
    // mprotect_fixup faults the page in under the mmap_sem that it holds for writing.
    assert_eq!(state(&reference).pages.len(), 1);
}
