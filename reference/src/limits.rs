//! Limits of a process, and setting them (section 25).

use vmadiff_contract::{Errno, Resource};

use crate::job::{DONE, List, Step, rows};
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

impl World {
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
