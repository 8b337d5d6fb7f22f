//! mremap: resizing in place, and moving to another place.

use vmadiff_contract::{Errno, MoveFlags, StepKind, Told, VmFlags};

use crate::area::adjust::Adjust;
use crate::area::vma::Vma;
use crate::call::mmap::page_align;
use crate::core::current::Current;
use crate::core::section::Section;
use crate::core::slab::Ref;
use crate::defects::defect;
use crate::design::Design;
use crate::sites as site;

/// What mremap is asked for; lengths are rounded up to pages on the way.
#[derive(Clone, Copy)]
pub struct Remap {
    /// The old start.
    pub addr: u64,
    /// The old length, bytes.
    pub old_len: u64,
    /// The new length, bytes.
    pub new_len: u64,
    /// How.
    pub flags: MoveFlags,
    /// Where to, with MREMAP_FIXED.
    pub new_addr: u64,
}

/// Where the area is now, and whether it is locked.
pub type Moved = (u64, bool);

impl<D: Design> Current<'_, D> {
    /// `mremap`: the address afterwards.
    pub fn sys_mremap(&self, mut asked: Remap) -> Result<u64, Errno> {
        let (may_move, fixed) = (MoveFlags::MAYMOVE, MoveFlags::FIXED);
        let nowhere = asked.flags.contains(fixed) && !asked.flags.contains(may_move);
        if !(asked.flags - may_move - fixed).is_empty() || nowhere || asked.addr & 4095 != 0 {
            return Err(Errno::EINVAL);
        }
        asked.old_len = page_align(asked.old_len);
        asked.new_len = page_align(asked.new_len);
        if asked.new_len == 0 {
            return Err(Errno::EINVAL);
        }
        let write = Section::enter(self, self.mm_struct(), site::MREMAP__MMAP_SEM);
        let (at, locked) = if asked.flags.contains(fixed) {
            self.mremap_to(&asked)?
        } else if asked.old_len >= asked.new_len {
            // mmap_sem is downgraded on the way and given back at the end of the unmapping.
            let (tail, len) = (
                asked.addr.wrapping_add(asked.new_len),
                asked.old_len - asked.new_len,
            );
            let shrunk = self.__do_munmap(tail, len, &mut Some(write));
            return match shrunk {
                Err(errno) if len != 0 => Err(errno),
                _ => Ok(asked.addr),
            };
        } else {
            self.mremap_grow(&asked)?
        };
        drop(write);
        if locked && asked.new_len > asked.old_len {
            self.mm_populate(at + asked.old_len, asked.new_len - asked.old_len);
        }
        Ok(at)
    }

    /// Grows an area: where it is if there is room, else elsewhere if it may move.
    fn mremap_grow(&self, asked: &Remap) -> Result<Moved, Errno> {
        let (vma, charged) = self.vma_to_resize(asked)?;
        self.grow_or_move(vma, asked)
            .inspect_err(|_| self.vm_unacct_memory(charged))
    }

    fn grow_or_move(&self, vma: Ref<'_, Vma>, asked: &Remap) -> Result<Moved, Errno> {
        let grow = asked.new_len - asked.old_len;
        let at_end = asked.old_len == vma.end() - asked.addr;
        if at_end && self.vma_expandable(vma, grow) {
            return self
                .expand_in_place(vma, grow)
                .map(|locked| (asked.addr, locked));
        }
        let place = if asked.flags.contains(MoveFlags::MAYMOVE) {
            self.get_unmapped_area(0, asked.new_len, false)
        } else {
            Err(Errno::ENOMEM)
        };
        if place.is_err() {
            self.mark(StepKind::Decide, self.areas(), Told::Refused);
        }
        let new_addr = place?;
        self.move_vma(vma, &Remap { new_addr, ..*asked })
    }

    fn expand_in_place(&self, vma: Ref<'_, Vma>, grow: u64) -> Result<bool, Errno> {
        let to = Adjust {
            start: vma.start(),
            end: vma.end() + grow,
            pgoff: vma.vm_pgoff().peek(),
            insert: None,
            expand: None,
            keep_locked: false,
        };
        self.__vma_adjust(vma, &to).map_err(|_| Errno::ENOMEM)?;
        let mm = self.mm_struct();
        self.vm_stat_account(mm, vma.flags(), grow >> 12);
        let locked = vma.flags().contains(VmFlags::LOCKED);
        if locked {
            mm.locked_vm.count(grow >> 12);
        }
        self.mark_done(StepKind::Resize, self.counters());
        Ok(locked)
    }

    /// Whether there is room behind an area (`vma_expandable`). A stack above keeps no gap here.
    fn vma_expandable(&self, vma: Ref<'_, Vma>, grow: u64) -> bool {
        let Some(end) = vma.end().checked_add(grow) else {
            return false;
        };
        self.next(vma).is_none_or(|next| next.start() >= end)
            && self
                .get_unmapped_area(vma.start(), end - vma.start(), true)
                .is_ok()
    }

    /// Moves to where the caller says (`mremap_to`). What is there, and what of the source is not
    /// wanted any more, is unmapped before the source is looked at.
    fn mremap_to(&self, asked: &Remap) -> Result<Moved, Errno> {
        let Remap {
            addr,
            old_len,
            new_len,
            new_addr,
            ..
        } = *asked;
        let task_size = self.config().task_size;
        if new_addr & 4095 != 0 || new_len > task_size || new_addr > task_size - new_len {
            return Err(Errno::EINVAL);
        }
        if addr.wrapping_add(old_len) > new_addr && new_addr + new_len > addr {
            return Err(Errno::EINVAL);
        }
        if self.map_has_no_room_for(2) {
            self.mark(StepKind::Decide, self.areas(), Told::Refused);
            return Err(Errno::ENOMEM);
        }
        self.__do_munmap(new_addr, new_len, &mut None)?;
        let mut asked = *asked;
        if old_len >= new_len {
            let tail = addr.wrapping_add(new_len);
            let shrunk = self.__do_munmap(tail, old_len - new_len, &mut None);
            if old_len != new_len {
                shrunk?;
            }
            asked.old_len = new_len;
        }
        let (vma, charged) = self.vma_to_resize(&asked)?;
        let place = self.get_unmapped_area(new_addr, new_len, true);
        if place.is_err() {
            self.mark(StepKind::Decide, self.areas(), Told::Refused);
        }
        place
            .and_then(|_| self.move_vma(vma, &asked))
            .inspect_err(|_| self.vm_unacct_memory(charged))
    }

    /// Whether so many areas more would come too near to the limit: a move may take three for a
    /// while.
    pub fn map_has_no_room_for(&self, more: i64) -> bool {
        let count = self.mm_struct().map_count.peek() as i64;
        let reserve = i64::from(!defect!(self, NoReserveForMoves)) * 3;
        count + more >= i64::from(self.config().max_map_count) - reserve
    }

    /// The area that is to be resized, and what was charged for its growth (`vma_to_resize`).
    fn vma_to_resize(&self, asked: &Remap) -> Result<(Ref<'_, Vma>, u64), Errno> {
        let (vma, charged) = self.find_to_resize(asked).inspect_err(|errno| {
            // What may_expand_vm refuses is what is not charged.
            let kind = if *errno == Errno::ENOMEM {
                StepKind::Charge
            } else {
                StepKind::Decide
            };
            self.mark(kind, self.areas(), Told::Refused);
        })?;
        self.vm_enough_memory(charged)?;
        self.mark_done(StepKind::Charge, vma.about());
        Ok((vma, charged))
    }

    fn find_to_resize(&self, asked: &Remap) -> Result<(Ref<'_, Vma>, u64), Errno> {
        let vma = self
            .find_vma(asked.addr)
            .filter(|vma| vma.start() <= asked.addr)
            .ok_or(Errno::EFAULT)?;
        let flags = vma.flags();
        let shared = flags.intersects(VmFlags::SHARED | VmFlags::MAYSHARE);
        if asked.old_len == 0 && !shared {
            return Err(Errno::EINVAL);
        }
        if asked.old_len > vma.end() - asked.addr {
            return Err(Errno::EFAULT);
        }
        if asked.new_len == asked.old_len {
            return Ok((vma, 0));
        }
        let pgoff = vma.pgoff_of(asked.addr);
        if pgoff.checked_add(asked.new_len >> 12).is_none() {
            return Err(Errno::EINVAL);
        }
        let grow = asked.new_len - asked.old_len;
        if flags.contains(VmFlags::LOCKED) {
            let locked = self.mm_struct().locked_vm.peek();
            self.locked_within_limit(locked.saturating_add(grow >> 12))?;
        }
        if !self.may_expand_vm(flags, grow >> 12) {
            return Err(Errno::ENOMEM);
        }
        let account = flags.contains(VmFlags::ACCOUNT);
        Ok((vma, if account { grow >> 12 } else { 0 }))
    }
}
