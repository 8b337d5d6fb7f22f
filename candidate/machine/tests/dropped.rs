//! A page that is taken out of a file while munmap has cleared an entry of it and flushed nothing yet:
//! processors that have the entry go on in that page, and nobody else sees it.

use std::cell::Cell;
use std::sync::Arc;

use vmadiff_contract::{
    Access, Call, Config, EventSink, Fail, FallocFlags, Fd, FileKind, Manager, MapFlags, Outcome,
    Prot, TaskId,
};
use vmadiff_interleave::policy::{Bounded, Search};
use vmadiff_interleave::sim::{Plan, Planned, Sim};
use vmadiff_machine::Machine;
use vmadiff_machine::page::gather::Gather;
use vmadiff_machine::page::zap::Which;
use vmadiff_machine::testing::{Log, Plain};

const PAGE: u64 = 4096;
/// Where the file is mapped: where it goes from, and where it stays. The TLBs of tasks have room for
/// the first two at once.
const GOES: u64 = Config::WINDOW;
const GOES_TOO: u64 = GOES + 2 * PAGE;
const STAYS: u64 = GOES + 4 * PAGE;
const FD: Fd = Fd(3);

struct Booted(Machine<Plain>);

impl Booted {
    /// A file of two pages, mapped three times.
    fn new() -> Self {
        let config = Config {
            tasks: 3,
            ..Config::default()
        };
        let events = Arc::new(Log::default()) as Arc<dyn EventSink>;
        let booted = Self(Machine::new(&config, events, &[]));
        booted.value(
            1,
            Call::Open {
                kind: FileKind::Plain,
                access: Access::READ | Access::WRITE,
                size: 2 * PAGE,
            },
        );
        for addr in [GOES, GOES_TOO, STAYS] {
            booted.map(addr, MapFlags::SHARED);
        }
        booted
    }

    fn map(&self, addr: u64, how: MapFlags) {
        let map = Call::Mmap {
            addr,
            len: 2 * PAGE,
            prot: Prot::READ | Prot::WRITE,
            flags: how | MapFlags::FIXED,
            fd: FD,
            off: 0,
        };
        self.value(1, map);
    }

    #[track_caller]
    fn value(&self, task: u8, call: Call) -> u64 {
        match self.0.call(TaskId(task), &call, Fail::NONE) {
            Outcome::Value(value) => value,
            other => panic!("{call:?} answered {other:?}"),
        }
    }

    #[track_caller]
    fn load(&self, task: u8, addr: u64) -> u64 {
        self.value(task, Call::Load { addr })
    }

    #[track_caller]
    fn store(&self, task: u8, addr: u64, value: u8) {
        self.value(task, Call::Store { addr, value });
    }

    fn punch(&self, task: u8, off: u64, len: u64) {
        let flags = FallocFlags::PUNCH_HOLE | FallocFlags::KEEP_SIZE;
        let fd = FD;
        self.value(
            task,
            Call::Fallocate {
                fd,
                flags,
                off,
                len,
            },
        );
    }

    /// What munmap does to the area at an address, up to its flush.
    fn unmap(&self, addr: u64) -> Gather<'_, Plain> {
        let m = &self.0;
        let mm = m.tasks()[1].mm.peek();
        let vma = m.vmas.by_age().find(|vma| vma.start() == addr);
        let vma = vma.expect("an area");
        let mut gather = Gather::new(m, mm, addr, addr + 2 * PAGE);
        m.unmap_single_vma(&mut gather, vma, addr, addr + 2 * PAGE, Which::All);
        m.unlink_file_vma(vma);
        gather
    }
}

