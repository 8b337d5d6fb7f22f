//! A design that holds its areas by a lock and is not optimistic: the machine makes tables for its
//! faults, waits for locks, and serves pages of files. Calls come one after another here, so the lock
//! is one that nobody contends for.

use std::sync::Arc;

use vmadiff_contract::{
    Access, Call, Config, DesignInfo, Event, EventSink, Fail, Fd, FileKind, Manager, MapFlags,
    Note, Outcome, Prot, TaskId, VmFlags,
};
use vmadiff_interleave::{Cell, RwSem};
use vmadiff_machine::page::pte::Pte;
use vmadiff_machine::testing::Log;
use vmadiff_machine::{
    Current, Design, Fault, Found, Handle, Machine, Need, Ops, PageProt, Ref, Vma, Vmf,
};

vmadiff_interleave::sites! {
    LOCK = "held.lock";
}

vmadiff_machine::reasons! {
    NOTHING 0 "Nothing" true "No area, or none that may be stored to without mmap_sem.";
}

struct Held;

#[derive(Default)]
struct Area {
    lock: RwSem,
    /// Faults that were served under the lock.
    served: Cell<u64>,
}

static HELD: DesignInfo = DesignInfo {
    sites: &[NAMES],
    reasons: &[REASONS],
    ..DesignInfo::plain("held", |config, events, defects| {
        Machine::<Held>::boxed(config, events, defects)
    })
};

impl Design for Held {
    const INFO: &'static DesignInfo = &HELD;
    const OPTIMISTIC: bool = false;
    type Area = Area;
    type Space = ();
    type Hold<'a> = vmadiff_interleave::ReadGuard<'a>;

    fn fault(cx: &Current<'_, Self>, addr: u64, need: Need, _refused: Pte) -> Fault {
        let vma = cx.tree(cx.mm_struct()).find(addr);
        let Some(vma) = vma.filter(|vma| vma.start() <= addr) else {
            return cx.give_up(&NOTHING);
        };
        let hold = cx.area(vma).lock.read(LOCK);
        let moment = cx.moment();
        let flags = vma.flags();
        let allowed = match need {
            Need::Write => flags.contains(VmFlags::WRITE),
            Need::Read | Need::Exec => flags.contains(VmFlags::READ),
        };
        let fresh = vma.ops() == Ops::Anonymous && vma.anon_vma().peek().is_null();
        if !allowed || fresh {
            return cx.give_up(&NOTHING);
        }
        let found = Found {
            vma,
            hold,
            copied: None,
            flags,
            page_prot: PageProt::of(flags),
            pgoff: vma.pgoff_of(addr),
            policy: Handle::NULL,
            moment,
        };
        let mut vmf = Vmf::new(cx, found, addr, need == Need::Write);
        let fault = cx.handle_held_fault(&mut vmf);
        cx.area(vma).served.count(1);
        fault
    }

    fn born(m: &Machine<Self>, vma: Ref<'_, Vma>, _copy_of: Option<Ref<'_, Vma>>) {
        m.area(vma).served.init(0);
    }
}

struct Booted {
    log: Arc<Log>,
    machine: Machine<Held>,
}

impl Booted {
    fn new() -> Self {
        let log = Arc::new(Log::default());
        let events = Arc::clone(&log) as Arc<dyn EventSink>;
        let machine = Machine::new(&Config::default(), events, &[]);
        Self { log, machine }
    }

    #[track_caller]
    fn value(&self, call: Call) -> u64 {
        match self.machine.call(TaskId(1), &call, Fail::NONE) {
            Outcome::Value(value) => value,
            other => panic!("{call:?} answered {other:?}"),
        }
    }

    #[track_caller]
    fn map(&self, addr: u64, len: u64, fd: Option<Fd>) {
        let anonymous = MapFlags::PRIVATE | MapFlags::FIXED | MapFlags::ANONYMOUS;
        let file = MapFlags::SHARED | MapFlags::FIXED;
        self.value(Call::Mmap {
            addr,
            len,
            prot: Prot::READ | Prot::WRITE,
            flags: if fd.is_some() { file } else { anonymous },
            fd: fd.unwrap_or(Fd(-1)),
            off: 0,
        });
    }

    /// Whether the access was served by the design.
    #[track_caller]
    fn held(&self, access: Call) -> bool {
        self.log.take();
        self.value(access);
        let events = self.log.take();
        assert!(!events.iter().any(|e| matches!(e, Event::Misuse(_))));
        events.contains(&Event::Note(Note::Speculative))
    }
}

const BASE: u64 = Config::WINDOW;

fn store(addr: u64) -> Call {
    Call::Store { addr, value: 7 }
}

#[test]
fn a_fault_under_a_lock_makes_its_own_tables() {
    let booted = Booted::new();
    // Two tables: the second page is the first of its table.
    booted.map(BASE, 8 << 20, None);
    assert!(!booted.held(store(BASE)), "it has no anon_vma yet");
    assert!(booted.held(store(BASE + (4 << 20))));
    assert!(booted.held(Call::Load {
        addr: BASE + (6 << 20)
    }));
    assert_eq!(
        booted.value(Call::Load {
            addr: BASE + (4 << 20)
        }),
        7
    );
    let vma = booted.machine.vmas.by_age().next().expect("an area");
    assert_eq!(booted.machine.area(vma).served.peek(), 2);
}

#[test]
fn a_fault_under_a_lock_serves_pages_of_files_and_swapped_ones() {
    let booted = Booted::new();
    let (access, size) = (Access::READ | Access::WRITE, 1 << 16);
    let kind = FileKind::Plain;
    let fd = Fd(booted.value(Call::Open { kind, access, size }) as i32);
    booted.map(BASE, 0x4000, Some(fd));
    assert!(booted.held(store(BASE)));
    booted.map(BASE + 0x8000, 0x4000, None);
    booted.value(store(BASE + 0x8000));
    let addr = BASE + 0x8000;
    assert_eq!(booted.value(Call::Reclaim { addr }), 1);
    assert!(booted.held(Call::Load { addr }));
}

#[test]
fn what_it_held_is_given_back() {
    let booted = Booted::new();
    booted.map(BASE, 0x4000, None);
    booted.value(store(BASE));
    booted.value(store(BASE + 0x1000));
    let vma = booted.machine.vmas.by_age().next().expect("an area");
    // Would wait for ever if a fault still had it.
    drop(booted.machine.area(vma).lock.write(LOCK));
}
