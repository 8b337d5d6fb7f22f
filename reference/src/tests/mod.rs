//! Programs with the answers that the rules give, and random ones with what must always hold.
//!
//! A program is a list of steps on a window of pages. What it leaves is drawn: one letter for each
//! page, the same for the pages of one VMA, `A` for the first that was allocated; `.` is a hole.

mod access;
mod advice;
mod asking;
mod cost;
mod dice;
mod driving;
mod exploring;
mod flushing;
mod invariant;
mod kept;
mod lists;
mod locks;
mod mapping;
mod merging;
mod moving;
mod paging;
mod placement;
mod policies;
mod races;
mod random;
mod sharing;
mod weaving;

use std::sync::{Arc, Mutex};

use vmadiff_contract::{
    Call, Config, Errno, Event, EventSink, Fail, Fd, Manager, MapFlags, MmId, Outcome, Prot,
    SegvCode, Snapshot, TaskId, VmaId, VmaState,
};

use crate::Reference;

/// A page's address in the window.
pub(crate) const fn at(page: u64) -> u64 {
    Config::WINDOW + page * 4096
}

pub(crate) const RW: Prot = Prot::READ.union(Prot::WRITE);
pub(crate) const RO: Prot = Prot::READ;
pub(crate) const NONE: Prot = Prot::NONE;

/// Private anonymous memory at an exact place.
pub(crate) const PRIVATE: MapFlags = MapFlags::PRIVATE
    .union(MapFlags::ANONYMOUS)
    .union(MapFlags::FIXED);

/// Keeps every event.
#[derive(Default)]
pub(crate) struct Log(pub Mutex<Vec<Event>>);

impl EventSink for Log {
    fn event(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

/// A call, who makes it, and what it must answer.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    task: TaskId,
    call: Call,
    fail: Fail,
    want: Outcome,
    frees: Option<Vec<u32>>,
}

impl Step {
    /// The first task makes this call; it answers 0.
    pub fn new(call: Call) -> Self {
        Self {
            task: TaskId(1),
            call,
            fail: Fail::NONE,
            want: Outcome::Value(0),
            frees: None,
        }
    }

    pub fn by(self, task: u8) -> Self {
        Self {
            task: TaskId(task),
            ..self
        }
    }

    pub fn is(self, value: u64) -> Self {
        Self {
            want: Outcome::Value(value),
            ..self
        }
    }

    pub fn fails(self, errno: Errno) -> Self {
        Self {
            want: Outcome::Errno(errno),
            ..self
        }
    }

    pub fn gives(self, want: Outcome) -> Self {
        Self { want, ..self }
    }

    /// Its `n`-th allocation fails.
    pub fn without(self, n: u8) -> Self {
        Self {
            fail: Fail(n),
            ..self
        }
    }

    /// The VMAs that it frees, in order.
    pub fn frees(self, vmas: &[u32]) -> Self {
        Self {
            frees: Some(vmas.to_vec()),
            ..self
        }
    }
}

/// Maps at a fixed place, and answers it.
pub(crate) fn map_with(page: u64, pages: u64, prot: Prot, flags: MapFlags, fd: i32) -> Step {
    let (addr, len) = (at(page), pages * 4096);
    Step::new(Call::Mmap {
        addr,
        len,
        prot,
        flags,
        fd: Fd(fd),
        off: 0,
    })
    .is(addr)
}

pub(crate) fn map(page: u64, pages: u64) -> Step {
    map_with(page, pages, RW, PRIVATE, -1)
}

pub(crate) fn unmap(page: u64, pages: u64) -> Step {
    Step::new(Call::Munmap {
        addr: at(page),
        len: pages * 4096,
    })
}

pub(crate) fn protect(page: u64, pages: u64, prot: Prot) -> Step {
    Step::new(Call::Mprotect {
        addr: at(page),
        len: pages * 4096,
        prot,
    })
}

pub(crate) fn load(page: u64, value: u64) -> Step {
    Step::new(Call::Load { addr: at(page) }).is(value)
}

pub(crate) fn store(page: u64, value: u8) -> Step {
    Step::new(Call::Store {
        addr: at(page),
        value,
    })
}

pub(crate) fn exec(page: u64) -> Step {
    Step::new(Call::Exec { addr: at(page) })
}

/// The next task is the child.
pub(crate) fn fork(child: u64) -> Step {
    Step::new(Call::Fork).is(child)
}

pub(crate) const MAPERR: Outcome = Outcome::Segv(SegvCode::MapErr);
pub(crate) const ACCERR: Outcome = Outcome::Segv(SegvCode::AccErr);

/// Runs a program on the default machine, and looks at the first address space.
#[track_caller]
pub(crate) fn check(program: &[Step], drawn: &str) -> Snapshot {
    check_in(&Config::default(), 1, program, drawn)
}

/// Runs a program, and looks at address space `mm`.
#[track_caller]
pub(crate) fn check_in(config: &Config, mm: u8, program: &[Step], drawn: &str) -> Snapshot {
    let log = Arc::<Log>::default();
    let manager = Reference::new(config, log.clone());
    for (i, step) in program.iter().enumerate() {
        let said = manager.call(step.task, &step.call, step.fail);
        let events = std::mem::take(&mut *log.0.lock().unwrap());
        assert_eq!(said, step.want, "step {i}: {:x?}", step.call);
        if let Some(frees) = &step.frees {
            let freed = events.iter().filter_map(|event| match event {
                Event::VmaFree { vma } => Some(vma.0),
                _ => None,
            });
            assert_eq!(
                &freed.collect::<Vec<_>>(),
                frees,
                "step {i}: {:x?}",
                step.call
            );
        }
        manager.machine.read().world.assert_sound(true);
    }
    let mut seen = Snapshot::default();
    manager.snapshot(&mut seen);
    assert_eq!(draw(&seen, mm), drawn);
    seen
}

/// The window of an address space, without the holes at its end.
fn draw(seen: &Snapshot, mm: u8) -> String {
    let letter = |page: u64| {
        let vma = seen
            .vmas
            .iter()
            .find(|vma| vma.mm == MmId(mm) && vma.start <= at(page) && at(page) < vma.end);
        vma.map_or('.', |vma| char::from(b'A' + vma.vma.0 as u8 - 1))
    };
    let pages: String = (0..Config::WINDOW_PAGES).map(letter).collect();
    pages.trim_end_matches('.').to_owned()
}

/// The VMA of this letter.
pub(crate) fn vma(seen: &Snapshot, letter: char) -> VmaState {
    let id = VmaId(letter as u32 - 'A' as u32 + 1);
    *seen
        .vmas
        .iter()
        .find(|vma| vma.vma == id)
        .expect("the VMA lives")
}
