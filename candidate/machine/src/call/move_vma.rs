//! Moving an area, or a piece of it, to another place (`move_vma`).
//!
//! Nothing of a move can fail once the copy is linked: page tables never do, and no file's
//! operations have a say. So there is no way back.

use vmadiff_contract::{Errno, Note, StepKind, Told, VmFlags};

use crate::area::anon_vma_links::NoMemory;
use crate::area::merge::Range;
use crate::area::ops::Ops;
use crate::area::vma::Vma;
use crate::call::mremap::{Moved, Remap};
use crate::core::current::Current;
use crate::core::slab::Ref;
use crate::defects::defect;
use crate::design::{Design, Why};
use crate::sites as site;

/// The copy of an area at its new place (`copy_vma`).
struct CopiedVma<'a> {
    /// The area at the new place.
    new: Ref<'a, Vma>,
    /// The area at the old one; the same where the two became one.
    source: Ref<'a, Vma>,
}

impl<D: Design> Current<'_, D> {
    /// Moves an area, or a piece of it (`move_vma`).
    ///
    /// The destination changes from before it can be found until the entries are there, the source
    /// until it is unmapped.
    pub fn move_vma(&self, vma: Ref<'_, Vma>, asked: &Remap) -> Result<Moved, Errno> {
        let flags = vma.flags();
        D::change(self, vma, Why::Move);
        let copied = if self.map_has_no_room_for(0) {
            Err(NoMemory)
        } else {
            self.copy_vma(vma, asked)
        };
        if copied.is_err() {
            self.mark(StepKind::Link, self.areas(), Told::Refused);
        }
        let copied = copied.map_err(|NoMemory| Errno::ENOMEM)?;
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
            self.mark_done(StepKind::Flags, self.counters());
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
        self.mark_done(StepKind::Count, self.counters());
        if self.__do_munmap(addr, old_len, &mut None).is_err() {
            self.vm_unacct_memory(excess);
            excess = 0;
            self.note(Note::Undo("move_vma"));
        }
        if excess != 0 && !defect!(self, AccountNotRestored) {
            let next = self.next(vma).filter(|_| split);
            for piece in [Some(vma), next].into_iter().flatten() {
                let flags = piece.flags() | VmFlags::ACCOUNT;
                piece.set_flags(site::MOVE_VMA__SHOW_ACCOUNT, flags);
                self.mark(StepKind::Flags, piece.about(), Told::Flags(flags));
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
    fn copy_vma<'a>(&'a self, vma: Ref<'a, Vma>, asked: &Remap) -> Result<CopiedVma<'a>, NoMemory> {
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
        if let Some(new) = self.__vma_merge(links.prev, &range, true) {
            // It may have swallowed the source itself.
            let swallowed = new.start() <= start && start < new.end();
            let source = if swallowed { new } else { vma };
            return Ok(CopiedVma { new, source });
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
        Ok(CopiedVma { new, source: vma })
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
