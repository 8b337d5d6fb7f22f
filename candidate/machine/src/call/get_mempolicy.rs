//! get_mempolicy: the task's policy, an area's, or the nodes that there are.

use vmadiff_contract::{About, Errno, Mode, PolicyFlags, QueryFlags, StepKind, Told};
use vmadiff_interleave::at;

use crate::core::current::Current;
use crate::core::policy::{Policy, PolicyKind};
use crate::core::slab::Handle;
use crate::design::Design;
use crate::sites as site;

/// The answer as one number: the mode with its node flag, and the nodes from bit 16 on.
fn answer(mode: u64, nodes: u64) -> u64 {
    mode ^ nodes.rotate_left(16)
}

impl<D: Design> Current<'_, D> {
    /// `get_mempolicy` (`do_get_mempolicy`). Pages have no node, so MPOL_F_NODE is refused.
    pub fn sys_get_mempolicy(&self, addr: u64, flags: QueryFlags) -> Result<u64, Errno> {
        let (area, allowed) = (QueryFlags::ADDR, QueryFlags::MEMS_ALLOWED);
        if !(flags - area - allowed).is_empty() || flags.contains(area | allowed) {
            return Err(Errno::EINVAL);
        }
        if flags.contains(allowed) {
            return Ok(answer(0, self.nodes_online()));
        }
        if flags.contains(area) {
            let _read = self
                .mm_struct()
                .mmap_sem
                .read(site::GET_MEMPOLICY__MMAP_SEM);
            let found = self.find_vma(addr).filter(|vma| vma.start() <= addr);
            match found {
                Some(vma) => self.mark_done(StepKind::Decide, vma.about()),
                None => self.mark(StepKind::Decide, self.areas(), Told::Refused),
            }
            let policy = found.map(|vma| self.told(vma.vm_policy().peek()));
            at::section();
            return policy.ok_or(Errno::EFAULT);
        }
        if addr != 0 {
            return Err(Errno::EINVAL);
        }
        let task = About::Task(self.task_id(self.task));
        self.mark_done(StepKind::Decide, task);
        Ok(self.told(self.task.mempolicy.peek()))
    }

    /// What is told of a policy, or of none.
    fn told(&self, policy: Handle<Policy>) -> u64 {
        let Some(policy) = policy.some() else {
            return answer(0, 0);
        };
        let kind = self.policies.get(policy).kind();
        let mode = kind.mode.number() | kind.flags.bits();
        answer(mode.into(), get_policy_nodemask(&kind))
    }
}

/// The nodes that are told of a policy (`get_policy_nodemask`): the mask asked for where a node flag
/// keeps it (`mpol_store_user_nodemask`), otherwise those that it came to, of PREFERRED the first.
fn get_policy_nodemask(kind: &PolicyKind) -> u64 {
    let asked = PolicyFlags::STATIC_NODES | PolicyFlags::RELATIVE_NODES;
    if kind.flags.intersects(asked) {
        return kind.user_nodes;
    }
    match kind.mode {
        Mode::Preferred => kind.nodes & kind.nodes.wrapping_neg(),
        _ => kind.nodes,
    }
}
