//! Copying an address space (sections 16 and 23).

use vmadiff_contract::{
    About, Choice, Errno, Event, Fd, MAX_TASKS, Note, PolicyId, TaskId, VmFlags, VmaId,
};

use crate::anon::Rmap;
use crate::area::{Area, LOCKS};
use crate::exit::Exit;
use crate::guard::Guard;
use crate::job::{Flow, List, Step, rows};
use crate::page::Entry;
use crate::world::{NoMemory, Task, World};

/// Copies the task and its address space, and answers the child's number.
///
/// A choice: the 256th address space, which only forks that failed can bring about, is refused
/// like a task too many.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Fork {
    parent: usize,
    child: usize,
    policy: Option<PolicyId>,
    /// The area that it is at, by place, and the child's copy, which is not linked yet.
    i: usize,
    charged: u64,
    copy: VmaId,
    copy_policy: Option<PolicyId>,
    rmap: Rmap,
    /// Up to here the area's entries are copied.
    at: u64,
    failed: Option<Errno>,
}

const AREA: u8 = 5;
const LINK: u8 = 9;
const OPEN: u8 = 11;
const FLUSH: u8 = 12;
const NUMBER: u8 = 13;
const FAILED: u8 = 14;

impl List for Fork {
    rows! { "fork"
        Decide None "copy_process: nr_threads, a single read"
            room: "whether there is room for a task";
        Allocate None "copy_process: mpol_dup; nobody else has it"
            task_policy: "a copy of the task's policy";
        Descriptor None "dup_fd: files->file_lock"
            descriptors: "all descriptors";
        Count None "copy_signal: task_lock of the group's leader"
            limits: "the limits";
        Decide Write "dup_mmap: mmap_sem of the parent"
            begin: "the parent's brk, its counters and its first area";
        Charge Write "dup_mmap: security_vm_enough_memory_mm, a counter"
            charge: "the next area that is copied";
        Allocate Write "vm_area_dup, vma_dup_policy: nobody else has them"
            allocate: "the copy and its policy";
        Anon Write "anon_vma_fork: anon_vma_clone under the root's lock; anon_vma_prepare for WIPEONFORK"
            clone_links: "links to the anon_vmas of the parent's chain";
        Anon Write "anon_vma_fork: anon_vma_lock_write"
            own_anon: "an anon_vma of its own, if there was none to reuse";
        Link Write "dup_mmap: i_mmap_lock_write; nobody else has the child"
            link unless may_link: "the copy and its file";
        Pass Write "copy_pte_range: both page tables' locks; claimed until the flush"
            pass unless may_pass: "an entry, and the stretch without entries before it";
        Decide Write "dup_mmap: vm_ops->open"
            open: "the copy is opened; the next area";
        Flush Write "dup_mmap: flush_tlb_mm of the parent, an interrupt to each processor"
            flush or flushes: "all of each TLB";
        Number None "copy_process: alloc_pid, tasklist_lock"
            number: "the child's number, with which it is there; all is torn down if there is none";
        Put None "copy_process: mpol_put, nobody else has it"
            give_up: "a fork that failed puts its policy";
    }
}

impl Fork {
    pub fn new(parent: usize) -> Self {
        Self {
            parent,
            child: 0,
            policy: None,
            i: 0,
            charged: 0,
            copy: VmaId(0),
            copy_policy: None,
            rmap: Rmap::default(),
            at: 0,
            failed: None,
        }
    }

    fn is_full(world: &World) -> bool {
        world.tasks.len() >= usize::from(MAX_TASKS)
    }

    fn room(world: &mut World, _: &mut Self) -> Step {
        world.about(About::Task(TaskId(world.now as u8 + 1)));
        if Self::is_full(world) || world.mms.len() >= usize::from(u8::MAX) {
            return Err(Errno::EAGAIN);
        }
        Ok(Flow::Next)
    }

    fn task_policy(world: &mut World, it: &mut Self) -> Step {
        it.policy = world.copy_policy(world.tasks[world.now].policy)?;
        Ok(Flow::Next)
    }

    fn descriptors(world: &mut World, it: &mut Self) -> Step {
        it.child = world.new_mm();
        let mm = world.mms[it.parent].id;
        world.about(About::Descriptor { mm, fd: Fd(-1) });
        for i in 0..world.mms[it.parent].fds.len() {
            let (fd, file) = world.mms[it.parent].fds[i];
            world.get_file(Some(file));
            world.mms[it.child].fds.push((fd, file));
        }
        Ok(Flow::Next)
    }

    fn limits(world: &mut World, it: &mut Self) -> Step {
        world.mms[it.child].limits = world.mms[it.parent].limits.clone();
        world.about_counters(it.parent);
        Ok(Flow::Next)
    }

