//! Memory policies: their making, copying and comparing, mbind and set_mempolicy (section 12).
//! Every object has one holder: an area, a task, or the call that made it.

use vmadiff_contract::{Errno, Event, Mode, PolicyFlags, PolicyId};

use crate::area::page_up;
use crate::merge::Wanted;
use crate::world::{Answer, NoMemory, World};

/// A policy object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    /// LOCAL is kept as PREFERRED without nodes.
    mode: Mode,
    /// STATIC_NODES or RELATIVE_NODES.
    flags: PolicyFlags,
    /// The mask asked for, where a flag says that it matters.
    asked: u64,
    /// The nodes that it comes to; PREFERRED has its first one only, or none for the local node.
    nodes: u64,
}

/// What mbind and set_mempolicy are asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PolicyWanted {
    pub mode: Mode,
    pub nodes: u64,
    pub flags: PolicyFlags,
}

/// The flags that belong to the mode.
const NODE_FLAGS: PolicyFlags = PolicyFlags::STATIC_NODES.union(PolicyFlags::RELATIVE_NODES);

/// `MPOL_MF_MOVE_ALL`, for which the tasks lack CAP_SYS_NICE.
const MOVE_ALL: PolicyFlags = PolicyFlags::from_bits_retain(4);

impl World {
    /// Whether two policies mean the same (`mpol_equal`).
    pub fn same_policy(&self, a: Option<PolicyId>, b: Option<PolicyId>) -> bool {
        let content = |id: PolicyId| self.policies[id.0 as usize - 1];
        a == b || (a.is_some() && b.is_some() && a.map(content) == b.map(content))
    }

    fn alloc_policy(&mut self, policy: Policy) -> Result<PolicyId, NoMemory> {
        self.allocate()?;
        self.policies.push(policy);
        let policy = PolicyId(self.policies.len() as u32);
        self.raise(Event::PolicyAlloc { policy });
        Ok(policy)
    }

    /// A copy of a policy for another holder (`mpol_dup`); of none, none.
    pub fn copy_policy(&mut self, of: Option<PolicyId>) -> Result<Option<PolicyId>, NoMemory> {
        let copy = |of: PolicyId| self.alloc_policy(self.policies[of.0 as usize - 1]);
        of.map(copy).transpose()
    }

    /// Frees a policy whose holder lets go of it.
    pub fn put_policy(&mut self, policy: Option<PolicyId>) {
        if let Some(policy) = policy {
            self.raise(Event::PolicyFree { policy });
        }
    }

    /// Refuses what the mode argument cannot be.
    fn check_mode(wanted: &PolicyWanted) -> Answer<()> {
        if matches!(wanted.mode, Mode::Other(_)) || wanted.flags.contains(NODE_FLAGS) {
            return Err(Errno::EINVAL);
        }
        Ok(())
    }

    /// A policy as asked for (`mpol_new`, `mpol_set_nodemask`). None for DEFAULT.
    fn new_policy(&mut self, wanted: &PolicyWanted) -> Answer<Option<PolicyId>> {
        let flags = wanted.flags & NODE_FLAGS;
        let empty = wanted.nodes == 0;
        let mode = match wanted.mode {
            Mode::Default if empty => return Ok(None),
            Mode::Preferred if !empty || flags.is_empty() => Mode::Preferred,
            Mode::Local if empty && flags.is_empty() => Mode::Preferred,
            mode @ (Mode::Bind | Mode::Interleave) if !empty => mode,
            _ => return Err(Errno::EINVAL),
        };
        let present = u64::MAX >> (64 - self.config.nodes);
        let nodes = if flags.contains(PolicyFlags::RELATIVE_NODES) {
            fold(wanted.nodes, self.config.nodes)
        } else {
            wanted.nodes & present
        };
        let asked = if flags.is_empty() { 0 } else { wanted.nodes };
        let first = nodes & nodes.wrapping_neg();
        let kept = if mode == Mode::Preferred {
            first
        } else {
            nodes
        };
        let policy = self.alloc_policy(Policy {
            mode,
            flags,
            asked,
            nodes: kept,
        })?;
        if !empty && nodes == 0 {
            self.put_policy(Some(policy));
            return Err(Errno::EINVAL);
        }
        Ok(Some(policy))
    }

    /// Replaces the task's own policy.
    pub fn set_mempolicy(&mut self, t: usize, wanted: &PolicyWanted) -> Answer {
        Self::check_mode(wanted)?;
        if !NODE_FLAGS.contains(wanted.flags) {
            return Err(Errno::EINVAL);
        }
        let new = self.new_policy(wanted)?;
        let old = std::mem::replace(&mut self.tasks[t].policy, new);
        self.put_policy(old);
        Ok(0)
    }

    /// Sets the policy of a range.
    pub fn mbind(&mut self, m: usize, start: u64, len: u64, wanted: &PolicyWanted) -> Answer {
        Self::check_mode(wanted)?;
        let known = NODE_FLAGS | PolicyFlags::STRICT | PolicyFlags::MOVE | MOVE_ALL;
        if !known.contains(wanted.flags) {
            return Err(Errno::EINVAL);
        }
        if wanted.flags.contains(MOVE_ALL) {
            return Err(Errno::EPERM);
        }
        Self::aligned(start)?;
        let end = start.checked_add(page_up(len)).ok_or(Errno::EINVAL)?;
        if end == start {
            return Ok(0);
        }
        let policy = self.new_policy(wanted)?;
        let result = if policy.is_some() {
            self.is_covered(m, start, end)
        } else {
            Ok(())
        };
        let result = result.and_then(|()| self.bind_range(m, start, end, policy));
        self.put_policy(policy);
        result.map(|()| 0)
    }

    /// A hole between two areas of the range is an error, and one at its end if no area follows
    /// at all (`queue_pages_range`).
    fn is_covered(&self, m: usize, start: u64, end: u64) -> Answer<()> {
        let areas = &self.mms[m].areas;
        let range = self.mms[m].overlap(start, end);
        for i in range.clone() {
            let last = i + 1 == areas.len();
            if (last && areas[i].end < end)
                || (i > range.start && areas[i - 1].end < areas[i].start)
            {
                return Err(Errno::EFAULT);
            }
        }
        Ok(())
    }

    /// Gives each area of the range the policy (`mbind_range`).
    fn bind_range(
        &mut self,
        m: usize,
        start: u64,
        end: u64,
        policy: Option<PolicyId>,
    ) -> Answer<()> {
        let mut i = self.mms[m].at(start).ok_or(Errno::EFAULT)?;
        while self.mms[m]
            .areas
            .get(i)
            .is_some_and(|area| area.start < end)
        {
            let area = &self.mms[m].areas[i];
            let (from, to) = (area.start.max(start), area.end.min(end));
            if !self.same_policy(area.policy, policy) {
                let wanted = Wanted {
                    policy,
                    ..Wanted::part(area, from, to, area.flags)
                };
                i = self.carve(m, i, &wanted)?;
                if !self.same_policy(self.mms[m].areas[i].policy, policy) {
                    let new = self.copy_policy(policy)?;
                    let old = std::mem::replace(&mut self.mms[m].areas[i].policy, new);
                    self.put_policy(old);
                }
            }
            i += 1;
        }
        Ok(())
    }
}

/// Folds a mask onto nodes 0 to `nodes` − 1 (`mpol_relative_nodemask`).
fn fold(mask: u64, nodes: u8) -> u64 {
    (0..64)
        .filter(|bit| mask >> bit & 1 == 1)
        .fold(0, |sum, bit| sum | 1 << (bit % nodes))
}
