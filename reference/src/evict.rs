//! Taking a page of a file out of the page cache (section 21). A fault reads it back.

use vmadiff_contract::{About, Choice, FileId, VmFlags};

use crate::area::page_down;
use crate::guard::Guard;
use crate::job::{Flow, List, Step, rows};
use crate::page::Entry;
use crate::world::World;
use crate::zap::ZapFile;

/// Evicts the page of the file that is mapped at `addr`. Answers 1, or 0 if there is none in the
/// page cache or if an area that maps it is LOCKED.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Evict {
    m: usize,
    addr: u64,
    file: FileId,
    index: u64,
    dropped: bool,
}

const DECIDE: u8 = 1;
const DROP: u8 = 3;
const PUT: u8 = 4;

impl List for Evict {
    rows! { "evict"
        Decide Read "find_vma under mmap_sem, where Linux goes by its lists"
            area: "which page is meant";
        Decide None "shrink_page_list: trylock_page; page_referenced"
            decide or may_go_on: "the page, if the page cache has it and no area that maps it is locked";
        Decide None "try_to_unmap: rmap_walk_file, lock_page"
            unmap: "the page is taken out of all address spaces";
        Drop None "__remove_mapping: the page cache, lock_page"
            drop_page unless may_drop: "the page; its contents are kept where it is read back from";
        Put None "fput, a counter"
            put: "the file, which it was kept by meanwhile";
    }
}

impl Evict {
    pub fn new(m: usize, addr: u64) -> Self {
        let (file, index) = (FileId(0), 0);
        Self {
            m,
            addr: page_down(addr),
            file,
            index,
            dropped: false,
        }
    }

    /// Areas are looked at one by one: none was locked then.
    fn may_go_on(world: &World, it: &Self, into: &mut Vec<Choice>) {
        Self::may_give_up(world, it, into);
        if world.beside {
            into.push(Choice::OneByOne);
        }
    }

    /// Another call may hold the page.
    fn may_give_up(world: &World, _: &Self, into: &mut Vec<Choice>) {
        if world.beside {
            into.push(Choice::GiveUp);
        }
    }

    fn area(world: &mut World, it: &mut Self) -> Step {
        world.about(About::Areas(world.mms[it.m].id));
        let mm = &world.mms[it.m];
        let area = mm.at(it.addr).map(|i| &mm.areas[i]);
        let Some((area, file)) = area.and_then(|area| Some((area, area.file?))) else {
            world.refused = true;
            return Ok(Flow::Done(0));
        };
        (it.file, it.index) = (file, area.pgoff_at(it.addr));
        world.get_file(Some(file));
        it.go(world, DECIDE)
    }

    fn decide(world: &mut World, it: &mut Self) -> Step {
        let (file, index) = (it.file, it.index);
        world.about(About::FilePage { file, index });
        let held = world.choice == Choice::GiveUp || world.is_held(file, index);
        let locked = world.choice != Choice::OneByOne && world.is_locked_in_memory(file, index);
        if held || !world.file(file).is_cached(index) || locked {
            world.refused = true;
            return it.go(world, PUT);
        }
        world.file(file).evicting = Some(index);
        Ok(Flow::Next)
    }

    fn unmap(world: &mut World, it: &mut Self) -> Step {
        ZapFile::page(it.file, it.index).begin(world, DROP)
    }

    /// munmap is about to unmap what lies in no area any more.
    fn may_drop(world: &World, it: &Self) -> Option<Guard> {
        let page = it.index..it.index + 1;
        world.wait_if(Guard::PageLock, world.is_mapped(it.file, &page))
    }

    fn drop_page(world: &mut World, it: &mut Self) -> Step {
        let (file, index) = (it.file, it.index);
        world.about(About::FilePage { file, index });
        let of = world.file(file);
        of.evicting = None;
        if let Err(at) = of.absent.binary_search(&index) {
            of.absent.insert(at, index);
        }
        it.dropped = true;
        Ok(Flow::Next)
    }

    fn put(world: &mut World, it: &mut Self) -> Step {
        world.about(About::File(it.file));
        world.put_file(it.file);
        Ok(Flow::Done(it.dropped.into()))
    }
}

impl World {
    /// Whether another call keeps this page of a file locked.
    fn is_held(&self, file: FileId, index: u64) -> bool {
        let of = &self.files[file.0 as usize - 1];
        let dropped = of.dropping.0 <= index && index < of.dropping.1;
        let mut flights = self.flights.iter().flatten();
        dropped || of.evicting.is_some() || flights.any(|flight| flight.page == Some((file, index)))
    }

    /// Whether a LOCKED area maps this page of a file.
    fn is_locked_in_memory(&self, file: FileId, index: u64) -> bool {
        self.mms.iter().any(|mm| {
            let is = |entry| entry == Entry::File(file, index);
            let mut maps = mm.pages.iter().filter(|page| is(page.entry));
            maps.any(|page| {
                mm.at(page.addr)
                    .is_some_and(|i| mm.areas[i].flags.contains(VmFlags::LOCKED))
            })
        })
    }
}
