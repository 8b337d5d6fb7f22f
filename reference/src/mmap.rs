//! Mapping files and memory (section 6).

use vmadiff_contract::{
    Access, Errno, Event, Fd, FileId, MapFlags, Note, PAGE_SIZE, Prot, VmFlags,
};

use crate::anon::Rmap;
use crate::area::{Area, page_down, page_up};
use crate::merge::Wanted;
use crate::world::{Answer, World};

/// The arguments of mmap.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mapping {
    pub addr: u64,
    pub len: u64,
    pub prot: Prot,
    pub flags: MapFlags,
    pub fd: Fd,
    pub off: u64,
}

/// `MAP_TYPE`: shared, private or shared-validate.
const TYPE: MapFlags = MapFlags::from_bits_retain(0x0f);

/// The flags that MAP_SHARED_VALIDATE knows: `LEGACY_MAP_MASK`, and those that never arrive there
/// (MAP_DENYWRITE and MAP_EXECUTABLE). Besides the named ones: MAP_32BIT, MAP_HUGETLB and sizes.
const LEGACY: MapFlags = MapFlags::SHARED_VALIDATE
    .union(MapFlags::FIXED)
    .union(MapFlags::ANONYMOUS)
    .union(MapFlags::GROWSDOWN)
    .union(MapFlags::DENYWRITE)
    .union(MapFlags::LOCKED)
    .union(MapFlags::NORESERVE)
    .union(MapFlags::POPULATE)
    .union(MapFlags::NONBLOCK)
    .union(MapFlags::STACK)
    .union(MapFlags::from_bits_retain(
        0x40 | 0x1000 | 0x4_0000 | 0x1f << 26,
    ));

/// The area's flags for a protection (`calc_vm_prot_bits`).
pub(crate) fn access_flags(prot: Prot) -> VmFlags {
    VmFlags::from_bits_truncate((prot & (Prot::READ | Prot::WRITE | Prot::EXEC)).bits())
}

/// What every new area has.
pub(crate) const MAY: VmFlags = VmFlags::MAYREAD
    .union(VmFlags::MAYWRITE)
    .union(VmFlags::MAYEXEC);

impl World {
    /// Maps, and populates where that was asked for.
    pub fn mmap(&mut self, t: usize, ask: &Mapping) -> Answer {
        let m = self.tasks[t].mm;
        Self::aligned(ask.off)?;
        let anonymous = ask.flags.contains(MapFlags::ANONYMOUS);
        let file = if anonymous {
            None
        } else {
            Some(self.lookup(m, ask.fd)?)
        };
        let (addr, len, flags) = self.do_mmap(m, ask, file)?;
        let asked = ask.flags & (MapFlags::POPULATE | MapFlags::NONBLOCK) == MapFlags::POPULATE;
        if asked || flags.contains(VmFlags::LOCKED) {
            self.populate_quietly(t, addr, len);
        }
        Ok(addr)
    }

    /// The checks in their order (`do_mmap`). That the end of the offset wraps cannot be: both it
    /// and the length are below 2^52 pages.
    fn do_mmap(
        &mut self,
        m: usize,
        ask: &Mapping,
        file: Option<FileId>,
    ) -> Answer<(u64, u64, VmFlags)> {
        if ask.len == 0 {
            return Err(Errno::EINVAL);
        }
        let noreplace = ask.flags.contains(MapFlags::FIXED_NOREPLACE);
        let fixed = noreplace || ask.flags.contains(MapFlags::FIXED);
        let hint = if fixed {
            ask.addr
        } else {
            self.round_hint(ask.addr)
        };
        let len = page_up(ask.len);
        if len == 0 || self.map_is_overfull(m) {
            return Err(Errno::ENOMEM);
        }
        let addr = self.place(m, hint, len, fixed)?;
        if noreplace && !self.mms[m].overlap(addr, addr + len).is_empty() {
            return Err(Errno::EEXIST);
        }
        let mut flags = access_flags(ask.prot) | MAY | self.mms[m].def_flags;
        flags.set(VmFlags::GROWSDOWN, ask.flags.contains(MapFlags::GROWSDOWN));
        if ask.flags.contains(MapFlags::LOCKED) {
            flags |= VmFlags::LOCKED;
            if !self.may_lock() {
                return Err(Errno::EPERM);
            }
        }
        if self.locks_past_limit(m, flags, len) {
            return Err(Errno::EAGAIN);
        }
        let (pgoff, flags) = match file {
            Some(file) => (ask.off / PAGE_SIZE, self.file_flags(ask, file, len, flags)?),
            None => Self::memory_flags(ask, addr, flags)?,
        };
        let noreserve = ask.flags.contains(MapFlags::NORESERVE) && self.honours_noreserve();
        let flags = if noreserve {
            flags | VmFlags::NORESERVE
        } else {
            flags
        };
        let (start, end, anon, policy) = (addr, addr + len, None, None);
        self.map_region(
            m,
            Wanted {
                start,
                end,
                flags,
                pgoff,
                file,
                anon,
                policy,
            },
        )?;
        Ok((addr, len, flags))
    }

