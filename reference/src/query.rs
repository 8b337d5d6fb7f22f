//! get_mempolicy (section 12).

use vmadiff_contract::{About, Errno, QueryFlags, TaskId};

use crate::job::{Flow, List, Row, Sem, Step, rows};
use crate::world::{Answer, World};

/// Asks for the policy of the task or of an area, or for the nodes that there are.
#[derive(Clone, Debug, Hash)]
pub(crate) struct GetMempolicy {
    m: usize,
    addr: u64,
    flags: QueryFlags,
}

impl List for GetMempolicy {
    rows! { "get_mempolicy"
        Decide Read "do_get_mempolicy: find_vma under mmap_sem; the task's own without a lock"
            read: "the policy";
    }

    fn sem(&self, _: &World, _: u8, row: &Row<Self>) -> Sem {
        if self.flags.contains(QueryFlags::ADDR) {
            row.sem
        } else {
            Sem::None
        }
    }
}

impl GetMempolicy {
    /// MPOL_F_NODE is refused: pages have no node (section 18).
    pub fn new(m: usize, addr: u64, flags: QueryFlags) -> Answer<Self> {
        let allowed = QueryFlags::MEMS_ALLOWED;
        let known = QueryFlags::ADDR | allowed;
        let alone = flags.contains(allowed) && flags != allowed;
        let stray = !flags.intersects(known) && addr != 0;
        if !known.contains(flags) || alone || stray {
            return Err(Errno::EINVAL);
        }
        Ok(Self { m, addr, flags })
    }

    fn read(world: &mut World, it: &mut Self) -> Step {
        if it.flags.contains(QueryFlags::MEMS_ALLOWED) {
            return Ok(Flow::Done(answer(0, u64::MAX >> (64 - world.config.nodes))));
        }
        let policy = if it.flags.contains(QueryFlags::ADDR) {
            let i = world.mms[it.m].at(it.addr).ok_or(Errno::EFAULT)?;
            let area = &world.mms[it.m].areas[i];
            let (policy, about) = (area.policy, About::Area(area.id));
            world.about(about);
            policy
        } else {
            world.about(About::Task(TaskId(world.now as u8 + 1)));
            world.tasks[world.now].policy
        };
        let (mode, nodes) = policy.map_or((0, 0), |policy| world.told_policy(policy));
        Ok(Flow::Done(answer(mode, nodes)))
    }
}

/// Mode with its flags, and nodes, in one word.
fn answer(mode: u64, nodes: u64) -> u64 {
    mode ^ nodes.rotate_left(16)
}