    fn begin(world: &mut World, it: &mut Self) -> Step {
        let old = &world.mms[it.parent];
        let (brk, total, data, stack, exec) = (old.brk, old.total, old.data, old.stack, old.exec);
        let mm = &mut world.mms[it.child];
        (mm.brk, mm.total, mm.data, mm.stack, mm.exec) = (brk, total, data, stack, exec);
        world.about(About::Areas(world.mms[it.parent].id));
        Ok(Flow::Next)
    }

    fn fail(&mut self, world: &mut World) -> Step {
        world.note(Note::Undo("fork"));
        self.failed = Some(Errno::ENOMEM);
        world.refused = true;
        self.flushed(world)
    }

    fn charge(world: &mut World, it: &mut Self) -> Step {
        let left_out = |area: &&Area| area.flags.contains(VmFlags::DONTCOPY);
        while let Some(area) = world.mms[it.parent].areas.get(it.i).filter(left_out) {
            let (flags, pages) = (area.flags, area.pages());
            world.mms[it.child].discount(flags, pages);
            it.i += 1;
        }
        let Some(area) = world.mms[it.parent].areas.get(it.i) else {
            return it.flushed(world);
        };
        let accounted = area.flags.contains(VmFlags::ACCOUNT);
        it.charged = if accounted { area.pages() } else { 0 };
        if world.charge(it.charged).is_err() {
            return it.fail(world);
        }
        Ok(Flow::Next)
    }

    /// The copy is freed before it was linked.
    fn undo_copy(&mut self, world: &mut World) -> Step {
        world.raise(Event::VmaFree { vma: self.copy });
        world.give_back(self.charged);
        self.fail(world)
    }

    fn allocate(world: &mut World, it: &mut Self) -> Step {
        let area = &world.mms[it.parent].areas[it.i];
        let (id, policy) = (area.id, area.policy);
        match world.alloc_vma(Some(id)) {
            Ok(copy) => it.copy = copy,
            Err(NoMemory) => {
                world.give_back(it.charged);
                return it.fail(world);
            }
        }
        match world.copy_policy(policy) {
            Ok(policy) => it.copy_policy = policy,
            Err(NoMemory) => return it.undo_copy(world),
        }
        it.rmap = Rmap::default();
        Ok(Flow::Next)
    }

    /// The child's area, as it stands before it has an anon_vma. Its registration with userfaultfd
    /// is dropped.
    fn copy_of(&self, old: &Area) -> Area {
        Area {
            id: self.copy,
            policy: self.copy_policy,
            flags: old.flags - VmFlags::UFFD_MISSING,
            rmap: Rmap::default(),
            claimed: false,
            ..*old
        }
    }

    /// An anon_vma for a WIPEONFORK area is prepared while the copy still stands between the
    /// parent's neighbours (section 18).
    fn clone_links(world: &mut World, it: &mut Self) -> Step {
        let area = &world.mms[it.parent].areas[it.i];
        let wiped = area.flags.contains(VmFlags::WIPEONFORK);
        let result = if wiped {
            let shared = world.mergeable_anon(it.parent, it.i, &it.copy_of(area));
            let anon = shared.map_or_else(|| world.alloc_anon(), Ok);
            anon.map(|anon| world.attach_anon(&mut it.rmap, anon))
        } else if area.rmap.anon.is_some() {
            let from = area.rmap.clone();
            world.clone_anon(&mut it.rmap, &from)
        } else {
            Ok(())
        };
        if result.is_err() {
            world.put_policy(it.copy_policy);
            return it.undo_copy(world);
        }
        it.about_links(world);
        let faulted = world.mms[it.parent].areas[it.i].rmap.anon.is_some();
        Ok(if faulted && it.rmap.anon.is_none() {
            Flow::Next
        } else {
            Flow::To(LINK)
        })
    }

    /// Its step is about the copy's links.
    fn about_links(&self, world: &mut World) {
        if !self.rmap.chain.is_empty() {
            world.about(About::Area(self.copy));
        }
        for &anon in &self.rmap.chain {
            world.about(About::Anon(anon));
        }
    }

    fn own_anon(world: &mut World, it: &mut Self) -> Step {
        let parent = world.mms[it.parent].areas[it.i].rmap.anon;
        let own = parent.map_or(Ok(()), |parent| world.fork_anon(&mut it.rmap, parent));
        if own.is_err() {
            world.unlink_anon(&mut it.rmap);
            world.put_policy(it.copy_policy);
            return it.undo_copy(world);
        }
        it.about_links(world);
        Ok(Flow::Next)
    }

