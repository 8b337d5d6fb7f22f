//! Changing what may be done with memory (section 8).

use vmadiff_contract::{About, Choice, Errno, Note, Outcome, PAGE_SIZE, Prot, VmFlags};

use crate::area::{ACCESS, page_up};
use crate::carve::Carve;
use crate::guard::Guard;
use crate::job::{DONE, Flow, List, Step, answer, rows};
use crate::limits::Expand;
use crate::merge::Wanted;
use crate::mmap::access_flags;
use crate::populate::Populate;
use crate::world::{Answer, World};

/// Changes the protection of a range, area by area; what was done before an error stays.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Mprotect {
    m: usize,
    at: u64,
    end: u64,
    prot: Prot,
    /// The area that it is at, by place, where its part of the range ends, its old and new flags,
    /// and what was charged for it.
    i: usize,
    upto: u64,
    old: VmFlags,
    new: VmFlags,
    charged: u64,
    /// Up to here its entries were passed over, and whether any of them was changed.
    passed: u64,
    changed: bool,
}

const FIXUP: u8 = 1;
const WRITABLE: u8 = 2;
const WAS: u8 = 3;
const CHARGE: u8 = 4;
const CARVE: u8 = 5;
const FLAGS: u8 = 6;
const PASS: u8 = 7;
const FLUSH: u8 = 8;
const POPULATE: u8 = 9;
const COUNT: u8 = 10;
const NEXT: u8 = 11;

impl List for Mprotect {
    rows! { "mprotect"
        Decide Write "do_mprotect_pkey: find_vma under mmap_sem"
            first_area: "the first area";
        Decide Write "mprotect_fixup: may_expand_vm, under mmap_sem"
            fixup: "what the area allows; equal flags: the next area";
        Decide Write "mprotect_fixup: mmap_sem"
            writable: "limits of what becomes writable: if they are exceeded, they are asked once more for the old flags";
        Decide Write "mprotect_fixup: mmap_sem"
            was: "limits, which count only if the old flags kept to them";
        Charge Write "security_vm_enough_memory_mm: a counter"
            charge: "private memory that becomes writable";
        Decide Write "mprotect_fixup: mmap_sem"
            carve: "the part becomes an area, merged or cut out";
        Flags Write "mprotect_fixup: mmap_sem; claimed until the flush"
            flags: "the area's flags";
        Pass Write "change_pte_range: the page table's lock"
            pass unless may_pass: "an entry, and the stretch without entries before it";
        Flush Write "change_protection_range: flush_tlb_range, an interrupt to each processor"
            flush or flushes: "the part, from each TLB that holds something of it";
        Decide Write "mprotect_fixup: populate_vma_page_range"
            populate: "locked private memory that becomes writable is populated";
        Count Write "vm_stat_account: mmap_sem; plain counters"
            count: "from the old kind to the new";
        Decide Write "do_mprotect_pkey: mmap_sem"
            next_area: "the next area, which has to follow at once";
    }
}

impl Mprotect {
    pub fn new(m: usize, start: u64, len: u64, prot: Prot) -> Answer<Option<Self>> {
        let both = Prot::GROWSDOWN | Prot::GROWSUP;
        if prot.contains(both) {
            return Err(Errno::EINVAL);
        }
        World::aligned(start)?;
        if len == 0 {
            return Ok(None);
        }
        let end = start.wrapping_add(page_up(len));
        if end <= start {
            return Err(Errno::ENOMEM);
        }
        if !(Prot::READ | Prot::WRITE | Prot::EXEC | Prot::SEM | both).contains(prot) {
            return Err(Errno::EINVAL);
        }
        let none = VmFlags::empty();
        Ok(Some(Self {
            m,
            at: start,
            end,
            prot,
            i: 0,
            upto: 0,
            old: none,
            new: none,
            charged: 0,
            passed: 0,
            changed: false,
        }))
    }

    fn first_area(world: &mut World, it: &mut Self) -> Step {
        it.i = world.mms[it.m].find(it.at);
        let first = world.mms[it.m].areas.get(it.i).ok_or(Errno::ENOMEM)?;
        if it.prot.contains(Prot::GROWSDOWN) {
            if first.start >= it.end {
                return Err(Errno::ENOMEM);
            }
            if !first.flags.contains(VmFlags::GROWSDOWN) {
                return Err(Errno::EINVAL);
            }
            it.at = first.start;
        } else if first.start > it.at {
            return Err(Errno::ENOMEM);
        } else if it.prot.contains(Prot::GROWSUP) {
            return Err(Errno::EINVAL);
        }
        it.go(world, FIXUP)
    }

    fn pages(&self) -> u64 {
        (self.upto - self.at) / PAGE_SIZE
    }

    fn fixup(world: &mut World, it: &mut Self) -> Step {
        let area = &world.mms[it.m].areas[it.i];
        let access = access_flags(it.prot);
        let (old, about) = (area.flags, About::Area(area.id));
        let new = old.difference(ACCESS) | access;
        it.upto = area.end.min(it.end);
        (it.old, it.new, it.charged) = (old, new, 0);
        if may(new).contains(access) && new != old && new.contains(VmFlags::WRITE) {
            let (m, flags, pages) = (it.m, new, it.pages());
            return world.call(Expand { m, flags, pages }, WRITABLE);
        }
        world.about(about);
        if !may(new).contains(access) {
            return Err(Errno::EACCES);
        }
        if new == old {
            return Self::next_area(world, it);
        }
        Self::carve(world, it)
    }

