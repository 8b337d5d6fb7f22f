//! Changing files under their mappings: ftruncate, fallocate, punching holes.

use vmadiff_contract::{Access, Errno, FallocFlags, Fd, StepKind, Told};
use vmadiff_interleave::at;

use crate::core::current::Current;
use crate::core::file::{File, MAX_SIZE};
use crate::core::machine::Machine;
use crate::core::slab::Ref;
use crate::defects::defect;
use crate::design::Design;
use crate::page::zap::Which;
use crate::sites as site;

impl<D: Design> Current<'_, D> {
    /// `ftruncate`.
    pub fn sys_ftruncate(&self, fd: Fd, size: u64) -> Result<u64, Errno> {
        if size > i64::MAX as u64 {
            return Err(Errno::EINVAL);
        }
        let file = self.fget(site::FTRUNCATE__FGET, fd).ok_or(Errno::EBADF)?;
        let truncated = if !file.access().contains(Access::WRITE) {
            Err(Errno::EINVAL)
        } else if size > MAX_SIZE {
            Err(Errno::EFBIG)
        } else {
            let _inode = (!defect!(self, TruncateUnlocked))
                .then(|| file.i_rwsem().write(site::FTRUNCATE__INODE_LOCK));
            self.truncate_setsize(file, size);
            Ok(0)
        };
        if truncated.is_err() {
            self.mark(StepKind::Size, file.about(), Told::Refused);
        }
        self.fput(file);
        truncated
    }

    /// `fallocate`.
    pub fn sys_fallocate(
        &self,
        fd: Fd,
        flags: FallocFlags,
        off: u64,
        len: u64,
    ) -> Result<u64, Errno> {
        let file = self.fget(site::FALLOCATE__FGET, fd).ok_or(Errno::EBADF)?;
        let allocated = self.vfs_fallocate(file, flags, off, len);
        self.fput(file);
        allocated
    }

    /// What fallocate does to a file, and madvise(REMOVE) to what an area maps (`vfs_fallocate`).
    pub fn vfs_fallocate(
        &self,
        file: Ref<'_, File>,
        flags: FallocFlags,
        off: u64,
        len: u64,
    ) -> Result<u64, Errno> {
        if let Err(errno) = may_allocate(file, flags, off, len) {
            self.mark(StepKind::Size, file.about(), Told::Refused);
            return Err(errno);
        }
        let end = off + len;
        let _inode = file.i_rwsem().write(site::FALLOCATE__INODE_LOCK);
        if flags.contains(FallocFlags::PUNCH_HOLE) {
            let size = file.size().peek();
            self.mark(StepKind::Size, file.about(), Told::Number(size));
            self.punch_hole(file, off, end);
            return Ok(0);
        }
        // Pages that the page cache lacks are read in (`shmem_getpage`) and the size is set at one moment,
        // that of the mark: pages of a call that has not come to it are not to be seen, and none is taken
        // out between the look and the mark.
        let _pages = file.pages().lock(site::FALLOCATE__PAGES);
        let mut size = file.size().peek();
        if !flags.contains(FallocFlags::KEEP_SIZE) && end > file.size().get(site::FALLOCATE__SIZE) {
            file.size().set(site::FALLOCATE__SET_SIZE, end);
            size = end;
        }
        file.absent().read_in(off >> 12, end.div_ceil(4096));
        at::section();
        self.mark(StepKind::Size, file.about(), Told::Number(size));
        Ok(0)
    }
}

/// What is asked before a file is changed.
fn may_allocate(file: Ref<'_, File>, flags: FallocFlags, off: u64, len: u64) -> Result<(), Errno> {
    let largest = i64::MAX as u64;
    if off > largest || len == 0 || len > largest {
        return Err(Errno::EINVAL);
    }
    let (keep, punch) = (FallocFlags::KEEP_SIZE, FallocFlags::PUNCH_HOLE);
    let alone = flags.contains(punch) && !flags.contains(keep);
    if !(flags - keep - punch).is_empty() || alone {
        return Err(Errno::EOPNOTSUPP);
    }
    if !file.access().contains(Access::WRITE) {
        return Err(Errno::EBADF);
    }
    if off + len > MAX_SIZE {
        return Err(Errno::EFBIG);
    }
    Ok(())
}

impl<D: Design> Machine<D> {
    /// Sets a file's size, takes what is beyond out of all mappings, private copies too, and throws
    /// it away (`shmem_setattr`). Holds no mmap_sem.
    ///
    /// Where the size stays, no page is beyond it, but bytes that were stored behind the end on the
    /// last page are: those go.
    fn truncate_setsize(&self, file: Ref<'_, File>, size: u64) {
        let old = file.size().get(site::TRUNCATE__SIZE);
        file.size().set(site::TRUNCATE__SET_SIZE, size);
        if size < old {
            file.absent().keep_to(old.div_ceil(4096));
        }
        self.mark(StepKind::Size, file.about(), Told::Number(size));
        if size > old {
            at::section();
            return;
        }
        let first = size.div_ceil(4096);
        let unmap = |which| {
            if size < old {
                self.unmap_mapping_range(file, first, u64::MAX, which);
            }
        };
        unmap(Which::All);
        {
            let _pages = file.pages().lock(site::TRUNCATE__PAGES);
            // Faults that had looked at the size before it was set may have mapped pages since; what
            // is still mapped goes from the mappings before its contents do
            // (`truncate_cleanup_page`, without `even_cows`).
            unmap(Which::FileOnly);
            self.drop_contents(site::TRUNCATE__CONTENTS, file, size, u64::MAX);
            // The page that is cut was read in for that; those behind are gone, and none of them is
            // missed.
            file.absent().truncate(size >> 12);
            self.mark_done(StepKind::Drop, file.about());
            at::section();
        }
        // Private copies that were made meanwhile, of pages that were still there.
        unmap(Which::All);
    }

    /// Zeroes a range of a file and takes its whole pages out of all mappings, but not private
    /// copies (`shmem_fallocate`).
    fn punch_hole(&self, file: Ref<'_, File>, from: u64, to: u64) {
        let (first, last) = (from.div_ceil(4096), to / 4096);
        let unmap = || {
            if first < last {
                self.unmap_mapping_range(file, first, last, Which::FileOnly);
            }
        };
        unmap();
        let _pages = file.pages().lock(site::PUNCH_HOLE__PAGES);
        unmap();
        self.drop_contents(site::PUNCH_HOLE__CONTENTS, file, from, to);
        // Pages that are cut were read in for that; a hole is there.
        file.absent().read_in(from / 4096, to.div_ceil(4096));
        self.mark_done(StepKind::Drop, file.about());
        at::section();
    }

    /// Takes the pages `first` to `last` (not included) of a file out of every area that maps them
    /// (`unmap_mapping_range`).
    fn unmap_mapping_range(&self, file: Ref<'_, File>, first: u64, last: u64, which: Which) {
        let _i_mmap = file.i_mmap_rwsem().write(site::UNMAP_MAPPING__I_MMAP);
        self.mark_done(StepKind::Decide, file.about());
        let mut next = self.vma_opt(file.i_mmap().peek());
        while let Some(vma) = next {
            let begin = vma.vm_pgoff().peek();
            let from = first.max(begin);
            let to = last.min(begin.saturating_add(vma.pages()));
            if from < to {
                let addr = |page: u64| vma.start() + (page - begin) * 4096;
                self.zap_page_range(vma, addr(from), addr(to), which);
            }
            next = self.vma_opt(vma.shared_next().peek());
        }
    }
}