    fn may_link(world: &World, it: &Self) -> Option<Guard> {
        let old = world.mms[it.parent].areas.get(it.i)?;
        world.is_unmapped(old.file)
    }

    /// Its locks are dropped, too.
    fn link(world: &mut World, it: &mut Self) -> Step {
        let old = &world.mms[it.parent].areas[it.i];
        let (flags, anon) = (old.flags, old.rmap.anon);
        let (start, file) = (old.start, old.file);
        let mut copy = it.copy_of(old);
        copy.flags -= LOCKS;
        copy.rmap = std::mem::take(&mut it.rmap);
        world.get_file(file);
        let last = world.mms[it.child].areas.len();
        world.link(it.child, last, copy);
        if flags.contains(VmFlags::WIPEONFORK) || anon.is_none() {
            return Ok(Flow::To(OPEN));
        }
        it.at = start;
        Ok(Flow::Next)
    }

    fn may_pass(world: &World, it: &Self) -> Option<Guard> {
        let end = world.mms[it.parent].areas.get(it.i)?.end;
        world.cleared_in(it.parent, it.at, end)
    }

    /// Copies entries of a faulted area (`copy_page_range`). Where a store would copy, parent and
    /// child both lose the permission to write.
    fn pass(world: &mut World, it: &mut Self) -> Step {
        let area = &world.mms[it.parent].areas[it.i];
        let (end, protect) = (area.end, area.copies_on_write());
        world.claim(it.parent, it.i, Guard::ClaimCopy);
        world.mms[it.parent].copying = world.driven.then_some(world.now);
        let stop = world.next_stop(it.parent, it.at, end);
        world.pass_over(it.parent, it.at, stop, true);
        for at in world.mms[it.parent].pages_in(it.at, stop) {
            let page = &mut world.mms[it.parent].pages[at];
            page.writable &= !protect;
            let page = *page;
            let mm = &mut world.mms[it.child];
            mm.pages.push(page);
            match page.entry {
                Entry::Zero => {}
                Entry::File(..) => mm.rss_file += 1,
                Entry::Anon(frame) => {
                    mm.rss_anon += 1;
                    world.frame(frame).mapped += 1;
                }
                Entry::Swap(slot) => {
                    mm.swap_entries += 1;
                    world.slots[slot as usize].count += 1;
                }
            }
        }
        it.at = stop;
        if stop < end {
            Ok(Flow::Again)
        } else {
            Self::open(world, it)
        }
    }

    fn open(world: &mut World, it: &mut Self) -> Step {
        let file = world.mms[it.parent].areas[it.i].file;
        world.open_area(file, it.copy);
        it.i += 1;
        Ok(Flow::To(AREA))
    }

    /// On to the flush, if there is something to flush.
    fn flushed(&mut self, world: &mut World) -> Step {
        if world.driven && world.has_to_flush(self.parent, 0, u64::MAX) {
            return Ok(Flow::To(FLUSH));
        }
        world.unclaim(self.parent);
        world.mms[self.parent].copying = None;
        if self.failed.is_none() {
            Ok(Flow::To(NUMBER))
        } else {
            self.tear_down(world)
        }
    }

    fn flush(world: &mut World, it: &mut Self) -> Step {
        world.flush(it.parent, 0, u64::MAX);
        it.flushed(world)
    }

    fn flushes(world: &World, it: &Self, into: &mut Vec<Choice>) {
        world.whose(it.parent, 0, u64::MAX, into);
    }

    fn tear_down(&self, world: &mut World) -> Step {
        world.call(Exit::of_copy(self.child), FAILED)
    }

    fn number(world: &mut World, it: &mut Self) -> Step {
        if Self::is_full(world) {
            it.failed = Some(Errno::EAGAIN);
            world.refused = true;
            return it.tear_down(world);
        }
        world.mms[it.child].users = 1;
        world.tasks.push(Task {
            policy: it.policy,
            ..Task::new(it.child)
        });
        if world.driven {
            world.tlbs.push(Vec::new());
            world.flushed.push(0);
            world.flights.push(None);
        }
        let number = world.tasks.len();
        world.about(About::Task(TaskId(number as u8)));
        Ok(Flow::Done(number as u64))
    }

    fn give_up(world: &mut World, it: &mut Self) -> Step {
        // With the address space its counters are gone, of areas that were yet to be copied, too.
        let mm = &mut world.mms[it.child];
        (mm.total, mm.data, mm.stack, mm.exec) = (0, 0, 0, 0);
        world.put_policy(it.policy);
        Err(it.failed.unwrap_or(Errno::ENOMEM))
    }
}
