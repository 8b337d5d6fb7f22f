//! Memory policies: their making, copying and comparing, mbind and set_mempolicy (section 12).
//! Every object has one holder: an area, a task, or the call that made it.

use vmadiff_contract::{About, Errno, Event, Mode, PolicyFlags, PolicyId, TaskId};

use crate::area::page_up;
use crate::carve::Carve;
use crate::job::{DONE, Flow, List, Step, answer, rows};
use crate::merge::Wanted;
use crate::world::{Answer, NoMemory, World};

/// A policy object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
#[derive(Clone, Copy, Debug, Hash)]
pub(crate) struct PolicyWanted {
    pub mode: Mode,
    pub nodes: u64,
    pub flags: PolicyFlags,
}

/// The flags that belong to the mode.
const NODE_FLAGS: PolicyFlags = PolicyFlags::STATIC_NODES.union(PolicyFlags::RELATIVE_NODES);

/// `MPOL_MF_MOVE_ALL`, for which the tasks lack CAP_SYS_NICE.
const MOVE_ALL: PolicyFlags = PolicyFlags::from_bits_retain(4);

/// Replaces the task's own policy.
#[derive(Clone, Debug, Hash)]
pub(crate) struct SetMempolicy {
    wanted: PolicyWanted,
    new: Option<PolicyId>,
}

impl List for SetMempolicy {
    rows! { "set_mempolicy"
        Allocate None "mpol_new: nobody else has it"
            allocate: "the new policy";
        Policy None "do_set_mempolicy: task_lock"
            replace: "the task's policy; the old one is put";
    }
}

impl SetMempolicy {
    pub fn new(wanted: PolicyWanted) -> Answer<Self> {
        World::check_mode(&wanted)?;
        if !NODE_FLAGS.contains(wanted.flags) {
            return Err(Errno::EINVAL);
        }
        Ok(Self { wanted, new: None })
    }

    fn allocate(world: &mut World, it: &mut Self) -> Step {
        it.new = world.new_policy(&it.wanted)?;
        Ok(Flow::Next)
    }

    fn replace(world: &mut World, it: &mut Self) -> Step {
        let old = std::mem::replace(&mut world.tasks[world.now].policy, it.new);
        world.about(About::Task(TaskId(world.now as u8 + 1)));
        world.put_policy(old);
        DONE
    }
}

/// Sets the policy of a range.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Mbind {
    m: usize,
    start: u64,
    end: u64,
    wanted: PolicyWanted,
    policy: Option<PolicyId>,
    i: usize,
}

const AREA: u8 = 2;
const REPLACE: u8 = 3;

impl List for Mbind {
    rows! { "mbind"
        Allocate None "do_mbind: mpol_new; nobody else has it"
            allocate: "the new policy";
        Decide Write "queue_pages_range, mbind_range: mmap_sem"
            cover: "holes, and the first area";
        Decide Write "mbind_range: mmap_sem"
            area: "the next area with another policy; its part becomes an area, merged or cut out";
        Policy Write "vma_replace_policy: mmap_sem"
            replace: "a copy for the area, unless it was merged; the old one is put";
    }
}

impl Mbind {
    pub fn new(m: usize, start: u64, len: u64, wanted: PolicyWanted) -> Answer<Option<Self>> {
        World::check_mode(&wanted)?;
        let known = NODE_FLAGS | PolicyFlags::STRICT | PolicyFlags::MOVE | MOVE_ALL;
        if !known.contains(wanted.flags) {
            return Err(Errno::EINVAL);
        }
        if wanted.flags.contains(MOVE_ALL) {
            return Err(Errno::EPERM);
        }
        World::aligned(start)?;
        let end = start.checked_add(page_up(len)).ok_or(Errno::EINVAL)?;
        let (policy, i) = (None, 0);
        Ok((end > start).then_some(Self {
            m,
            start,
            end,
            wanted,
            policy,
            i,
        }))
    }

    fn allocate(world: &mut World, it: &mut Self) -> Step {
        it.policy = world.new_policy(&it.wanted)?;
        Ok(Flow::Next)
    }

    /// The call's own policy goes with it.
    fn done(&self, world: &mut World, result: Answer<()>) -> Step {
        world.put_policy(self.policy);
        result.map(|()| Flow::Done(0))
    }

    fn cover(world: &mut World, it: &mut Self) -> Step {
        world.about(About::Areas(world.mms[it.m].id));
        let covered = if it.policy.is_some() {
            world.is_covered(it.m, it.start, it.end)
        } else {
            Ok(())
        };
        match covered.and(world.mms[it.m].at(it.start).ok_or(Errno::EFAULT)) {
            Ok(first) => it.i = first,
            Err(errno) => return it.done(world, Err(errno)),
        }
        Ok(Flow::Next)
    }

    fn area(world: &mut World, it: &mut Self) -> Step {
        let m = it.m;
        while let Some(area) = world.mms[m]
            .areas
            .get(it.i)
            .filter(|area| area.start < it.end)
        {
            if world.same_policy(area.policy, it.policy) {
                it.i += 1;
                continue;
            }
            let (from, to) = (area.start.max(it.start), area.end.min(it.end));
            let wanted = Wanted {
                policy: it.policy,
                ..Wanted::part(area, from, to, area.flags)
            };
            return world.call(Carve { m, i: it.i, wanted }, REPLACE);
        }
        it.done(world, Ok(()))
    }

    fn replace(world: &mut World, it: &mut Self) -> Step {
        match answer(world.returned).and_then(|i| world.give_policy(it.m, i as usize, it.policy)) {
            Ok(i) => it.i = i + 1,
            Err(errno) => return it.done(world, Err(errno)),
        }
        Ok(Flow::To(AREA))
    }
}

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

    /// What get_mempolicy tells of a policy: the mode with its flags, and the mask asked for where a
    /// flag says that it matters, otherwise the nodes that it comes to.
    pub fn told_policy(&self, id: PolicyId) -> (u64, u64) {
        let policy = &self.policies[id.0 as usize - 1];
        let told = if policy.flags.is_empty() {
            policy.nodes
        } else {
            policy.asked
        };
        let mode = policy.mode.number() | policy.flags.bits();
        (mode.into(), told)
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

    /// Gives area `i` a copy of the policy, unless it has an equal one (`vma_replace_policy`).
    fn give_policy(&mut self, m: usize, i: usize, policy: Option<PolicyId>) -> Answer<usize> {
        if !self.same_policy(self.mms[m].areas[i].policy, policy) {
            let new = self.copy_policy(policy)?;
            let old = std::mem::replace(&mut self.mms[m].areas[i].policy, new);
            self.about(About::Area(self.mms[m].areas[i].id));
            self.put_policy(old);
        }
        Ok(i)
    }
}

/// Folds a mask onto nodes 0 to `nodes` − 1 (`mpol_relative_nodemask`).
fn fold(mask: u64, nodes: u8) -> u64 {
    (0..64)
        .filter(|bit| mask >> bit & 1 == 1)
        .fold(0, |sum, bit| sum | 1 << (bit % nodes))
}
