//! Advice on the use of memory (section 11).

use vmadiff_contract::{About, Advice, Errno, FileId, PAGE_SIZE, VmFlags};

use crate::area::page_up;
use crate::carve::Carve;
use crate::file::{FileCall, Punch};
use crate::job::{DONE, Flow, List, Row, Sem, Step, answer, rows};
use crate::merge::Wanted;
use crate::world::{Answer, World};
use crate::zap::{What, Zap};

/// Advises, area by area; holes are skipped and make the answer `ENOMEM` at the end.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Madvise {
    m: usize,
    at: u64,
    end: u64,
    advice: Advice,
    hole: bool,
    /// The area that it is at, by place, where its part of the range ends, its new flags, and what
    /// is punched out of which file.
    i: usize,
    upto: u64,
    new: VmFlags,
    full: bool,
    file: Option<(FileId, u64)>,
}

const AREA: u8 = 0;
const FLAGS: u8 = 1;
const PUNCH: u8 = 2;
const NEXT: u8 = 3;
const PUNCHED: u8 = 4;
const READ_AHEAD: u8 = 5;

impl List for Madvise {
    rows! { "madvise"
        Decide Write "do_madvise: find_vma under mmap_sem; DONTNEED, FREE, REMOVE and WILLNEED hold it for reading"
            area: "the next area, and what it allows; its part becomes an area, or is zapped";
        Flags Write "madvise_behavior: mmap_sem for writing"
            flags: "the area's flags";
        Decide None "madvise_remove: get_file; mmap_sem is given up"
            punch: "the part is punched out of its file";
        Decide Write "do_madvise: mmap_sem"
            next_area: "on behind the part, or done";
        Decide None "madvise_remove: mmap_sem is not taken yet again"
            punched: "the same after REMOVE, whose error ends it";
        Copy Write "madvise_willneed, force_shm_swapin_readahead: the page cache"
            read_ahead: "what the page cache lacks of the part's file is read in";
    }

    /// `madvise_need_mmap_write`.
    fn sem(&self, _: &World, _: u8, row: &Row<Self>) -> Sem {
        if matches!(
            self.advice,
            Advice::DontNeed | Advice::Free | Advice::Remove | Advice::WillNeed
        ) {
            return row.sem.min(Sem::Read);
        }
        row.sem
    }
}

impl Madvise {
    pub fn new(m: usize, start: u64, len: u64, advice: Advice) -> Answer<Option<Self>> {
        if matches!(advice, Advice::Other(_)) {
            return Err(Errno::EINVAL);
        }
        World::aligned(start)?;
        let rounded = page_up(len);
        if len != 0 && rounded == 0 {
            return Err(Errno::EINVAL);
        }
        let end = start.checked_add(rounded).ok_or(Errno::EINVAL)?;
        if end == start {
            return Ok(None);
        }
        Ok(Some(Self {
            m,
            at: start,
            end,
            advice,
            hole: false,
            i: 0,
            upto: 0,
            new: VmFlags::empty(),
            full: false,
            file: None,
        }))
    }

