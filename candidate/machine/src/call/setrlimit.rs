//! setrlimit: what calls of the process meet from now on. What is there already stays.

use vmadiff_contract::{Errno, Resource, StepKind, Told};
use vmadiff_interleave::at;

use crate::core::current::Current;
use crate::core::rlimit::{NR_OPEN, RLIM_NLIMITS, Rlimit};
use crate::design::Design;
use crate::sites as site;

impl<D: Design> Current<'_, D> {
    /// `setrlimit` (`do_prlimit`). No task has CAP_SYS_RESOURCE.
    pub fn sys_setrlimit(&self, resource: Resource, limit: Rlimit) -> Result<u64, Errno> {
        if resource.number() >= RLIM_NLIMITS || limit.soft > limit.hard {
            return Err(Errno::EINVAL);
        }
        if resource == Resource::NoFile && limit.hard > NR_OPEN {
            return Err(Errno::EPERM);
        }
        let rlimits = &self.mm_struct().rlimits;
        let _lock = rlimits.task_lock.lock(site::DO_PRLIMIT__TASK_LOCK);
        if limit.hard > self.rlimit_max(resource) {
            self.mark(StepKind::Count, self.counters(), Told::Refused);
            return Err(Errno::EPERM);
        }
        rlimits.set(resource, limit);
        self.mark_done(StepKind::Count, self.counters());
        at::section();
        Ok(0)
    }
}
