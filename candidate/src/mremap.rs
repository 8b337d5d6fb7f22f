//! mremap: resizing in place, and moving to another place.
//!
//! Nothing of a move can fail once the copy is linked: page tables never do, and no file's
//! operations have a say. So there is no way back.

use vmadiff_contract::{Errno, MoveFlags, Note, VmFlags};

use crate::adjust::Adjust;
use crate::current::Current;
use crate::defects::defect;
use crate::design::{Design, Why};
use crate::merge::Range;
use crate::mmap::page_align;
use crate::rmap::NoMemory;
use crate::section::Section;
use crate::sites as site;
use crate::slab::Ref;
use crate::vma::{Ops, Vma};

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

/// The copy of an area at its new place (`copy_vma`).
struct Copied<'a> {
    /// The area at the new place.
    new: Ref<'a, Vma>,
    /// The area at the old one; the same where the two became one.
    source: Ref<'a, Vma>,
}

/// Where the area is now, and whether it is locked.
type Moved = (u64, bool);

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
            let shrunk = self.do_munmap(tail, len, &mut Some(write));
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
        if !asked.flags.contains(MoveFlags::MAYMOVE) {
            return Err(Errno::ENOMEM);
        }
        let new_addr = self.get_unmapped_area(0, asked.new_len, false)?;
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
        self.vma_adjust(vma, &to).map_err(|_| Errno::ENOMEM)?;
        let mm = self.mm_struct();
        self.vm_stat_account(mm, vma.flags(), grow >> 12);
        let locked = vma.flags().contains(VmFlags::LOCKED);
        if locked {
            mm.locked_vm.count(grow >> 12);
        }
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
            return Err(Errno::ENOMEM);
        }
        self.do_munmap(new_addr, new_len, &mut None)?;
        let mut asked = *asked;
        if old_len >= new_len {
            let tail = addr.wrapping_add(new_len);
            let shrunk = self.do_munmap(tail, old_len - new_len, &mut None);
            if old_len != new_len {
                shrunk?;
            }
            asked.old_len = new_len;
        }
        let (vma, charged) = self.vma_to_resize(&asked)?;
        self.get_unmapped_area(new_addr, new_len, true)
            .and_then(|_| self.move_vma(vma, &asked))
            .inspect_err(|_| self.vm_unacct_memory(charged))
    }

    /// Whether so many areas more would come too near to the limit: a move may take three for a
    /// while.
    fn map_has_no_room_for(&self, more: i64) -> bool {
        let count = self.mm_struct().map_count.peek() as i64;
        let reserve = i64::from(!defect!(self, NoReserveForMoves)) * 3;
        count + more >= i64::from(self.config().max_map_count) - reserve
    }

    /// The area that is to be resized, and what was charged for its growth (`vma_to_resize`).
    fn vma_to_resize(&self, asked: &Remap) -> Result<(Ref<'_, Vma>, u64), Errno> {
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
            let locked = self.mm_struct().locked_vm.peek() << 12;
            let over = locked.saturating_add(grow) > self.config().rlimit_memlock;
            if over && !self.config().cap_ipc_lock {
                return Err(Errno::EAGAIN);
            }
        }
        if !self.may_expand_vm(flags, grow >> 12) {
            return Err(Errno::ENOMEM);
        }
        let account = flags.contains(VmFlags::ACCOUNT);
        let charged = if account { grow >> 12 } else { 0 };
        self.vm_enough_memory(charged)?;
        Ok((vma, charged))
    }

    /// Moves an area, or a piece of it (`move_vma`).
    ///
    /// The destination changes from before it can be found until the entries are there, the source
    /// until it is unmapped.
    fn move_vma(&self, vma: Ref<'_, Vma>, asked: &Remap) -> Result<Moved, Errno> {
        if self.map_has_no_room_for(0) {
            return Err(Errno::ENOMEM);
        }
        let flags = vma.flags();
        let copied = self
            .copy_vma(vma, asked)
            .map_err(|NoMemory| Errno::ENOMEM)?;
        let (vma, new) = (copied.source, copied.new);
        if vma != new {
            D::change(self, vma, Why::MoveFrom);
        }
        self.move_page_tables(vma, new, asked);
        self.mremap_userfaultfd_prep(new);
        D::moved(self, vma, new);
        D::changed(self, new, Why::MoveTo);
        self.unmap_source(vma, flags, asked);
        let locked = flags.contains(VmFlags::LOCKED);
        if locked {
            self.mm_struct().locked_vm.count(asked.new_len >> 12);
        }
        Ok((asked.new_addr, locked))
    }

    /// Unmaps what the move left. The charge moved along, so VM_ACCOUNT is hidden from the
    /// unmapping; what remains of the source has it again. If there is no memory to split, the
    /// source stays, without.
    fn unmap_source(&self, vma: Ref<'_, Vma>, flags: VmFlags, asked: &Remap) {
        let (mm, addr, old_len) = (self.mm_struct(), asked.addr, asked.old_len);
        let (start, end) = (vma.start(), vma.end());
        let (mut excess, mut split) = (0, false);
        if flags.contains(VmFlags::ACCOUNT) {
            vma.set_flags(site::MOVE_VMA__HIDE_ACCOUNT, vma.flags() - VmFlags::ACCOUNT);
            excess = (end - start - old_len) >> 12;
            split = addr > start && addr + old_len < end;
        }
        self.vm_stat_account(mm, vma.flags(), asked.new_len >> 12);
        if self.do_munmap(addr, old_len, &mut None).is_err() {
            self.vm_unacct_memory(excess);
            excess = 0;
            self.note(Note::Undo("move_vma"));
        }
        if excess != 0 && !defect!(self, AccountNotRestored) {
            let next = self.next(vma).filter(|_| split);
            for piece in [Some(vma), next].into_iter().flatten() {
                let flags = piece.flags() | VmFlags::ACCOUNT;
                piece.set_flags(site::MOVE_VMA__SHOW_ACCOUNT, flags);
            }
        }
        let mut next = self.find_vma_intersection(start, end);
        while let Some(piece) = next.filter(|piece| piece.start() < end) {
            D::stays(self, piece);
            next = self.next(piece);
        }
    }

    /// Links an area at the new place (`copy_vma`): a neighbour that takes it in, or a copy. Its
    /// change goes on.
    fn copy_vma<'a>(&'a self, vma: Ref<'a, Vma>, asked: &Remap) -> Result<Copied<'a>, NoMemory> {
        let (addr, end) = (asked.new_addr, asked.new_addr + asked.new_len);
        let unfaulted = vma.ops() == Ops::Anonymous && vma.anon_vma().peek().is_null();
        let range = Range {
            pgoff: if unfaulted {
                addr >> 12
            } else {
                vma.pgoff_of(asked.addr)
            },
            ..Range::of(vma, addr, end)
        };
        let mm = self.mm_struct();
        let links = self.tree(mm).find_links(addr, end).map_err(|_| NoMemory)?;
        let start = vma.start();
        if let Some(new) = self.vma_merge_locked(links.prev, &range, true) {
            // It may have swallowed the source itself.
            let swallowed = new.start() <= start && start < new.end();
            let source = if swallowed { new } else { vma };
            return Ok(Copied { new, source });
        }
        let new = self.vm_area_dup(vma).ok_or(NoMemory)?;
        new.vm_start().init(addr);
        new.vm_end().init(end);
        new.vm_pgoff().init(range.pgoff);
        if let Err(no_memory) = self.dup_policy_and_anon_vma(new, vma) {
            self.vm_area_free(new);
            self.note(Note::Undo("copy_vma"));
            return Err(no_memory);
        }
        if let Some(file) = new.vm_file().peek().some() {
            self.get_file(self.files.get(file));
        }
        self.vma_open(new);
        D::change(self, new, Why::MoveTo);
        self.vma_link(mm, new, &links);
        Ok(Copied { new, source: vma })
    }

    /// A userfaultfd that is told of no moves loses what moved (`mremap_userfaultfd_prep`).
    fn mremap_userfaultfd_prep(&self, new: Ref<'_, Vma>) {
        if new.vm_userfaultfd_ctx().peek() {
            new.vm_userfaultfd_ctx().init(false);
            let flags = new.flags() - VmFlags::UFFD_MISSING;
            new.set_flags(site::MREMAP_USERFAULTFD_PREP__VM_FLAGS, flags);
        }
    }
}