    fn area(world: &mut World, it: &mut Self) -> Step {
        it.i = world.mms[it.m].find(it.at);
        let area = world.mms[it.m].areas.get(it.i).ok_or(Errno::ENOMEM)?;
        if it.at < area.start {
            it.hole = true;
            it.at = area.start;
            if it.at >= it.end {
                return Err(Errno::ENOMEM);
            }
        }
        it.upto = area.end.min(it.end);
        let old = area.flags;
        (world.touched).extend(world.driven.then_some(About::Area(area.id)));
        it.new = match it.advice {
            Advice::Normal => old - VmFlags::RAND_READ - VmFlags::SEQ_READ,
            Advice::Random => (old - VmFlags::SEQ_READ) | VmFlags::RAND_READ,
            Advice::Sequential => (old - VmFlags::RAND_READ) | VmFlags::SEQ_READ,
            Advice::DontFork => old | VmFlags::DONTCOPY,
            Advice::DoFork => old - VmFlags::DONTCOPY,
            Advice::DontDump => old | VmFlags::DONTDUMP,
            Advice::DoDump => old - VmFlags::DONTDUMP,
            Advice::WipeOnFork if area.file.is_some() => return Err(Errno::EINVAL),
            Advice::WipeOnFork => old | VmFlags::WIPEONFORK,
            Advice::KeepOnFork => old - VmFlags::WIPEONFORK,
            Advice::HugePage => (old - VmFlags::NOHUGEPAGE) | VmFlags::HUGEPAGE,
            Advice::NoHugePage => (old - VmFlags::HUGEPAGE) | VmFlags::NOHUGEPAGE,
            // ksmd leaves shared memory alone: the advice is ignored.
            Advice::Mergeable if old.intersects(VmFlags::SHARED | VmFlags::MAYSHARE) => old,
            Advice::Mergeable => old | VmFlags::MERGEABLE,
            Advice::Unmergeable => old - VmFlags::MERGEABLE,
            Advice::WillNeed => return it.go(world, READ_AHEAD),
            Advice::DontNeed | Advice::Free => return it.discard(world),
            Advice::Remove => return it.remove(world),
            Advice::Other(_) => return Err(Errno::EINVAL),
        };
        let (m, i) = (it.m, it.i);
        let wanted = Wanted::part(area, it.at, it.upto, it.new);
        if it.new == old {
            return Self::next_area(world, it);
        }
        it.full = world.map_is_full(m);
        world.call(Carve { m, i, wanted }, FLAGS)
    }

    fn flags(world: &mut World, it: &mut Self) -> Step {
        it.i = answer(world.returned).map_err(|_| {
            if it.full || world.map_is_full(it.m) {
                Errno::ENOMEM
            } else {
                Errno::EAGAIN
            }
        })? as usize;
        let area = &mut world.mms[it.m].areas[it.i];
        area.flags = it.new;
        it.upto = it.upto.max(area.end);
        let about = About::Area(area.id);
        world.about(about);
        it.go(world, NEXT)
    }

    /// Throws pages away. FREE keeps those in memory: the kernel may drop them later, and the
    /// model never does (section 18).
    fn discard(&self, world: &mut World) -> Step {
        let area = &world.mms[self.m].areas[self.i];
        let dont_need = self.advice == Advice::DontNeed;
        if area.flags.contains(VmFlags::LOCKED) || !dont_need && area.file.is_some() {
            return Err(Errno::EINVAL);
        }
        let what = if dont_need { What::All } else { What::Swapped };
        world.call(Zap::new(self.m, self.at, self.upto, what), NEXT)
    }

    /// Swapped pages stay (section 18).
    fn read_ahead(world: &mut World, it: &mut Self) -> Step {
        let area = &world.mms[it.m].areas[it.i];
        let first = area.pgoff_at(it.at);
        let pages = (it.upto - it.at) / PAGE_SIZE;
        if let Some(file) = area.file {
            world.file(file).read_in(first, first.saturating_add(pages));
            world.about(About::File(file));
        }
        it.go(world, NEXT)
    }

    /// What the part maps is punched out of its file object (`madvise_remove`), with a reference
    /// of the call's own.
    fn remove(&mut self, world: &mut World) -> Step {
        let area = &world.mms[self.m].areas[self.i];
        let file = area
            .file
            .filter(|_| !area.flags.contains(VmFlags::LOCKED))
            .ok_or(Errno::EINVAL)?;
        if !area.flags.contains(VmFlags::SHARED | VmFlags::WRITE) {
            return Err(Errno::EACCES);
        }
        self.file = Some((file, area.pgoff_at(self.at).saturating_mul(PAGE_SIZE)));
        world.get_file(Some(file));
        Ok(Flow::To(PUNCH))
    }

    fn punch(world: &mut World, it: &mut Self) -> Step {
        let (file, off) = it.file.expect("it was looked up");
        let punch = FileCall::punch(Punch {
            file,
            off,
            len: it.upto - it.at,
        });
        world.call(punch, PUNCHED)
    }

    fn punched(world: &mut World, it: &mut Self) -> Step {
        answer(world.returned)?;
        Self::next_area(world, it)
    }

    fn next_area(_: &mut World, it: &mut Self) -> Step {
        it.at = it.upto;
        if it.at < it.end {
            return Ok(Flow::To(AREA));
        }
        if it.hole { Err(Errno::ENOMEM) } else { DONE }
    }
}
