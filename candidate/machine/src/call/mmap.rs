//! mmap: the checks of `do_mmap` in their order.

use vmadiff_contract::{Access, Errno, Fd, MapFlags, Prot, StepKind, Told, VmFlags};

use crate::area::merge::Range;
use crate::call::hugetlb::{hstate_sizelog, huge_page_align, prepare_hugepage_range};
use crate::core::current::Current;
use crate::core::file::File;
use crate::core::section::Section;
use crate::core::slab::{Handle, Ref};
use crate::defects::defect;
use crate::design::Design;
use crate::sites as site;

/// What mmap is asked for.
#[derive(Clone, Copy)]
pub struct MapRequest {
    /// Hint, or the place itself.
    pub addr: u64,
    /// Bytes.
    pub len: u64,
    /// What may be done.
    pub prot: Prot,
    /// How.
    pub flags: MapFlags,
    /// The file.
    pub fd: Fd,
    /// Offset in the file, bytes.
    pub off: u64,
}

/// What is mapped.
#[derive(Clone, Copy)]
pub enum Backing<'a> {
    /// Memory without a name, private or shared.
    Anonymous,
    /// A file.
    File(Ref<'a, File>),
    /// The file that stands for huge pages of this size, bytes (`hugetlb_file_setup`).
    HugeTlb(u64),
}

/// The low bits of the flags (MAP_TYPE).
const TYPE: u64 = 0x0f;

/// Flags that were there before MAP_SHARED_VALIDATE (LEGACY_MAP_MASK), on x86-64.
const LEGACY: u64 = 0x7c07_f973;

/// R, W and X of a protection (`calc_vm_prot_bits`).
pub fn vm_prot_bits(prot: Prot) -> VmFlags {
    let rwx = Prot::READ | Prot::WRITE | Prot::EXEC;
    VmFlags::from_bits_retain((prot & rwx).bits())
}

/// Rounds a length up to pages (PAGE_ALIGN); 0 if it wraps.
pub fn page_align(len: u64) -> u64 {
    len.wrapping_add(4095) & !4095
}

impl<D: Design> Current<'_, D> {
    /// `mmap`: the new address.
    pub fn sys_mmap(&self, request: MapRequest) -> Result<u64, Errno> {
        if request.off & 4095 != 0 {
            return Err(Errno::EINVAL);
        }
        let huge = request.flags.contains(MapFlags::HUGETLB);
        if !request.flags.contains(MapFlags::ANONYMOUS) {
            let file = self.fget(site::MMAP__FGET, request.fd);
            let file = file.ok_or(Errno::EBADF)?;
            let mapped = if huge {
                self.mark(StepKind::Decide, self.areas(), Told::Refused);
                Err(Errno::EINVAL)
            } else {
                self.vm_mmap_pgoff(&request, Backing::File(file))
            };
            self.fput(file);
            return mapped;
        }
        if !huge {
            return self.vm_mmap_pgoff(&request, Backing::Anonymous);
        }
        let size = hstate_sizelog(request.flags)?;
        let len = huge_page_align(request.len, size);
        self.vm_mmap_pgoff(&MapRequest { len, ..request }, Backing::HugeTlb(size))
    }

    /// Maps under mmap_sem, and populates afterwards.
    fn vm_mmap_pgoff(&self, request: &MapRequest, backing: Backing<'_>) -> Result<u64, Errno> {
        let (addr, populate) = {
            let _write = Section::enter(self, self.mm_struct(), site::MMAP__MMAP_SEM);
            self.do_mmap(request, backing)?
        };
        if populate {
            self.mm_populate(addr, page_align(request.len));
        }
        Ok(addr)
    }

    /// `do_mmap`: the address, and whether it is to be populated.
    fn do_mmap(&self, request: &MapRequest, backing: Backing<'_>) -> Result<(u64, bool), Errno> {
        let checked = self.mmap_checks(request, backing);
        let (mut range, populate) = self.decided(self.areas(), checked)?;
        let again = match backing {
            Backing::File(_) if defect!(self, DescriptorLookedUpTwice) => {
                self.fget(site::MMAP__FGET, request.fd)
            }
            _ => None,
        };
        if let Some(file) = again {
            range.file = file.handle();
        }
        let mapped = self.mmap_region(again.map_or(backing, Backing::File), range);
        if let Some(file) = again {
            self.fput(file);
        }
        if mapped.is_err() && defect!(self, FailureAnswersZero) {
            return Ok((0, false));
        }
        mapped.map(|()| (range.addr, populate))
    }

    /// All that is asked before anything is done: the range as it is to be, and whether it is to be
    /// populated.
    fn mmap_checks(
        &self,
        request: &MapRequest,
        backing: Backing<'_>,
    ) -> Result<(Range, bool), Errno> {
        let mut flags = request.flags;
        if request.len == 0 {
            return Err(Errno::EINVAL);
        }
        let noreplace = flags.contains(MapFlags::FIXED_NOREPLACE);
        let fixed = noreplace || flags.contains(MapFlags::FIXED);
        let hint = if fixed {
            request.addr
        } else {
            self.round_hint_to_min(request.addr)
        };
        let len = page_align(request.len);
        if len == 0 {
            return Err(Errno::ENOMEM);
        }
        let pgoff = request.off >> 12;
        if pgoff.checked_add(len >> 12).is_none() {
            return Err(Errno::EOVERFLOW);
        }
        let mm = self.mm_struct();
        if mm.map_count.peek() > u64::from(self.config().max_map_count) {
            return Err(Errno::ENOMEM);
        }
        if let (true, Backing::HugeTlb(size)) = (fixed, backing) {
            prepare_hugepage_range(hint, len, size, self.config().task_size)?;
        }
        let addr = self.get_unmapped_area(hint, len, fixed)?;
        if noreplace && self.find_vma_intersection(addr, addr + len).is_some() {
            return Err(Errno::EEXIST);
        }
        let mut vm_flags = vm_prot_bits(request.prot) | mm.default_flags();
        vm_flags |= VmFlags::MAYREAD | VmFlags::MAYWRITE | VmFlags::MAYEXEC;
        vm_flags.set(VmFlags::GROWSDOWN, flags.contains(MapFlags::GROWSDOWN));
        if flags.contains(MapFlags::LOCKED) {
            vm_flags |= VmFlags::LOCKED;
            if !self.can_do_mlock() {
                return Err(Errno::EPERM);
            }
        }
        self.mlock_future_check(vm_flags, len)?;
        let access = match backing {
            Backing::Anonymous => None,
            Backing::File(file) => Some(file.access()),
            Backing::HugeTlb(_) => Some(Access::READ | Access::WRITE),
        };
        let pgoff = match access {
            Some(access) => {
                file_flags(access, request, len, &mut flags, &mut vm_flags)?;
                pgoff
            }
            None => anonymous_offset(addr, flags, &mut vm_flags)?,
        };
        if flags.contains(MapFlags::NORESERVE) && self.config().commit_limit == u64::MAX {
            vm_flags |= VmFlags::NORESERVE;
        }
        let range = Range {
            addr,
            end: addr + len,
            flags: vm_flags,
            file: match backing {
                Backing::File(file) => file.handle(),
                Backing::Anonymous | Backing::HugeTlb(_) => Handle::NULL,
            },
            pgoff,
            ..Range::default()
        };
        self.may_map_region(&range)?;
        let asked = flags & (MapFlags::POPULATE | MapFlags::NONBLOCK) == MapFlags::POPULATE;
        Ok((range, vm_flags.contains(VmFlags::LOCKED) || asked))
    }

    fn round_hint_to_min(&self, hint: u64) -> u64 {
        let hint = hint & !4095;
        let lowest = self.config().mmap_min_addr;
        if hint != 0 && hint < lowest {
            page_align(lowest)
        } else {
            hint
        }
    }
}

