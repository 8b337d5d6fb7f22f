//! Taking areas out of an address space (section 5).

use smallvec::SmallVec;
use vmadiff_contract::{About, AnonId, Errno, Event, Note, VmFlags};

use crate::area::{Area, LOCKS, is_aligned, page_up};
use crate::guard::Guard;
use crate::job::{DONE, Flow, List, Row, Sem, Step, rows};
use crate::mm::Counting;
use crate::world::{Answer, World};
use crate::zap::Zap;

/// Unmaps a range (`__do_munmap`).
#[derive(Clone, Debug, Hash)]
pub(crate) struct Munmap {
    m: usize,
    start: u64,
    end: u64,
    /// mmap_sem is downgraded once the areas are out.
    downgrades: bool,
    gone: Gone,
}

const UNLOCK: u8 = 2;
const DETACH: u8 = 3;
const ZAP: u8 = 4;
const LEAVE: u8 = 5;
const FILE: u8 = 7;
const FINISH: u8 = 8;
const PUT: u8 = 9;
const UNCHARGE: u8 = 11;

impl List for Munmap {
    rows! { "munmap"
        Cut Write "__split_vma: mmap_sem; i_mmap_lock_write, anon_vma_lock_write"
            cut_start unless may_cut_start: "the area that the start cuts; 0 if nothing is mapped here";
        Cut Write "__split_vma: as above"
            cut_end unless may_cut_end: "the area that the end cuts";
        Flags Write "munlock_vma_pages_range: mmap_sem"
            unlock: "the next area that is locked is so no more, and its pages leave locked_vm";
        Detach Write "detach_vmas_to_be_unmapped: mmap_sem for writing, which is then downgraded"
            detach: "all areas of the range";
        Pass Read "unmap_region: under the mmap_sem that was downgraded"
            zap: "their pages are zapped";
        Unlink Read "free_pgtables, unlink_anon_vmas: anon_vma_lock_write of the root"
            leave: "an area, from all anon_vmas of its chain";
        Put Read "unlink_anon_vmas: put_anon_vma, a counter"
            put_anon: "an anon_vma that has no areas left";
        Unlink Read "unlink_file_vma: i_mmap_lock_write"
            leave_file unless may_leave: "the area, from its file; then the next one";
        Decide Read "unmap_region: tlb_finish_mmu, after free_pgtables"
            finish: "the zap's flush, and its frames";
        Put Read "remove_vma_list, remove_vma: nobody else has the area; plain counters"
            put: "an area: each counter is read, and written; with the last it is closed";
        Put Read "remove_vma: fput, a counter"
            put_file: "its file; then its policy is put, and it is freed";
        Uncharge Read "vm_unacct_memory: a counter"
            uncharge: "what they were charged for";
    }

    fn sem(&self, _: &World, _: u8, row: &Row<Self>) -> Sem {
        if self.downgrades { row.sem } else { Sem::Write }
    }
}

impl Munmap {
    /// Refuses what cannot be unmapped.
    pub fn new(world: &World, m: usize, start: u64, len: u64) -> Answer<Self> {
        let task_size = world.config.task_size;
        if !is_aligned(start) || start > task_size || len > task_size - start || len == 0 {
            return Err(Errno::EINVAL);
        }
        let end = start + page_up(len);
        Ok(Self {
            m,
            start,
            end,
            downgrades: false,
            gone: Gone::default(),
        })
    }

    /// As a call: munmap, brk and mremap shrinking (section 18).
    pub fn call(world: &World, m: usize, start: u64, len: u64) -> Answer<Self> {
        let munmap = Self::new(world, m, start, len)?;
        Ok(Self {
            downgrades: true,
            ..munmap
        })
    }

    fn may_cut_start(world: &World, it: &Self) -> Option<Guard> {
        let mm = &world.mms[it.m];
        let area = mm.areas.get(mm.find(it.start))?;
        let refused = area.start < it.start && it.is_refused(world, area.end);
        it.may_cut(world, it.start).filter(|_| !refused)
    }

    fn may_cut_end(world: &World, it: &Self) -> Option<Guard> {
        it.may_cut(world, it.end)
    }

