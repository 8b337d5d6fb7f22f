//! The end of a task and of an address space (section 17).

use vmadiff_contract::{About, Choice, TaskId};

use crate::guard::Guard;
use crate::job::{DONE, Flow, List, Step, rows};
use crate::munmap::Gone;
use crate::world::World;
use crate::zap::Zap;

/// Tears an address space down when its last task ends, or when the fork that made it fails.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Exit {
    m: usize,
    /// The task that ends; none: a fork's copy that nobody lives in.
    task: Option<usize>,
    gone: Gone,
}

const LEAVE_MM: u8 = 1;
const UNLOCK: u8 = 2;
const ZAP: u8 = 3;
const DETACH: u8 = 4;
const LEAVE: u8 = 5;
const FILE: u8 = 7;
const FINISH: u8 = 8;
const PUT: u8 = 9;
const UNCHARGE: u8 = 11;
const POLICY: u8 = 13;

impl List for Exit {
    rows! { "exit"
        Flush None "exit_mm: the processor leaves the address space, in which it makes no access any more"
            leave_tlb or own_tlb: "the task's own TLB";
        Decide None "do_exit, mmput: atomic_dec_and_test of mm_users"
            leave_mm: "the task ends; not the last one: on to its policy";
        Flags None "exit_mmap: munlock_vma_pages_all; nobody else has the address space"
            unlock: "the next area that is locked is so no more";
        Pass None "exit_mmap: unmap_vmas; nobody else has the address space"
            zap: "all pages are zapped";
        Detach None "exit_mmap: nobody else has the address space"
            detach: "all areas, which are not taken out of the tree one by one";
        Unlink None "free_pgtables, unlink_anon_vmas: anon_vma_lock_write of the root"
            leave: "an area, from all anon_vmas of its chain";
        Put None "unlink_anon_vmas: put_anon_vma, a counter"
            put_anon: "an anon_vma that has no areas left";
        Unlink None "unlink_file_vma: i_mmap_lock_write"
            leave_file unless may_leave: "the area, from its file; then the next one";
        Decide None "exit_mmap: tlb_finish_mmu, after free_pgtables"
            finish: "the zap's flush, and its frames";
        Put None "exit_mmap, remove_vma: nobody else has the area"
            put: "an area: off the counters, closed";
        Put None "remove_vma: fput, a counter"
            put_file: "its file; then its policy is put, and it is freed";
        Uncharge None "exit_mmap: vm_unacct_memory, a counter"
            uncharge: "what they were charged for";
        Put None "exit_files, close_files: nobody else has the table; fput"
            close: "a descriptor, lowest first, if the address space goes";
        Put None "do_exit: mpol_put"
            put_policy: "the task's policy";
    }
}

impl Exit {
    pub fn new(m: usize, t: usize) -> Self {
        let (task, gone) = (Some(t), Gone::default());
        Self { m, task, gone }
    }

    /// Of an address space that nobody lives in.
    pub fn of_copy(m: usize) -> Self {
        let (task, gone) = (None, Gone::default());
        Self { m, task, gone }
    }

    fn own_tlb(world: &World, it: &Self, into: &mut Vec<Choice>) {
        let own = it.task.filter(|&t| !world.tlbs[t].is_empty());
        into.extend(own.map(|t| Choice::Of(TaskId(t as u8 + 1))));
    }

    fn leave_tlb(world: &mut World, it: &mut Self) -> Step {
        if let Some(t) = it.task.filter(|_| world.driven) {
            if !world.tlbs[t].is_empty() {
                world.about(About::Tlb(TaskId(t as u8 + 1)));
            }
            world.tlbs[t].clear();
        }
        it.go(world, LEAVE_MM)
    }

    fn leave_mm(world: &mut World, it: &mut Self) -> Step {
        if let Some(t) = it.task {
            world.about(About::Task(TaskId(t as u8 + 1)));
            world.tasks[t].alive = false;
            world.mms[it.m].users -= 1;
            if world.mms[it.m].users > 0 {
                return Ok(Flow::To(POLICY));
            }
        }
        it.unlock_next(world)
    }

    /// The next area that is locked, by place.
    fn locked(&self, world: &World) -> Option<usize> {
        world.mms[self.m].locked(0, u64::MAX)
    }

    fn unlock_next(&mut self, world: &mut World) -> Step {
        let locked = self.locked(world).is_some();
        Ok(Flow::To(if locked { UNLOCK } else { ZAP }))
    }

    /// Who looks for the areas of a page finds one that may be reclaimed.
    fn unlock(world: &mut World, it: &mut Self) -> Step {
        if let Some(i) = it.locked(world) {
            world.unlock(it.m, i);
        }
        it.unlock_next(world)
    }

    fn zap(world: &mut World, it: &mut Self) -> Step {
        world.call(Zap::of_detached(it.m, 0, u64::MAX), DETACH)
    }

    fn detach(world: &mut World, it: &mut Self) -> Step {
        it.gone.areas = std::mem::take(&mut world.detached);
        world.mms[it.m].areas.move_to(&mut it.gone.areas);
        if world.driven {
            let gone = it.gone.areas.iter().map(|area| (it.m, area.clone()));
            world.detaching.extend(gone);
        }
        Ok(Flow::Next)
    }

    fn leave(world: &mut World, it: &mut Self) -> Step {
        it.gone.leave(world, FILE, FINISH)
    }

    fn put_anon(world: &mut World, it: &mut Self) -> Step {
        it.gone.put_anon(world, FILE)
    }

    fn may_leave(world: &World, it: &Self) -> Option<Guard> {
        it.gone.may_leave_file(world)
    }

    fn leave_file(world: &mut World, it: &mut Self) -> Step {
        it.gone.leave_file(world, LEAVE)
    }

    fn finish(world: &mut World, _: &mut Self) -> Step {
        Zap::finish(world, PUT)
    }

    fn put(world: &mut World, it: &mut Self) -> Step {
        it.gone.put(world, it.m, false, UNCHARGE)
    }

    fn put_file(world: &mut World, it: &mut Self) -> Step {
        it.gone.put_file(world, PUT)
    }

    fn uncharge(world: &mut World, it: &mut Self) -> Step {
        world.uncharge(it.gone.charged);
        world.detached = std::mem::take(&mut it.gone.areas);
        Ok(Flow::Next)
    }

    fn close(world: &mut World, it: &mut Self) -> Step {
        let more = world.close_next(it.m);
        Ok(if more { Flow::Again } else { Flow::Next })
    }

    fn put_policy(world: &mut World, it: &mut Self) -> Step {
        if let Some(t) = it.task {
            let policy = world.tasks[t].policy.take();
            world.put_policy(policy);
        }
        DONE
    }
}