/// The checks of a file mapping, and the flags that come of them.
fn file_flags(
    access: Access,
    request: &MapRequest,
    len: u64,
    flags: &mut MapFlags,
    vm_flags: &mut VmFlags,
) -> Result<(), Errno> {
    let largest = i64::MAX as u64;
    if len > largest || request.off >> 12 > (largest - len) >> 12 {
        return Err(Errno::EOVERFLOW);
    }
    let kind = MapFlags::from_bits_retain(flags.bits() & TYPE);
    if kind == MapFlags::SHARED || kind == MapFlags::SHARED_VALIDATE {
        let unknown = flags.bits() & !LEGACY != 0;
        if kind == MapFlags::SHARED {
            *flags = MapFlags::from_bits_retain(flags.bits() & LEGACY);
        } else if unknown {
            return Err(Errno::EOPNOTSUPP);
        }
        let writable = access.contains(Access::WRITE);
        if request.prot.contains(Prot::WRITE) && !writable {
            return Err(Errno::EACCES);
        }
        *vm_flags |= VmFlags::SHARED | VmFlags::MAYSHARE;
        if !writable {
            *vm_flags -= VmFlags::MAYWRITE | VmFlags::SHARED;
        }
    } else if kind != MapFlags::PRIVATE {
        return Err(Errno::EINVAL);
    }
    if !access.contains(Access::READ) {
        return Err(Errno::EACCES);
    }
    if vm_flags.contains(VmFlags::GROWSDOWN) {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

/// The offset of anonymous memory, and the flags that come of its type.
fn anonymous_offset(addr: u64, flags: MapFlags, vm_flags: &mut VmFlags) -> Result<u64, Errno> {
    match MapFlags::from_bits_retain(flags.bits() & TYPE) {
        MapFlags::SHARED => {
            if vm_flags.contains(VmFlags::GROWSDOWN) {
                return Err(Errno::EINVAL);
            }
            *vm_flags |= VmFlags::SHARED | VmFlags::MAYSHARE;
            Ok(0)
        }
        MapFlags::PRIVATE => Ok(addr >> 12),
        _ => Err(Errno::EINVAL),
    }
}
