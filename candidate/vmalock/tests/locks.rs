//! Which faults are served under their area's lock, which go on under mmap_sem, and that nothing stays
//! locked, by calls one after another and on real threads.

use std::sync::Arc;
use std::thread;

use vmadiff_contract::{
    Access, Call, Config, Event, EventSink, Fail, Fd, FileKind, Manager, MapFlags, Note, Outcome,
    Prot, Snapshot, TaskId,
};
use vmadiff_machine::Machine;
use vmadiff_machine::testing::Log;
use vmadiff_vmalock::VmaLock;

const RW: Prot = Prot::READ.union(Prot::WRITE);
const PRIVATE: MapFlags = MapFlags::PRIVATE.union(MapFlags::ANONYMOUS);

struct Booted {
    log: Arc<Log>,
    machine: Machine<VmaLock>,
}

fn page(n: u64) -> u64 {
    Config::WINDOW + n * 4096
}

fn store(n: u64) -> Call {
    let (addr, value) = (page(n), 7);
    Call::Store { addr, value }
}

fn load(n: u64) -> Call {
    Call::Load { addr: page(n) }
}

fn map(from: u64, pages: u64, prot: Prot, flags: MapFlags, fd: Option<Fd>) -> Call {
    Call::Mmap {
        addr: page(from),
        len: pages * 4096,
        prot,
        flags: flags | MapFlags::FIXED,
        fd: fd.unwrap_or(Fd(-1)),
        off: 0,
    }
}

fn unmap(from: u64, pages: u64) -> Call {
    let (addr, len) = (page(from), pages * 4096);
    Call::Munmap { addr, len }
}

impl Booted {
    /// With one task, whom a design that speculates would not serve.
    fn new(tasks: u8) -> Self {
        let config = Config {
            tasks,
            ..Config::default()
        };
        let log = Arc::new(Log::default());
        let events = Arc::clone(&log) as Arc<dyn EventSink>;
        let machine = Machine::new(&config, events, &[]);
        Self { log, machine }
    }

    fn call(&self, call: &Call) -> Outcome {
        self.machine.call(TaskId(1), call, Fail::NONE)
    }

    #[track_caller]
    fn value(&self, call: &Call) -> u64 {
        match self.call(call) {
            Outcome::Value(value) => value,
            other => panic!("{call:?} answered {other:?}"),
        }
    }

    fn open(&self, kind: FileKind) -> Fd {
        let (access, size) = (Access::READ | Access::WRITE, 1 << 14);
        Fd(self.value(&Call::Open { kind, access, size }) as i32)
    }

    /// The notes of a call, of how its faults were served.
    fn faults(&self, call: &Call) -> Vec<&'static str> {
        self.log.take();
        self.call(call);
        let name = |event| match event {
            Event::Note(Note::Speculative) => Some("locked"),
            Event::Note(Note::Classic) => Some("mmap_sem"),
            Event::Note(Note::GiveUp(why)) => Some(why.name),
            Event::Misuse(misuse) => panic!("{misuse:?}"),
            _ => None,
        };
        self.log.take().into_iter().filter_map(name).collect()
    }

    /// Every area has the reference of its tree alone, and no writer's lock.
    #[track_caller]
    fn is_at_rest(&self, areas: usize) {
        let mut state = Snapshot::default();
        self.machine.snapshot(&mut state);
        let counts: Vec<_> = state.protocol.iter().map(|it| it.counts).collect();
        assert_eq!(counts, vec![[1, 0]; areas]);
    }
}

#[test]
fn faults_are_served_under_the_lock_of_their_area() {
    let booted = Booted::new(1);
    booted.value(&map(0, 2, RW, PRIVATE, None));
    let fresh = "no anon_vma yet, and nobody has mmap_sem";
    assert_eq!(booted.faults(&store(0)), ["locked"], "{fresh}");
    assert_eq!(booted.faults(&load(1)), ["locked"]);
    assert_eq!(booted.faults(&store(1)), ["locked"], "a copy of zeroes");
    assert_eq!(booted.value(&Call::Reclaim { addr: page(0) }), 1);
    assert_eq!(booted.faults(&load(0)), ["locked"], "swapped out");
    let plain = booted.open(FileKind::Plain);
    booted.value(&map(4, 2, RW, MapFlags::SHARED, Some(plain)));
    assert_eq!(booted.faults(&store(4)), ["locked"], "a file's");
    booted.value(&map(8, 2, RW, MapFlags::PRIVATE, Some(plain)));
    assert_eq!(booted.faults(&store(8)), ["locked"], "a copy of a file's");
    booted.is_at_rest(3);
}

#[test]
fn other_faults_go_on_under_mmap_sem() {
    let booted = Booted::new(1);
    assert_eq!(booted.faults(&load(0)), ["NoVma"]);
    let stack = PRIVATE | MapFlags::GROWSDOWN;
    booted.value(&map(4, 2, RW, stack, None));
    assert_eq!(booted.faults(&store(3)), ["NoVma", "mmap_sem"]);
    assert_eq!(booted.faults(&store(5)), ["locked"], "it need not grow");
    let exec = Call::Exec { addr: page(4) };
    assert_eq!(booted.faults(&exec)[..2], ["NotExecutable", "mmap_sem"]);
    let device = booted.open(FileKind::WithClose);
    booted.value(&map(8, 1, RW, MapFlags::SHARED, Some(device)));
    assert_eq!(booted.faults(&store(8)), ["NoMapPages", "mmap_sem"]);
    booted.is_at_rest(2);
}

/// Unlike the series of 2019, whose flags are nobody's by the time.
#[test]
fn a_refusal_needs_no_mmap_sem() {
    let booted = Booted::new(1);
    booted.value(&map(0, 1, Prot::READ, PRIVATE, None));
    assert!(booted.faults(&store(0)).is_empty());
    assert!(matches!(booted.call(&store(0)), Outcome::Segv(_)));
    booted.is_at_rest(1);
}

/// Rounds of the race on real threads.
const ROUNDS: u64 = if cfg!(debug_assertions) { 500 } else { 5000 };

#[test]
fn real_threads_leave_nothing_locked() {
    let booted = Booted::new(2);
    booted.value(&map(0, 8, RW, PRIVATE, None));
    let writer = || {
        for round in 0..ROUNDS {
            let from = round % 6;
            booted.call(&unmap(from, 2));
            booted.call(&map(from, 2, RW, PRIVATE, None));
        }
    };
    let reader = || {
        for round in 0..ROUNDS * 4 {
            booted
                .machine
                .call(TaskId(2), &store(round % 8), Fail::NONE);
        }
    };
    thread::scope(|scope| {
        scope.spawn(writer);
        scope.spawn(reader);
    });
    let events = booted.log.take();
    let misused = events.iter().find(|it| matches!(it, Event::Misuse(_)));
    assert_eq!(misused, None);
    let served = Event::Note(Note::Speculative);
    assert!(events.contains(&served), "no fault got its lock");
    let mut state = Snapshot::default();
    booted.machine.snapshot(&mut state);
    booted.is_at_rest(state.vmas.len());
    assert_eq!(booted.value(&unmap(0, 8)), 0);
    booted.is_at_rest(0);
}
