//! Limits of a process (`signal->rlim`): the configuration's until setrlimit sets them.

use vmadiff_contract::{Config, LimitState, MmId, Resource};
use vmadiff_interleave::{Cell, Site, SpinLock};

use crate::core::current::Current;
use crate::core::mm::Mm;
use crate::core::moves::{Shows, moved};
use crate::design::Design;
use crate::sites as site;

/// Resources that there are (RLIM_NLIMITS).
pub const RLIM_NLIMITS: u32 = 16;

/// The most descriptors that a process may ever have (`sysctl_nr_open`).
pub const NR_OPEN: u64 = 1 << 20;

/// A limit in the resource's unit; `u64::MAX` is none.
#[derive(Clone, Copy)]
pub struct Rlimit {
    /// What calls meet (`rlim_cur`).
    pub soft: u64,
    /// What the soft one can be raised to (`rlim_max`).
    pub hard: u64,
}

/// The limits of a process. Its tasks share them.
#[derive(Default)]
pub struct Rlimits {
    /// Guards changes (`task_lock` of the group's leader); who meets a limit reads it without.
    pub task_lock: SpinLock,
    /// Those that were set, a bit each.
    set: Cell<u32>,
    soft: [Cell<u64>; RLIM_NLIMITS as usize],
    hard: [Cell<u64>; RLIM_NLIMITS as usize],
}

impl Rlimits {
    /// None was set.
    pub fn init(&self) {
        moved(Shows::Files);
        self.set.init(0);
    }

    /// The limit on a resource, which there is, with what the machine was booted with.
    pub fn of(&self, resource: Resource, config: &Config) -> Rlimit {
        let number = resource.number();
        if self.set.peek() >> number & 1 == 0 {
            return booted(resource, config);
        }
        Rlimit {
            soft: self.soft[number as usize].peek(),
            hard: self.hard[number as usize].peek(),
        }
    }

    /// Sets one, in one step.
    pub fn set(&self, resource: Resource, limit: Rlimit) {
        moved(Shows::Files);
        let number = resource.number();
        self.soft[number as usize].set(site::DO_PRLIMIT__RLIM, limit.soft);
        self.hard[number as usize].init(limit.hard);
        self.set.init(self.set.peek() | 1 << number);
    }

    /// Makes them those of a parent (`copy_signal`), while nobody else can see these. `then` comes with
    /// the parent's lock still held.
    pub fn copy(&self, parent: &Self, then: impl FnOnce()) {
        let _lock = parent.task_lock.lock(site::COPY_SIGNAL__TASK_LOCK);
        moved(Shows::Files);
        self.set.init(parent.set.peek());
        for (to, from) in self.soft.iter().zip(&parent.soft) {
            to.init(from.peek());
        }
        for (to, from) in self.hard.iter().zip(&parent.hard) {
            to.init(from.peek());
        }
        then();
    }

    /// Shows those that were set, by number.
    pub fn each(&self, mm: MmId, mut see: impl FnMut(LimitState)) {
        let set = self.set.peek();
        for number in (0..RLIM_NLIMITS).filter(|number| set >> number & 1 != 0) {
            see(LimitState {
                mm,
                resource: Resource::from_number(number),
                soft: self.soft[number as usize].peek(),
                hard: self.hard[number as usize].peek(),
            });
        }
    }
}

/// What a limit is that no program has set.
fn booted(resource: Resource, config: &Config) -> Rlimit {
    let none = u64::MAX;
    let (soft, hard) = match resource {
        Resource::As => (config.rlimit_as, none),
        Resource::Data => (config.rlimit_data, config.rlimit_data),
        Resource::Stack => (config.rlimit_stack, none),
        Resource::MemLock => (config.rlimit_memlock, none),
        Resource::NoFile => (config.rlimit_nofile.into(), NR_OPEN),
        Resource::Other(_) => (none, none),
    };
    Rlimit { soft, hard }
}

impl<D: Design> Current<'_, D> {
    /// The limit that the task meets (`rlimit`).
    #[inline]
    pub fn rlimit(&self, resource: Resource) -> u64 {
        self.rlimits(self.mm_struct(), resource).soft
    }

    /// The same where another task may set it just before: at a scheduling point.
    pub fn rlimit_at(&self, site: Site, resource: Resource) -> u64 {
        let number = resource.number() as usize;
        self.mm_struct().rlimits.soft[number].get(site);
        self.rlimit(resource)
    }

    /// What it can be raised to (`rlimit_max`).
    pub fn rlimit_max(&self, resource: Resource) -> u64 {
        self.rlimits(self.mm_struct(), resource).hard
    }

    fn rlimits(&self, mm: &Mm, resource: Resource) -> Rlimit {
        mm.rlimits.of(resource, self.config())
    }
}
