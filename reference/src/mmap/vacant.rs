//! An area comes to a vacant place: a neighbour grows over it, or a new one is linked (`mmap_region`).

use vmadiff_contract::{Errno, Event, Note, VmFlags, VmaId};

use crate::anon::Rmap;
use crate::area::Area;
use crate::guard::Guard;
use crate::job::{DONE, List, Step, rows};
use crate::merge::Wanted;
use crate::world::World;

/// Maps a range that is empty and charged: merged if it may be, else as an area of its own. On
/// failure the charge is given back.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Vacant {
    m: usize,
    wanted: Wanted,
    new: Option<VmaId>,
    /// What the object behind it refuses with: huge pages, of which there are none.
    refused: Option<Errno>,
}

const ALLOCATE: u8 = 1;
const OBJECT: u8 = 2;
const LINK_NEW: u8 = 3;
const COUNT: u8 = 4;

impl List for Vacant {
    rows! { "map an empty range"
        Merge Write "vma_merge: mmap_sem; i_mmap_lock_write, anon_vma_lock_write"
            merge unless may_merge: "the range, with its neighbours, if they may be one";
        Allocate Write "vm_area_alloc: nobody else has it"
            allocate: "an area";
        Charge Write "shmem_zero_setup, call_mmap: a counter"
            object: "the object of shared memory, or a reference to the file";
        Link Write "vma_link: mmap_sem; i_mmap_lock_write"
            link unless may_link: "the area";
        Count Write "vm_stat_account: mmap_sem; plain counters"
            count: "total_vm and its like, locked_vm";
    }
}

impl Vacant {
    pub fn new(m: usize, wanted: Wanted) -> Self {
        Self::refused(m, wanted, None)
    }

    /// One whose object may refuse.
    pub fn refused(m: usize, wanted: Wanted, refused: Option<Errno>) -> Self {
        Self {
            m,
            wanted,
            new: None,
            refused,
        }
    }

    fn undo(&self, world: &mut World) -> Step {
        world.note(Note::Undo("mmap.area"));
        if self.wanted.flags.contains(VmFlags::ACCOUNT) {
            world.give_back(self.wanted.pages());
        }
        Err(Errno::ENOMEM)
    }

    fn may_merge(world: &World, it: &Self) -> Option<Guard> {
        let place = world.mms[it.m].find(it.wanted.start);
        world.may_merge(it.m, place.checked_sub(1), &it.wanted)
    }

    fn merge(world: &mut World, it: &mut Self) -> Step {
        if it.refused.is_some() {
            // A file of its own, that nothing else maps.
            return it.go(world, ALLOCATE);
        }
        let place = world.mms[it.m].find(it.wanted.start);
        let merged = world.merge(it.m, place.checked_sub(1), &it.wanted);
        if merged.is_some() {
            it.go(world, COUNT)
        } else {
            it.go(world, ALLOCATE)
        }
    }

    fn allocate(world: &mut World, it: &mut Self) -> Step {
        let Ok(new) = world.alloc_vma(None) else {
            return it.undo(world);
        };
        it.new = Some(new);
        it.go(world, OBJECT)
    }

    /// Shared anonymous memory gets its object now.
    fn object(world: &mut World, it: &mut Self) -> Step {
        let Wanted {
            start, end, flags, ..
        } = it.wanted;
        if let Some(errno) = it.refused {
            let vma = it.new.expect("it was allocated");
            world.raise(Event::VmaFree { vma });
            world.note(Note::Undo("mmap.huge"));
            return Err(errno);
        }
        if it.wanted.file.is_some() {
            world.get_file(it.wanted.file);
        } else if flags.contains(VmFlags::SHARED) {
            let noreserve = flags.contains(VmFlags::NORESERVE);
            let Ok(object) = world.new_shared_memory(end - start, noreserve) else {
                let vma = it.new.expect("it was allocated");
                world.raise(Event::VmaFree { vma });
                return it.undo(world);
            };
            it.wanted.file = Some(object);
        }
        it.go(world, LINK_NEW)
    }

    fn may_link(world: &World, it: &Self) -> Option<Guard> {
        world.is_unmapped(it.wanted.file)
    }

    fn link(world: &mut World, it: &mut Self) -> Step {
        let Wanted {
            start,
            end,
            flags,
            pgoff,
            file,
            policy,
            ..
        } = it.wanted;
        let place = world.mms[it.m].find(start);
        let area = Area {
            id: it.new.expect("it was allocated"),
            start,
            end,
            flags,
            pgoff,
            file,
            policy,
            rmap: Rmap::default(),
            claimed: false,
        };
        world.link(it.m, place, area);
        it.go(world, COUNT)
    }

    fn count(world: &mut World, it: &mut Self) -> Step {
        let mm = &mut world.mms[it.m];
        let pages = it.wanted.pages();
        mm.account(it.wanted.flags, pages);
        if it.wanted.flags.contains(VmFlags::LOCKED) {
            mm.locked += pages;
        }
        world.about_counters(it.m);
        DONE
    }
}
