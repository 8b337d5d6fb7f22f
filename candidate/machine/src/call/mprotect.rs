//! mprotect: area by area, and the entries of those that changed.

use vmadiff_contract::{Errno, Note, Prot, StepKind, Told, VmFlags};

use crate::area::merge::Range;
use crate::area::ops::PageProt;
use crate::area::vma::Vma;
use crate::call::mmap::{page_align, vm_prot_bits};
use crate::core::current::Current;
use crate::core::section::Section;
use crate::core::slab::Ref;
use crate::design::{Design, Why};
use crate::page::protect::NewProt;
use crate::sites as site;

/// R, W and X.
const RWX: VmFlags = VmFlags::READ.union(VmFlags::WRITE).union(VmFlags::EXEC);

impl<D: Design> Current<'_, D> {
    /// `mprotect`.
    pub fn sys_mprotect(&self, addr: u64, len: u64, prot: Prot) -> Result<u64, Errno> {
        let grows = Prot::GROWSDOWN | Prot::GROWSUP;
        if prot.contains(grows) || addr & 4095 != 0 {
            return Err(Errno::EINVAL);
        }
        if len == 0 {
            return Ok(0);
        }
        let end = addr.wrapping_add(page_align(len));
        if end <= addr {
            return Err(Errno::ENOMEM);
        }
        let known = Prot::READ | Prot::WRITE | Prot::EXEC | Prot::SEM;
        if !(prot - grows - known).is_empty() {
            return Err(Errno::EINVAL);
        }
        let _write = Section::enter(self, self.mm_struct(), site::MPROTECT__MMAP_SEM);
        let found = self.find_vma(addr).ok_or(Errno::ENOMEM);
        let start = found.and_then(|vma| Ok((vma, first_address(vma, addr, end, prot)?)));
        if start.is_err() {
            self.mark(StepKind::Decide, self.areas(), Told::Refused);
        }
        let (vma, start) = start?;
        self.mprotect_areas(vma, start, end, vm_prot_bits(prot))?;
        Ok(0)
    }

    fn mprotect_areas(
        &self,
        first: Ref<'_, Vma>,
        start: u64,
        end: u64,
        prot: VmFlags,
    ) -> Result<(), Errno> {
        self.change_pieces(first, start, end, |vma, prev, from, to| {
            let flags = prot | (vma.flags() - RWX);
            let may = VmFlags::from_bits_retain(flags.bits() >> 4);
            if !(flags - may).intersection(RWX).is_empty() {
                self.mark(StepKind::Decide, vma.about(), Told::Refused);
                return Err(Errno::EACCES);
            }
            self.mprotect_fixup(vma, prev, from, to, flags)
        })
    }

    /// Gives a piece of an area new flags (`mprotect_fixup`); answers the area that it is in then.
    fn mprotect_fixup<'a>(
        &'a self,
        vma: Ref<'a, Vma>,
        prev: Option<Ref<'a, Vma>>,
        start: u64,
        end: u64,
        mut flags: VmFlags,
    ) -> Result<Ref<'a, Vma>, Errno> {
        let (mm, old, pages) = (self.mm_struct(), vma.flags(), (end - start) >> 12);
        let writable = flags.contains(VmFlags::WRITE);
        if flags != old
            && writable
            && !self.may_expand_vm(flags, pages)
            && self.may_expand_vm(old, pages)
        {
            self.mark(StepKind::Decide, vma.about(), Told::Refused);
            return Err(Errno::ENOMEM);
        }
        self.mark_done(StepKind::Decide, vma.about());
        if flags == old {
            return Ok(vma);
        }
        let mut charged = 0;
        if writable {
            let charged_or_never =
                VmFlags::ACCOUNT | VmFlags::WRITE | VmFlags::SHARED | VmFlags::NORESERVE;
            if !old.intersects(charged_or_never) {
                self.vm_enough_memory(pages)?;
                charged = pages;
                flags |= VmFlags::ACCOUNT;
            }
        }
        let range = Range {
            flags,
            ..Range::of(vma, start, end)
        };
        let vma = self.merge_or_split(vma, prev, &range).map_err(|_| {
            self.vm_unacct_memory(charged);
            self.note(Note::Undo("mprotect_fixup"));
            Errno::ENOMEM
        })?;
        // One change: flags, protection and entries.
        D::change(self, vma, Why::Protect);
        vma.set_flags(site::MPROTECT_FIXUP__VM_FLAGS, flags);
        self.mark(StepKind::Flags, vma.about(), Told::Flags(flags));
        self.vma_set_page_prot(vma);
        self.change_protection(vma, start, end, NewProt::Of(PageProt::of(flags)));
        D::changed(self, vma, Why::Protect);
        let locked = VmFlags::WRITE | VmFlags::SHARED | VmFlags::LOCKED;
        if old & locked == VmFlags::LOCKED && flags.contains(VmFlags::WRITE) {
            self.populate_in_place(vma, start, end);
        }
        self.vm_stat_account(mm, old, pages.wrapping_neg());
        self.vm_stat_account(mm, flags, pages);
        self.mark_done(StepKind::Count, self.counters());
        Ok(vma)
    }
}

/// Where the change begins: PROT_GROWSDOWN extends it to a stack's start.
fn first_address(vma: Ref<'_, Vma>, addr: u64, end: u64, prot: Prot) -> Result<u64, Errno> {
    if prot.contains(Prot::GROWSDOWN) {
        if vma.start() >= end {
            return Err(Errno::ENOMEM);
        }
        if !vma.flags().contains(VmFlags::GROWSDOWN) {
            return Err(Errno::EINVAL);
        }
        return Ok(vma.start());
    }
    if vma.start() > addr {
        return Err(Errno::ENOMEM);
    }
    if prot.contains(Prot::GROWSUP) {
        return Err(Errno::EINVAL);
    }
    Ok(addr)
}