    /// The middle of an area is not unmapped where there are as many areas as may be, which is asked before
    /// any lock is.
    fn is_refused(&self, world: &World, end: u64) -> bool {
        self.end < end && world.map_is_full(self.m)
    }

    /// Only an area that begins before this address is cut there.
    fn may_cut(&self, world: &World, at: u64) -> Option<Guard> {
        let i = world.mms[self.m].find(at);
        let cut = world.mms[self.m].areas.get(i)?.start < at;
        world.may_adjust(self.m, i).filter(|_| cut)
    }

    fn may_leave(world: &World, it: &Self) -> Option<Guard> {
        it.gone.may_leave_file(world)
    }

    fn cut_start(world: &mut World, it: &mut Self) -> Step {
        let range = world.mms[it.m].overlap(it.start, it.end);
        if range.is_empty() {
            world.about(About::Areas(world.mms[it.m].id));
            return DONE;
        }
        let area = &world.mms[it.m].areas[range.start];
        if area.start < it.start {
            if it.is_refused(world, area.end) {
                return Err(Errno::ENOMEM);
            }
            world.split(it.m, range.start, it.start, false)?;
        } else if world.mms[it.m].areas[range.end - 1].end <= it.end {
            return it.cut(world);
        }
        Ok(Flow::Next)
    }

    fn cut_end(world: &mut World, it: &mut Self) -> Step {
        let last = world.mms[it.m].find(it.end);
        if world.mms[it.m]
            .areas
            .get(last)
            .is_some_and(|area| area.start < it.end)
        {
            let cut = world.split(it.m, last, it.end, true);
            cut.inspect_err(|_| world.note(Note::Undo("munmap.end")))?;
        }
        it.cut(world)
    }

    /// The next area of the range that is locked, by place.
    fn locked(&self, world: &World) -> Option<usize> {
        world.mms[self.m].locked(self.start, self.end)
    }

    /// The edges of the range are area boundaries now.
    fn cut(&mut self, world: &mut World) -> Step {
        let row = if self.locked(world).is_some() {
            UNLOCK
        } else {
            DETACH
        };
        self.go(world, row)
    }

    /// The areas of the range that are locked, one after another.
    fn unlock(world: &mut World, it: &mut Self) -> Step {
        let Some(i) = it.locked(world) else {
            return it.go(world, DETACH);
        };
        world.mms[it.m].locked -= world.mms[it.m].areas[i].pages();
        world.unlock(it.m, i);
        it.cut(world)
    }

    /// Takes out the areas of the range, whose edges are area boundaries now.
    fn detach(world: &mut World, it: &mut Self) -> Step {
        let range = world.mms[it.m].overlap(it.start, it.end);
        it.gone.areas = std::mem::take(&mut world.detached);
        it.gone.areas.extend(world.mms[it.m].areas.drain(range));
        if world.driven {
            let gone = it.gone.areas.iter().map(|area| (it.m, area.clone()));
            world.detaching.extend(gone);
        }
        for area in &it.gone.areas {
            world.raise(Event::VmaUnlink { vma: area.id });
            world.about(About::Area(area.id));
        }
        world.about(About::Areas(world.mms[it.m].id));
        it.go(world, ZAP)
    }

    fn zap(world: &mut World, it: &mut Self) -> Step {
        if !world.driven && world.mms[it.m].pages_in(it.start, it.end).is_empty() {
            return it.go(world, LEAVE);
        }
        world.call(Zap::of_detached(it.m, it.start, it.end), LEAVE)
    }

    fn leave(world: &mut World, it: &mut Self) -> Step {
        it.gone.leave(world, FILE, FINISH)
    }

    fn put_anon(world: &mut World, it: &mut Self) -> Step {
        it.gone.put_anon(world, FILE)
    }

    fn leave_file(world: &mut World, it: &mut Self) -> Step {
        it.gone.leave_file(world, LEAVE)
    }

    fn finish(world: &mut World, _: &mut Self) -> Step {
        Zap::finish(world, PUT)
    }

    fn put(world: &mut World, it: &mut Self) -> Step {
        let plain = world.driven && it.downgrades;
        it.gone.put(world, it.m, plain, UNCHARGE)
    }

    fn put_file(world: &mut World, it: &mut Self) -> Step {
        it.gone.put_file(world, PUT)
    }

