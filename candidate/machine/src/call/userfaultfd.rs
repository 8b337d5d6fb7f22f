//! userfaultfd: a range is registered for its missing pages, or taken back. One file for each
//! address space, that is told by signals only. Faults without mmap_sem are to leave such areas alone.

use vmadiff_contract::{Errno, StepKind, Told, VmFlags};

use crate::area::merge::Range;
use crate::area::ops::Ops;
use crate::area::split::SplitError;
use crate::area::vma::Vma;
use crate::core::current::Current;
use crate::core::section::Section;
use crate::core::slab::Ref;
use crate::defects::defect;
use crate::design::{Design, Why};
use crate::sites as site;

impl<D: Design> Current<'_, D> {
    /// `uffd_register` (`userfaultfd_register`).
    pub fn sys_uffd_register(&self, start: u64, len: u64) -> Result<u64, Errno> {
        self.userfaultfd_change(start, len, true)
    }

    /// `uffd_unregister` (`userfaultfd_unregister`).
    pub fn sys_uffd_unregister(&self, start: u64, len: u64) -> Result<u64, Errno> {
        self.userfaultfd_change(start, len, false)
    }

    fn userfaultfd_change(&self, start: u64, len: u64, register: bool) -> Result<u64, Errno> {
        self.validate_range(start, len)?;
        let end = start + len;
        let _write = Section::enter(self, self.mm_struct(), site::USERFAULTFD__MMAP_SEM);
        let (prev, vma) = self.find_vma_prev(start);
        let found = vma.ok_or(Errno::ENOMEM);
        let checked = found.and_then(|vma| {
            if vma.start() >= end {
                return Err(Errno::EINVAL);
            }
            self.check_areas(vma, end, register).map(|()| vma)
        });
        let vma = self.decided(self.areas(), checked)?;
        let prev = if vma.start() < start { Some(vma) } else { prev };
        self.change_areas(vma, prev, start, end, register)?;
        Ok(0)
    }

    fn validate_range(&self, start: u64, len: u64) -> Result<(), Errno> {
        let config = self.config();
        let unaligned = (start | len) & 4095 != 0;
        let low = start < config.mmap_min_addr;
        let high = start >= config.task_size || len > config.task_size - start;
        if unaligned || len == 0 || low || high {
            return Err(Errno::EINVAL);
        }
        Ok(())
    }

    /// Whether all areas of a range will do, before any is changed.
    fn check_areas(&self, first: Ref<'_, Vma>, end: u64, register: bool) -> Result<(), Errno> {
        let mut next = Some(first);
        while let Some(vma) = next.filter(|vma| vma.start() < end) {
            if !vma_can_userfault(vma) {
                return Err(Errno::EINVAL);
            }
            if register && !vma.flags().contains(VmFlags::MAYWRITE) {
                return Err(Errno::EPERM);
            }
            next = self.next(vma);
        }
        Ok(())
    }

    /// Merges or splits area by area.
    ///
    /// Deviation (5543d3c43c41): the offset that 5.1 hands over is the area's own, also where the range
    /// starts inside it.
    fn change_areas<'a>(
        &'a self,
        first: Ref<'a, Vma>,
        mut prev: Option<Ref<'a, Vma>>,
        mut start: u64,
        end: u64,
        register: bool,
    ) -> Result<(), Errno> {
        let mut next = Some(first);
        while let Some(vma) = next.filter(|vma| vma.start() < end) {
            let mut vma = vma;
            if vma.vm_userfaultfd_ctx().peek() != register {
                start = start.max(vma.start());
                let mut flags = vma.flags() - VmFlags::UFFD_MISSING;
                flags.set(VmFlags::UFFD_MISSING, register);
                let mut range = Range {
                    flags,
                    uffd: register,
                    ..Range::of(vma, start, end.min(vma.end()))
                };
                if defect!(self, UffdOwnOffset) {
                    range.pgoff = vma.vm_pgoff().peek();
                }
                vma = self
                    .merge_or_split(vma, prev, &range)
                    .map_err(|_: SplitError| Errno::ENOMEM)?;
                D::change(self, vma, Why::Userfault);
                vma.set_flags(site::USERFAULTFD__VM_FLAGS, flags);
                self.mark(StepKind::Flags, vma.about(), Told::Flags(flags));
                vma.vm_userfaultfd_ctx()
                    .set(site::USERFAULTFD__CTX, register);
                D::changed(self, vma, Why::Userfault);
            }
            prev = Some(vma);
            start = vma.end();
            next = self.next(vma);
        }
        Ok(())
    }
}

/// Whether missing pages of an area can be had from a task (`vma_can_userfault`): private memory
/// and memory files, not those of drivers.
fn vma_can_userfault(vma: Ref<'_, Vma>) -> bool {
    matches!(vma.ops(), Ops::Anonymous | Ops::Fault)
}
