//! msync: asks about a range, and has nothing to write back.

use vmadiff_contract::{Errno, StepKind, SyncFlags, Told, VmFlags};
use vmadiff_interleave::at;

use crate::call::mmap::page_align;
use crate::core::current::Current;
use crate::design::Design;
use crate::sites as site;

impl<D: Design> Current<'_, D> {
    /// `msync`. Files live in memory, so there is nothing to wait for, and mmap_sem is kept where
    /// the kernel gives it up to write a file back.
    pub fn sys_msync(&self, start: u64, len: u64, flags: SyncFlags) -> Result<u64, Errno> {
        let known = SyncFlags::ASYNC | SyncFlags::INVALIDATE | SyncFlags::SYNC;
        let both = SyncFlags::ASYNC | SyncFlags::SYNC;
        if !(flags - known).is_empty() || start & 4095 != 0 || flags.contains(both) {
            return Err(Errno::EINVAL);
        }
        let end = start.wrapping_add(page_align(len));
        if end < start {
            return Err(Errno::ENOMEM);
        }
        if end == start {
            return Ok(0);
        }
        let _read = self.mm_struct().mmap_sem.read(site::MSYNC__MMAP_SEM);
        let synced = self.msync_areas(start, end, flags);
        at::section();
        synced.map(|()| 0)
    }

    /// Goes over the areas of a range; holes are skipped, and told of at the end.
    fn msync_areas(&self, mut start: u64, end: u64, flags: SyncFlags) -> Result<(), Errno> {
        let mut hole = Ok(());
        let mut next = self.find_vma(start);
        loop {
            let Some(vma) = next else {
                self.mark(StepKind::Decide, self.areas(), Told::Refused);
                return Err(Errno::ENOMEM);
            };
            if start < vma.start() {
                hole = Err(Errno::ENOMEM);
                if vma.start() >= end {
                    self.mark(StepKind::Decide, self.areas(), Told::Refused);
                    return hole;
                }
            }
            if flags.contains(SyncFlags::INVALIDATE) && vma.flags().contains(VmFlags::LOCKED) {
                self.mark(StepKind::Decide, vma.about(), Told::Refused);
                return Err(Errno::EBUSY);
            }
            self.mark_done(StepKind::Decide, vma.about());
            start = vma.end();
            if start >= end {
                return hole;
            }
            next = self.next(vma);
        }
    }
}