    fn uncharge(world: &mut World, it: &mut Self) -> Step {
        world.uncharge(it.gone.charged);
        world.detached = std::mem::take(&mut it.gone.areas);
        DONE
    }
}

impl World {
    /// An area is locked no more (`munlock_vma_pages_all`).
    pub fn unlock(&mut self, m: usize, i: usize) {
        let area = &mut self.mms[m].areas[i];
        area.flags -= LOCKS;
        let about = About::Area(area.id);
        self.about(about);
    }
}

/// Areas outside the tree that let go of all that they held.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Gone {
    pub areas: Vec<Area>,
    /// How many of them have left their anon_vmas, and how many are freed.
    left: usize,
    freed: usize,
    empty: SmallVec<[AnonId; 4]>,
    /// How far the next area is off the counters.
    counting: Counting,
    pub charged: u64,
}

impl Gone {
    /// Takes the next area out of its anon_vmas, then on with row `file`; with row `then` when all are
    /// out.
    pub fn leave(&mut self, world: &mut World, file: u8, then: u8) -> Step {
        while let Some(area) = self.areas.get_mut(self.left) {
            if area.rmap.anon.is_some() {
                for &anon in &area.rmap.chain {
                    world
                        .touched
                        .extend(world.driven.then_some(About::Anon(anon)));
                }
                self.empty = world.leave_anons(&mut area.rmap);
                return Ok(Flow::Next);
            }
            if world.driven && area.file.is_some() {
                return Ok(Flow::To(file));
            }
            self.left += 1;
        }
        Ok(Flow::To(then))
    }

    pub fn may_leave_file(&self, world: &World) -> Option<Guard> {
        world.is_unmapped(self.areas.get(self.left)?.file)
    }

    /// Takes the area out of its file's list; who walks over that finds it no more.
    pub fn leave_file(&mut self, world: &mut World, leave: u8) -> Step {
        if let Some(area) = self.areas.get(self.left) {
            world.detaching.retain(|(_, gone)| gone.id != area.id);
            if let Some(file) = area.file {
                world.about(About::File(file));
            }
        }
        self.left += 1;
        Ok(Flow::To(leave))
    }

    /// Puts the next anon_vma without areas, then on with row `file`.
    pub fn put_anon(&mut self, world: &mut World, file: u8) -> Step {
        if self.empty.is_empty() {
            return Ok(Flow::To(file));
        }
        let anon = self.empty.remove(0);
        world.about(About::Anon(anon));
        world.put_anon(anon);
        Ok(Flow::Again)
    }

    /// Takes the next area off the counters and closes it (`remove_vma`); when all are, on with row `then`.
    /// Where others may count beside it, each access to a counter is a step.
    pub fn put(&mut self, world: &mut World, m: usize, plain: bool, then: u8) -> Step {
        let Some(area) = self.areas.get(self.freed) else {
            self.areas.clear();
            return Ok(Flow::To(then));
        };
        let (vma, flags) = (area.id, area.flags);
        world.about_counters(m);
        let pages = area.pages();
        if plain {
            let less = pages.wrapping_neg();
            if !self.counting.step(&mut world.mms[m], flags, less) {
                return Ok(Flow::Again);
            }
            self.counting = Counting::default();
        } else {
            world.mms[m].discount(flags, pages);
        }
        if area.flags.contains(VmFlags::ACCOUNT) {
            self.charged += pages;
        }
        if world.has_close(area.file) {
            world.raise(Event::VmaClose { vma });
        }
        if area.file.is_some() {
            return Ok(Flow::Next);
        }
        self.free(world);
        Ok(Flow::Again)
    }

    /// Puts the file of the area that was closed, whose last reference may be another area's by then, and
    /// frees the area; then on with row `put`.
    pub fn put_file(&mut self, world: &mut World, put: u8) -> Step {
        let area = &self.areas[self.freed];
        if let Some(file) = area.file {
            world.about(About::File(file));
            world.raise(Event::FilePut { file, vma: area.id });
            world.put_file(file);
        }
        self.free(world);
        Ok(Flow::To(put))
    }

    fn free(&mut self, world: &mut World) {
        let area = &self.areas[self.freed];
        world.put_policy(area.policy);
        world.raise(Event::VmaFree { vma: area.id });
        self.freed += 1;
    }
}