#[test]
fn who_has_an_entry_of_a_dropped_page_shares_it_and_the_file_has_zeros() {
    let booted = Booted::new();
    booted.store(1, GOES, 7);
    booted.load(2, GOES);
    let gather = booted.unmap(GOES);
    let size = 0;
    booted.value(1, Call::Ftruncate { fd: FD, size });
    let size = 2 * PAGE;
    booted.value(1, Call::Ftruncate { fd: FD, size });
    assert_eq!((booted.load(1, GOES), booted.load(2, GOES)), (7, 7));
    booted.store(1, GOES + 1, 8);
    assert_eq!(booted.load(2, GOES + 1), 8);
    booted.store(3, STAYS + 2, 9);
    let file = |at| booted.load(3, STAYS + at);
    assert_eq!((file(0), file(1), file(2)), (0, 0, 9));
    assert_eq!((booted.load(1, GOES + 2), booted.load(2, GOES + 2)), (0, 0));
    gather.finish();
}

#[test]
fn a_page_that_is_dropped_twice_is_two_pages() {
    let booted = Booted::new();
    booted.store(1, GOES, 1);
    let first = booted.unmap(GOES);
    booted.punch(1, 0, PAGE);
    booted.store(2, GOES_TOO, 2);
    let second = booted.unmap(GOES_TOO);
    booted.punch(1, 0, PAGE);
    booted.store(3, STAYS, 3);
    let all = || {
        let (one, two) = (booted.load(1, GOES), booted.load(2, GOES_TOO));
        (one, two, booted.load(3, STAYS))
    };
    assert_eq!(all(), (1, 2, 3));
    booted.store(1, GOES, 4);
    booted.store(2, GOES_TOO, 5);
    assert_eq!(all(), (4, 5, 3));
    second.finish();
    first.finish();
}

#[test]
fn a_page_that_is_cut_stays_the_file_s() {
    let booted = Booted::new();
    for at in [0, 1, PAGE] {
        booted.store(1, GOES + at, 7);
    }
    let gather = booted.unmap(GOES);
    booted.punch(1, 1, 2 * PAGE - 1);
    let loads = |task, addr| [0, 1, PAGE].map(|at| booted.load(task, addr + at));
    assert_eq!(loads(1, GOES), [7, 0, 7]);
    assert_eq!(loads(3, STAYS), [7, 0, 0]);
    booted.store(1, GOES, 8);
    booted.store(1, GOES + PAGE, 8);
    assert_eq!(loads(3, STAYS), [8, 0, 0]);
    gather.finish();
}

#[test]
fn a_flush_forgets_and_where_none_is_due_nothing_is_kept() {
    let booted = Booted::new();
    booted.store(1, GOES, 7);
    let gather = booted.unmap(GOES);
    booted.punch(1, 0, PAGE);
    assert_eq!((booted.load(1, GOES), booted.0.dropped.live()), (7, 1));
    gather.finish();
    // Another flush is due, but by what that is about nobody reaches a page.
    let gather = booted.unmap(GOES_TOO);
    booted.store(3, STAYS, 8);
    booted.punch(1, 0, PAGE);
    assert_eq!((booted.load(3, STAYS), booted.0.dropped.live()), (0, 0));
    gather.finish();
    assert_eq!(booted.load(1, GOES), 0);
}

/// A store to a private mapping copies the file's page; if that was dropped since, and the one that is there
/// now is mapped in its place, the copy is not taken.
#[test]
fn a_copy_of_a_dropped_page_is_none_of_the_new_one() {
    let addr = STAYS + 2 * PAGE;
    let calls = [1, 2, 2].map(Planned::by);
    let (mut sim, mut search) = (Sim::new(), Bounded::new(1));
    let mut told = 0;
    while search.advance() {
        let booted = Booted::new();
        booted.map(addr, MapFlags::PRIVATE);
        assert_eq!(booted.load(1, addr), 0xa0);
        let seen = Cell::new(0xa0);
        let body = |task, call| match call {
            0 => booted.store(task, addr + 1, 7),
            1 => booted.punch(task, 0, PAGE),
            _ => seen.set(booted.load(task, addr)),
        };
        sim.run(&Plan::new(&calls, &body), &mut search);
        let last = booted.load(1, addr);
        assert_eq!(booted.load(1, addr + 1), 7);
        assert!(seen.get() == 0xa0 || last == 0, "what was dropped is back");
        told += u32::from(seen.get() == 0);
    }
    assert!(search.explored().complete && told > 0);
}
