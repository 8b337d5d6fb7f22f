//! The machine with this design as a whole: every law that holds without a second manager to compare
//! with.

mod merges;
mod random;
mod speculation;

use std::sync::Arc;

use vmadiff_contract::{
    Access, Advice, Call, Config, Event, EventSink, Fail, Fd, FileKind, Manager, MapFlags, Note,
    Outcome, Prot, Snapshot, TaskId, VmaState,
};

use vmadiff_machine::testing::Log;
use vmadiff_machine::{Handle, Machine, Vma};
use vmadiff_spf::Spf;

/// First address of the window that the tests use.
const WINDOW: u64 = Config::WINDOW;

/// A manager with its log.
struct Booted {
    log: Arc<Log>,
    machine: Machine<Spf>,
}

/// The address of a page of the window.
fn page(n: u64) -> u64 {
    WINDOW + n * 4096
}

const RW: Prot = Prot::READ.union(Prot::WRITE);

impl Booted {
    fn new(config: &Config) -> Self {
        Self::with_defects(config, &[])
    }

    fn with_defects(config: &Config, defects: &[&str]) -> Self {
        let log = Arc::new(Log::default());
        let events = Arc::clone(&log) as Arc<dyn EventSink>;
        let machine = Machine::new(config, events, defects);
        Self { log, machine }
    }

    fn boot() -> Self {
        Self::new(&Config::default())
    }

    fn call(&self, task: u8, call: Call) -> Outcome {
        self.machine.call(TaskId(task), &call, Fail::NONE)
    }

    /// The call must answer this value.
    #[track_caller]
    fn value(&self, call: Call) -> u64 {
        match self.call(1, call) {
            Outcome::Value(value) => value,
            other => panic!("{call:?} answered {other:?}"),
        }
    }

    /// Private anonymous memory at pages `from` to `to`.
    #[track_caller]
    fn map(&self, from: u64, to: u64, prot: Prot) {
        self.map_file(from, to, prot, None, 0);
    }

    /// A private mapping of a file, or of nothing, at pages `from` to `to`.
    #[track_caller]
    fn map_file(&self, from: u64, to: u64, prot: Prot, fd: Option<Fd>, off: u64) {
        let anonymous = MapFlags::PRIVATE | MapFlags::FIXED | MapFlags::ANONYMOUS;
        self.value(Call::Mmap {
            addr: page(from),
            len: (to - from) * 4096,
            prot,
            flags: if fd.is_some() {
                anonymous - MapFlags::ANONYMOUS
            } else {
                anonymous
            },
            fd: fd.unwrap_or(Fd(-1)),
            off: off * 4096,
        });
    }

    #[track_caller]
    fn open(&self, kind: FileKind) -> Fd {
        let (access, size) = (Access::READ | Access::WRITE, 1 << 16);
        Fd(self.value(Call::Open { kind, access, size }) as i32)
    }

    #[track_caller]
    fn protect(&self, from: u64, to: u64, prot: Prot) {
        let (addr, len) = (page(from), (to - from) * 4096);
        self.value(Call::Mprotect { addr, len, prot });
    }

    fn store(&self, at: u64, value: u8) -> Outcome {
        self.call(
            1,
            Call::Store {
                addr: page(at),
                value,
            },
        )
    }

    fn load(&self, at: u64) -> Outcome {
        self.call(1, Call::Load { addr: page(at) })
    }

    /// What was noted since it was last asked.
    fn notes(&self) -> Vec<Note> {
        let events = self.log.take();
        events
            .into_iter()
            .filter_map(|event| match event {
                Event::Note(note) => Some(note),
                _ => None,
            })
            .collect()
    }

    fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        self.machine.snapshot(&mut snapshot);
        snapshot
    }

    /// The areas of the first address space, as pages of the window with the VMA's number.
    fn areas(&self) -> Vec<(u64, u64, u32)> {
        let in_pages = |v: &VmaState| ((v.start - WINDOW) / 4096, (v.end - WINDOW) / 4096, v.vma.0);
        self.snapshot().vmas.iter().map(in_pages).collect()
    }

    /// List and tree of every address space hold the same; references and counts are in order.
    #[track_caller]
    fn check_protocol(&self) {
        let machine = &self.machine;
        for mm in machine.mms.iter() {
            let mut listed = Vec::new();
            let mut next = machine.first_vma(mm.object());
            while let Some(vma) = next {
                listed.push(vma.handle());
                next = machine.next(vma);
            }
            let mut in_tree = Vec::new();
            walk(machine, mm.object().mm_rb.peek(), &mut in_tree);
            assert_eq!(listed, in_tree);
            assert_eq!(mm.object().map_count.peek(), listed.len() as u64);
        }
        for p in self.snapshot().protocol {
            let [refs, sequence] = p.counts;
            assert_eq!((refs, sequence % 2), (2, 0), "{p:?}");
        }
    }

    /// Every task exits, every grace period ends, and nothing is left.
    #[track_caller]
    fn check_end(&self) {
        for task in 1..=16 {
            self.call(task, Call::Exit);
        }
        self.machine.quiesce();
        let last = self.snapshot();
        assert_eq!(last, Snapshot::default());
        let c = &self.machine;
        let live = [
            c.vmas.live(),
            c.anons.live(),
            c.avcs.live(),
            c.frames.live(),
            c.swap.live(),
            c.tables.live(),
            c.files.live(),
            c.policies.live(),
            c.mms.live(),
        ];
        assert_eq!(live, [0; 9]);
    }
}

fn walk(machine: &Machine<Spf>, node: Handle<Vma>, into: &mut Vec<Handle<Vma>>) {
    if let Some(vma) = machine.vma_opt(node) {
        walk(machine, vma.rb_left().peek(), into);
        into.push(node);
        walk(machine, vma.rb_right().peek(), into);
    }
}