    fn writable(world: &mut World, it: &mut Self) -> Step {
        if world.returned != Outcome::Value(0) {
            return it.allowed(world);
        }
        let (m, flags, pages) = (it.m, it.old, it.pages());
        world.call(Expand { m, flags, pages }, WAS)
    }

    fn was(world: &mut World, it: &mut Self) -> Step {
        if world.returned == Outcome::Value(0) {
            return it.allowed(world);
        }
        world.about(About::Area(world.mms[it.m].areas[it.i].id));
        Err(Errno::ENOMEM)
    }

    fn allowed(&mut self, world: &mut World) -> Step {
        world.about(About::Area(world.mms[self.m].areas[self.i].id));
        let waived = VmFlags::ACCOUNT | VmFlags::WRITE | VmFlags::SHARED | VmFlags::NORESERVE;
        if self.old.intersects(waived) {
            self.go(world, CARVE)
        } else {
            self.go(world, CHARGE)
        }
    }

    fn charge(world: &mut World, it: &mut Self) -> Step {
        world.charge(it.pages())?;
        it.charged = it.pages();
        it.new |= VmFlags::ACCOUNT;
        it.go(world, CARVE)
    }

    fn carve(world: &mut World, it: &mut Self) -> Step {
        let (m, i) = (it.m, it.i);
        let wanted = Wanted::part(&world.mms[m].areas[i], it.at, it.upto, it.new);
        world.call(Carve { m, i, wanted }, FLAGS)
    }

    fn flags(world: &mut World, it: &mut Self) -> Step {
        it.i = answer(world.returned).inspect_err(|_| {
            world.note(Note::Undo("mprotect.split"));
            world.give_back(it.charged);
        })? as usize;
        world.mms[it.m].areas[it.i].flags = it.new;
        world.claim(it.m, it.i, Guard::ClaimFlags);
        world.about(About::Area(world.mms[it.m].areas[it.i].id));
        (it.passed, it.changed) = (it.at, false);
        it.go(world, PASS)
    }

    fn may_pass(world: &World, it: &Self) -> Option<Guard> {
        world.cleared_in(it.m, it.passed, it.upto)
    }

    fn pass(world: &mut World, it: &mut Self) -> Step {
        let stop = world.next_stop(it.m, it.passed, it.upto);
        world.pass_over(it.m, it.passed, stop, true);
        it.changed |= world.protect_pages(it.m, it.passed, stop, it.new);
        it.passed = stop;
        if stop < it.upto {
            return Ok(Flow::Again);
        }
        if world.driven {
            it.flushed(world)
        } else {
            Self::populate(world, it)
        }
    }

    /// A part of which no entry was changed is not flushed, whatever others have cleared of it
    /// (`change_protection_range`).
    fn flushed(&self, world: &mut World) -> Step {
        if self.changed && world.has_to_flush(self.m, self.at, self.upto) {
            return Ok(Flow::To(FLUSH));
        }
        world.unclaim(self.m);
        Ok(Flow::To(POPULATE))
    }

    fn flush(world: &mut World, it: &mut Self) -> Step {
        world.flush(it.m, it.at, it.upto);
        it.flushed(world)
    }

    fn flushes(world: &World, it: &Self, into: &mut Vec<Choice>) {
        world.whose(it.m, it.at, it.upto, into);
    }

    /// As for mlock, but nobody is told what could not be had.
    fn populate(world: &mut World, it: &mut Self) -> Step {
        let locked =
            it.old & (VmFlags::WRITE | VmFlags::SHARED | VmFlags::LOCKED) == VmFlags::LOCKED;
        if locked && it.new.contains(VmFlags::WRITE) {
            let populate = Populate::quietly(it.m, it.at, it.upto);
            return world.call(populate, COUNT);
        }
        it.go(world, COUNT)
    }

    fn count(world: &mut World, it: &mut Self) -> Step {
        let pages = it.pages();
        let mm = &mut world.mms[it.m];
        mm.discount(it.old, pages);
        mm.account(it.new, pages);
        world.about_counters(it.m);
        it.go(world, NEXT)
    }

    fn next_area(world: &mut World, it: &mut Self) -> Step {
        let areas = &world.mms[it.m].areas;
        it.at = it.upto.max(areas[it.i].end);
        if it.at >= it.end {
            return DONE;
        }
        it.i += 1;
        if areas.get(it.i).is_none_or(|next| next.start != it.at) {
            return Err(Errno::ENOMEM);
        }
        Ok(Flow::To(FIXUP))
    }
}

/// The access that mprotect may give: each of R, W, X whose MAY flag is set.
fn may(flags: VmFlags) -> VmFlags {
    [
        (VmFlags::MAYREAD, VmFlags::READ),
        (VmFlags::MAYWRITE, VmFlags::WRITE),
        (VmFlags::MAYEXEC, VmFlags::EXEC),
    ]
    .into_iter()
    .filter(|(may, _)| flags.contains(*may))
    .fold(VmFlags::empty(), |all, (_, access)| all | access)
}
