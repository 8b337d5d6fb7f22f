//! Limits of a process, setting them, and asking whether one would be exceeded (section 25).

use vmadiff_contract::{Errno, Outcome, PAGE_SIZE, Resource, VmFlags};

use crate::job::{DONE, Flow, List, Step, rows};
use crate::mm::Mm;
use crate::world::{Answer, World};

/// A limit that setrlimit has set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Limit {
    pub resource: Resource,
    pub soft: u64,
    pub hard: u64,
}

/// `RLIM_NLIMITS`: resources are below it.
const RESOURCES: u32 = 16;

/// `fs.nr_open`: no process may have more descriptors.
const DESCRIPTORS_MAX: u64 = 1 << 20;

/// Sets a limit of the process.
#[derive(Clone, Debug, Hash)]
pub(crate) struct SetRlimit {
    m: usize,
    new: Limit,
}

impl List for SetRlimit {
    rows! { "setrlimit"
        Count None "do_prlimit: task_lock of the group's leader"
            set: "the limit, unless the hard one would rise";
    }
}

impl SetRlimit {
    pub fn new(m: usize, resource: Resource, soft: u64, hard: u64) -> Answer<Self> {
        if resource.number() >= RESOURCES || soft > hard {
            return Err(Errno::EINVAL);
        }
        if resource == Resource::NoFile && hard > DESCRIPTORS_MAX {
            return Err(Errno::EPERM);
        }
        let new = Limit {
            resource,
            soft,
            hard,
        };
        Ok(Self { m, new })
    }

    fn set(world: &mut World, it: &mut Self) -> Step {
        let new = it.new;
        world.about_counters(it.m);
        if new.hard > world.limit(it.m, new.resource).hard {
            return Err(Errno::EPERM);
        }
        let limits = &mut world.mms[it.m].limits;
        match limits.binary_search_by_key(&new.resource.number(), |limit| limit.resource.number()) {
            Ok(at) => limits[at] = new,
            Err(at) => limits.insert(at, new),
        }
        DONE
    }
}

/// Whether RLIMIT_AS and RLIMIT_DATA allow `pages` more with these flags (`may_expand_vm`): 1, else
/// 0. Each is read at a moment of its own, since setrlimit takes no mmap_sem.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Expand {
    pub m: usize,
    pub flags: VmFlags,
    pub pages: u64,
}

const DATA: u8 = 1;

impl List for Expand {
    rows! { "may_expand_vm"
        Decide None "may_expand_vm: rlimit, a single read"
            address_space: "RLIMIT_AS";
        Decide None "may_expand_vm: rlimit, a single read"
            data: "RLIMIT_DATA, of private writable memory";
    }
}

impl Expand {
    fn address_space(world: &mut World, it: &mut Self) -> Step {
        world.about_counters(it.m);
        let total = world.mms[it.m].total.wrapping_add(it.pages);
        if total > world.soft_limit(it.m, Resource::As) / PAGE_SIZE {
            return Ok(Flow::Done(0));
        }
        if !Mm::is_data(it.flags) {
            return Ok(Flow::Done(1));
        }
        it.go(world, DATA)
    }

    /// A soft limit of 0 is one for the heap alone.
    fn data(world: &mut World, it: &mut Self) -> Step {
        world.about_counters(it.m);
        let limit = world.limit(it.m, Resource::Data);
        let most = if limit.soft == 0 {
            limit.hard
        } else {
            limit.soft
        };
        let data = world.mms[it.m].data.wrapping_add(it.pages);
        Ok(Flow::Done(u64::from(data <= most / PAGE_SIZE)))
    }
}

/// Whether RLIMIT_MEMLOCK allows so many LOCKED pages more (`mlock_future_check`): 1, else 0.
#[derive(Clone, Debug, Hash)]
pub(crate) struct LockMore {
    pub m: usize,
    pub pages: u64,
}

impl List for LockMore {
    rows! { "mlock_future_check"
        Decide None "mlock_future_check: rlimit, a single read"
            locked: "RLIMIT_MEMLOCK, of memory that is to be locked";
    }
}

impl LockMore {
    fn locked(world: &mut World, it: &mut Self) -> Step {
        world.about_counters(it.m);
        let locked = world.mms[it.m].locked.saturating_add(it.pages);
        Ok(Flow::Done(u64::from(!world.locks_too_much(it.m, locked))))
    }
}

impl World {
    /// Goes on with whether so much memory more may be LOCKED, if it is to be, and then with this
    /// row.
    pub fn may_lock_more(&mut self, m: usize, flags: VmFlags, pages: u64, then: u8) -> Step {
        if flags.contains(VmFlags::LOCKED) {
            return self.call(LockMore { m, pages }, then);
        }
        self.returned = Outcome::Value(1);
        Ok(Flow::To(then))
    }

    /// The limit of a process; until it sets one, the configuration's.
    pub fn limit(&self, m: usize, resource: Resource) -> Limit {
        let set = &self.mms[m].limits;
        if let Some(limit) = set.iter().find(|limit| limit.resource == resource) {
            return *limit;
        }
        let config = &self.config;
        let soft = match resource {
            Resource::Data => config.rlimit_data,
            Resource::Stack => config.rlimit_stack,
            Resource::NoFile => config.rlimit_nofile.into(),
            Resource::MemLock => config.rlimit_memlock,
            Resource::As => config.rlimit_as,
            Resource::Other(_) => u64::MAX,
        };
        let hard = match resource {
            Resource::Data => soft,
            Resource::NoFile => DESCRIPTORS_MAX,
            _ => u64::MAX,
        };
        Limit {
            resource,
            soft,
            hard,
        }
    }

    /// What a call meets.
    pub fn soft_limit(&self, m: usize, resource: Resource) -> u64 {
        self.limit(m, resource).soft
    }
}