    /// A hint is rounded down to a page, and up to the first one allowed (`round_hint_to_min`).
    fn round_hint(&self, hint: u64) -> u64 {
        let hint = page_down(hint);
        if hint != 0 && hint < self.config.mmap_min_addr {
            page_up(self.config.mmap_min_addr)
        } else {
            hint
        }
    }

    /// Whether LOCKED pages exceed RLIMIT_MEMLOCK (`mlock_future_check`).
    pub fn locks_past_limit(&self, m: usize, flags: VmFlags, len: u64) -> bool {
        flags.contains(VmFlags::LOCKED) && self.locks_too_much(self.mms[m].locked + len / PAGE_SIZE)
    }

    /// What a file allows (section 6, 11).
    fn file_flags(&self, ask: &Mapping, file: FileId, len: u64, flags: VmFlags) -> Answer<VmFlags> {
        if ask.off / PAGE_SIZE > (i64::MAX as u64 - len) / PAGE_SIZE {
            return Err(Errno::EOVERFLOW);
        }
        let access = self.files[file.0 as usize - 1].access;
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

    /// Replaces what is there by the new mapping (`mmap_region`). From the unmapping on, a failure
    /// loses the old mapping.
    fn map_region(&mut self, m: usize, mut wanted: Wanted) -> Answer<()> {
        let Wanted { start, end, .. } = wanted;
        let pages = (end - start) / PAGE_SIZE;
        let replaced: u64 = self.mms[m].areas[self.mms[m].overlap(start, end)]
            .iter()
            .map(|area| (area.end.min(end) - area.start.max(start)) / PAGE_SIZE)
            .sum();
        if !self.may_expand(m, wanted.flags, pages)
            && !self.may_expand(m, wanted.flags, pages - replaced)
        {
            return Err(Errno::ENOMEM);
        }
        if replaced > 0 {
            self.munmap(m, start, end - start)
                .map_err(|_| Errno::ENOMEM)?;
        }
        if Area::is_accountable(wanted.flags) {
            self.charge(pages)
                .inspect_err(|_| self.note(Note::Undo("mmap.charge")))?;
            wanted.flags |= VmFlags::ACCOUNT;
        }
        self.map_vacant(m, wanted)
    }

    /// Maps a range that is empty and charged: merged if it may be, else as an area of its own.
    /// On failure the charge is given back.
    pub fn map_vacant(&mut self, m: usize, wanted: Wanted) -> Answer<()> {
        let place = self.mms[m].find(wanted.start);
        let pages = (wanted.end - wanted.start) / PAGE_SIZE;
        if self.merge(m, place.checked_sub(1), &wanted).is_none() {
            self.link_new(m, place, &wanted).inspect_err(|_| {
                self.note(Note::Undo("mmap.area"));
                if wanted.flags.contains(VmFlags::ACCOUNT) {
                    self.committed -= pages;
                }
            })?;
        }
        let mm = &mut self.mms[m];
        mm.account(wanted.flags, pages);
        if wanted.flags.contains(VmFlags::LOCKED) {
            mm.locked += pages;
        }
        Ok(())
    }

    /// A new area; shared anonymous memory gets its object now.
    fn link_new(&mut self, m: usize, place: usize, wanted: &Wanted) -> Answer<()> {
        let Wanted {
            start,
            end,
            flags,
            pgoff,
            mut file,
            policy,
            ..
        } = *wanted;
        let id = self.alloc_vma(None)?;
        if file.is_some() {
            self.get_file(file);
        } else if flags.contains(VmFlags::SHARED) {
            let noreserve = flags.contains(VmFlags::NORESERVE);
            let Ok(object) = self.new_shared_memory(end - start, noreserve) else {
                self.raise(Event::VmaFree { vma: id });
                return Err(Errno::ENOMEM);
            };
            file = Some(object);
        }
        self.link(
            m,
            place,
            Area {
                id,
                start,
                end,
                flags,
                pgoff,
                file,
                policy,
                rmap: Rmap::default(),
            },
        );
        Ok(())
    }
}
