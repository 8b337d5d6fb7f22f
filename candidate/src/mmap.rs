//! mmap: the checks of `do_mmap` in their order, and `mmap_region`.

use vmadiff_contract::{Access, Errno, Fd, MapFlags, Note, Prot, VmFlags};

use crate::account::accountable_mapping;
use crate::current::Current;
use crate::design::{Design, Why};
use crate::file::File;
use crate::merge::Range;
use crate::section::Section;
use crate::sites as site;
use crate::slab::Ref;
use crate::vma::{Ops, PageProt, Vma};

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

/// The low bits of the flags (MAP_TYPE).
const TYPE: u32 = 0x0f;

/// Flags that were there before MAP_SHARED_VALIDATE (LEGACY_MAP_MASK), on x86-64.
const LEGACY: u32 = 0x7c07_f973;

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
        let file = if request.flags.contains(MapFlags::ANONYMOUS) {
            None
        } else {
            let file = self.fget(site::MMAP__FGET, self.mm_struct(), request.fd);
            Some(file.ok_or(Errno::EBADF)?)
        };
        let mapped = self.vm_mmap_pgoff(&request, file);
        if let Some(file) = file {
            self.fput(file);
        }
        mapped
    }

    /// Maps under mmap_sem, and populates afterwards.
    fn vm_mmap_pgoff(
        &self,
        request: &MapRequest,
        file: Option<Ref<'_, File>>,
    ) -> Result<u64, Errno> {
        let (addr, populate) = {
            let _write = Section::enter(self, self.mm_struct(), site::MMAP__MMAP_SEM);
            self.do_mmap(request, file)?
        };
        if populate {
            self.mm_populate(addr, page_align(request.len));
        }
        Ok(addr)
    }

    /// `do_mmap`: the address, and whether it is to be populated.
    fn do_mmap(
        &self,
        request: &MapRequest,
        file: Option<Ref<'_, File>>,
    ) -> Result<(u64, bool), Errno> {
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
        let pgoff = match file {
            Some(file) => {
                file_flags(file, request, len, &mut flags, &mut vm_flags)?;
                pgoff
            }
            None => anonymous_offset(addr, flags, &mut vm_flags)?,
        };
        if flags.contains(MapFlags::NORESERVE) && self.config().commit_limit == u64::MAX {
            vm_flags |= VmFlags::NORESERVE;
        }
        self.mmap_region(file, addr, len, vm_flags, pgoff)?;
        let asked = flags & (MapFlags::POPULATE | MapFlags::NONBLOCK) == MapFlags::POPULATE;
        Ok((addr, vm_flags.contains(VmFlags::LOCKED) || asked))
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

    /// Replaces what is there by the new mapping (`mmap_region`). An error after the unmapping does
    /// not bring back what was there.
    fn mmap_region(
        &self,
        file: Option<Ref<'_, File>>,
        addr: u64,
        len: u64,
        mut flags: VmFlags,
        pgoff: u64,
    ) -> Result<(), Errno> {
        let (mm, pages, end) = (self.mm_struct(), len >> 12, addr + len);
        if !self.may_expand_vm(flags, pages) {
            let overlapped = self.count_vma_pages_range(addr, end);
            if !self.may_expand_vm(flags, pages - overlapped) {
                return Err(Errno::ENOMEM);
            }
        }
        let links = match self.tree(mm).find_links(addr, end) {
            Ok(links) => links,
            Err(_) => {
                self.do_munmap(addr, len, &mut None)
                    .map_err(|_| Errno::ENOMEM)?;
                let links = self.tree(mm).find_links(addr, end);
                links.map_err(|_| Errno::ENOMEM)?
            }
        };
        if accountable_mapping(flags) {
            self.vm_enough_memory(pages)?;
            flags |= VmFlags::ACCOUNT;
        }
        let range = Range {
            addr,
            end,
            flags,
            file: file.map(Ref::handle).unwrap_or_default(),
            pgoff,
            ..Range::default()
        };
        let vma = match self.vma_merge(links.prev, &range) {
            Some(vma) => vma,
            None => {
                let vma = self.new_area(&range, file).inspect_err(|_| {
                    if flags.contains(VmFlags::ACCOUNT) {
                        self.vm_unacct_memory(pages);
                    }
                    self.note(Note::Undo("mmap_region"));
                })?;
                self.vma_link(mm, vma, &links);
                vma
            }
        };
        self.vm_stat_account(mm, flags, pages);
        if flags.contains(VmFlags::LOCKED) {
            mm.locked_vm.count(pages);
        }
        // The kernel marks it soft-dirty here, which can change the protection of entries.
        D::change(self, vma, Why::Map);
        self.vma_set_page_prot(vma);
        D::changed(self, vma, Why::Map);
        Ok(())
    }

    /// An area for the range that nobody can see yet.
    fn new_area(&self, range: &Range, file: Option<Ref<'_, File>>) -> Result<Ref<'_, Vma>, Errno> {
        let vma = self.vm_area_alloc().ok_or(Errno::ENOMEM)?;
        vma.vm_start().init(range.addr);
        vma.vm_end().init(range.end);
        vma.vm_flags().init(range.flags.bits());
        vma.vm_page_prot().init(PageProt::of(range.flags).bits());
        vma.vm_pgoff().init(range.pgoff);
        if let Some(file) = file {
            self.get_file(file);
            vma.vm_file().init(file.handle());
            vma.vm_ops().init(file.vm_ops() as u8);
        } else if range.flags.contains(VmFlags::SHARED)
            && let Err(errno) = self.shmem_zero_setup(vma)
        {
            self.vm_area_free(vma);
            return Err(errno);
        }
        Ok(vma)
    }

    /// Gives an area a file of its own for its shared memory (`shmem_zero_setup`).
    fn shmem_zero_setup(&self, vma: Ref<'_, Vma>) -> Result<(), Errno> {
        let reserve = !vma.flags().contains(VmFlags::NORESERVE);
        let charged = if reserve { vma.pages() } else { 0 };
        self.vm_enough_memory(charged)?;
        let size = vma.end() - vma.start();
        let file = self.file_alloc(0, Access::READ | Access::WRITE, size);
        file.charged().init(charged);
        vma.vm_file().init(file.handle());
        vma.vm_ops().init(Ops::Fault as u8);
        Ok(())
    }

    /// Makes what entries allow follow from the flags (`vma_set_page_prot`).
    pub fn vma_set_page_prot(&self, vma: Ref<'_, Vma>) {
        let prot = PageProt::of(vma.flags()).bits();
        vma.vm_page_prot()
            .set(site::VMA_SET_PAGE_PROT__PAGE_PROT, prot);
    }

    /// Pages of areas in a range (`count_vma_pages_range`).
    fn count_vma_pages_range(&self, addr: u64, end: u64) -> u64 {
        let mut pages = 0;
        let mut next = self.find_vma_intersection(addr, end);
        while let Some(vma) = next.filter(|vma| vma.start() < end) {
            pages += (vma.end().min(end) - vma.start().max(addr)) >> 12;
            next = self.next(vma);
        }
        pages
    }
}

/// The checks of a file mapping, and the flags that come of them.
fn file_flags(
    file: Ref<'_, File>,
    request: &MapRequest,
    len: u64,
    flags: &mut MapFlags,
    vm_flags: &mut VmFlags,
) -> Result<(), Errno> {
    let largest = i64::MAX as u64;
    if len > largest || request.off >> 12 > (largest - len) >> 12 {
        return Err(Errno::EOVERFLOW);
    }
    let access = file.access();
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
