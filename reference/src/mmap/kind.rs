//! What is asked for: the checks of do_mmap in their order, and the flags that an area gets.

use vmadiff_contract::{Access, Errno, FileId, MapFlags, PAGE_SIZE, Prot, VmFlags};

use super::{LEGACY, Mapping, TYPE};
use crate::area::{page_down, page_up};
use crate::merge::Wanted;
use crate::world::{Answer, World};

impl World {
    /// The mapping with what its file and its kind make of it.
    pub(super) fn kind_of_mapping(
        &self,
        ask: &Mapping,
        file: Option<FileId>,
        huge: Option<u64>,
        asked: &Wanted,
    ) -> Answer<Wanted> {
        let Wanted {
            start, end, flags, ..
        } = *asked;
        let (addr, len) = (start, end - start);
        let (pgoff, flags) = match file {
            Some(file) => {
                let access = self.files[file.0 as usize - 1].access;
                (
                    ask.off / PAGE_SIZE,
                    Self::file_flags(ask, access, len, flags)?,
                )
            }
            None if huge.is_some() => {
                let access = Access::all();
                (
                    ask.off / PAGE_SIZE,
                    Self::file_flags(ask, access, len, flags)?,
                )
            }
            None => Self::memory_flags(ask, addr, flags)?,
        };
        let noreserve = ask.flags.contains(MapFlags::NORESERVE) && self.honours_noreserve();
        let flags = if noreserve {
            flags | VmFlags::NORESERVE
        } else {
            flags
        };
        let (anon, policy) = (None, None);
        Ok(Wanted {
            start,
            end,
            flags,
            pgoff,
            file,
            anon,
            policy,
        })
    }

    /// A hint is rounded down to a page, and up to the first one allowed (`round_hint_to_min`).
    pub(super) fn round_hint(&self, hint: u64) -> u64 {
        let hint = page_down(hint);
        if hint != 0 && hint < self.config.mmap_min_addr {
            page_up(self.config.mmap_min_addr)
        } else {
            hint
        }
    }

    /// What a file allows (section 6, 11).
    fn file_flags(ask: &Mapping, access: Access, len: u64, flags: VmFlags) -> Answer<VmFlags> {
        if ask.off / PAGE_SIZE > (i64::MAX as u64 - len) / PAGE_SIZE {
            return Err(Errno::EOVERFLOW);
        }
        let mut flags = flags;
        let kind = ask.flags & TYPE;
        if kind == MapFlags::SHARED || kind == MapFlags::SHARED_VALIDATE {
            if kind == MapFlags::SHARED_VALIDATE && !LEGACY.contains(ask.flags) {
                return Err(Errno::EOPNOTSUPP);
            }
            let writable = access.contains(Access::WRITE);
            if ask.prot.contains(Prot::WRITE) && !writable {
                return Err(Errno::EACCES);
            }
            flags |= VmFlags::SHARED | VmFlags::MAYSHARE;
            if !writable {
                flags -= VmFlags::MAYWRITE | VmFlags::SHARED;
            }
        } else if kind != MapFlags::PRIVATE {
            return Err(Errno::EINVAL);
        }
        if !access.contains(Access::READ) {
            return Err(Errno::EACCES);
        }
        if flags.contains(VmFlags::GROWSDOWN) {
            return Err(Errno::EINVAL);
        }
        Ok(flags)
    }

    /// Offset and flags of memory without a file.
    fn memory_flags(ask: &Mapping, addr: u64, flags: VmFlags) -> Answer<(u64, VmFlags)> {
        let kind = ask.flags & TYPE;
        if kind == MapFlags::PRIVATE {
            Ok((addr / PAGE_SIZE, flags))
        } else if kind == MapFlags::SHARED && !flags.contains(VmFlags::GROWSDOWN) {
            Ok((0, flags | VmFlags::SHARED | VmFlags::MAYSHARE))
        } else {
            Err(Errno::EINVAL)
        }
    }

    /// Pages that a mapping replaces (`count_vma_pages_range`).
    pub(super) fn replaced(&self, m: usize, wanted: &Wanted) -> u64 {
        let Wanted { start, end, .. } = *wanted;
        let mm = &self.mms[m];
        mm.areas[mm.overlap(start, end)]
            .iter()
            .map(|area| (area.end.min(end) - area.start.max(start)) / PAGE_SIZE)
            .sum()
    }
}
