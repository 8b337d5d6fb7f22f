//! `axaddrspace`: guest memory of the ArceOS hypervisor, filled by faults. It shows nobody its
//! areas, so only what accesses come to is compared.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use ax_memory_addr::{PhysAddr, VirtAddr};
use axaddrspace::{
    AddrSpace, AddrSpaceError, AddrSpaceResult, MappingFlags, NestedPageTableOps, PageSize,
};
use axvm_types::GuestPhysAddr;
use vmadiff::areas::prelude::*;
use vmadiff::memory::{Fault, Memory};

const PAGE: usize = 4096;

/// Nested page tables, and frames with what they hold.
#[derive(Default)]
struct Table {
    entries: BTreeMap<usize, (usize, MappingFlags)>,
    frames: RefCell<BTreeMap<usize, BTreeMap<usize, u8>>>,
    next: Cell<usize>,
}

impl NestedPageTableOps for Table {
    fn root_paddr(&self) -> PhysAddr {
        PhysAddr::from(0)
    }

    fn levels(&self) -> usize {
        4
    }

    fn alloc_frame(&self) -> Option<PhysAddr> {
        self.next.set(self.next.get() + PAGE);
        self.frames
            .borrow_mut()
            .insert(self.next.get(), BTreeMap::new());
        Some(self.next.get().into())
    }

    fn dealloc_frame(&self, paddr: PhysAddr) {
        let freed = self.frames.borrow_mut().remove(&paddr.as_usize());
        assert!(freed.is_some(), "a frame is freed twice");
    }

    fn phys_to_virt(&self, paddr: PhysAddr) -> VirtAddr {
        paddr.as_usize().into()
    }

    fn map(
        &mut self,
        at: GuestPhysAddr,
        to: PhysAddr,
        _: PageSize,
        flags: MappingFlags,
    ) -> AddrSpaceResult {
        let old = self.entries.insert(at.as_usize(), (to.into(), flags));
        old.map_or(Ok(()), |_| Err(AddrSpaceError::MappingConflict))
    }

    fn unmap(&mut self, at: GuestPhysAddr) -> AddrSpaceResult<(PhysAddr, MappingFlags, PageSize)> {
        let (frame, flags) = self
            .entries
            .remove(&at.as_usize())
            .ok_or(AddrSpaceError::Unmapped { address: at })?;
        Ok((frame.into(), flags, PageSize::Size4K))
    }

    fn map_linear(
        &mut self,
        _: GuestPhysAddr,
        _: PhysAddr,
        _: usize,
        _: MappingFlags,
        _: bool,
    ) -> AddrSpaceResult {
        unreachable!("nothing is mapped so")
    }

    fn unmap_region(&mut self, _: GuestPhysAddr, _: usize) -> AddrSpaceResult {
        unreachable!("nothing is mapped so")
    }

    fn remap(&mut self, at: GuestPhysAddr, to: PhysAddr, flags: MappingFlags) -> bool {
        let page = at.as_usize() / PAGE * PAGE;
        self.entries.insert(page, (to.into(), flags)).is_none()
    }

    fn protect_region(&mut self, _: GuestPhysAddr, _: usize, _: MappingFlags) -> bool {
        unreachable!("it has no protect")
    }

    fn query(&self, at: GuestPhysAddr) -> AddrSpaceResult<(PhysAddr, MappingFlags, PageSize)> {
        let page = at.as_usize() / PAGE * PAGE;
        let (frame, flags) = self
            .entries
            .get(&page)
            .ok_or(AddrSpaceError::Unmapped { address: at })?;
        Ok((
            (frame + at.as_usize() % PAGE).into(),
            *flags,
            PageSize::Size4K,
        ))
    }
}

pub struct Space(AddrSpace<Table>);

impl Space {
    /// The frame and the offset in it, if the access is allowed.
    fn touch(&mut self, addr: u64, wanted: MappingFlags) -> Result<(usize, usize), Fault> {
        let at = GuestPhysAddr::from(addr as usize);
        let allowed = |space: &AddrSpace<Table>| {
            let found = space.page_table().query(at).ok();
            found
                .filter(|(_, flags, _)| flags.contains(wanted))
                .map(|(to, ..)| to.as_usize())
        };
        if self.0.translate(at).is_none() && !self.0.handle_page_fault(at, wanted) {
            return Err(Fault::Refused);
        }
        let to = allowed(&self.0).ok_or(Fault::Refused)?;
        Ok((to / PAGE * PAGE, to % PAGE))
    }
}

impl Areas for Space {
    const HAS: &'static [CallKind] = &[CallKind::Mmap, CallKind::Munmap];

    fn boot(_: &Config) -> Self {
        let space =
            AddrSpace::new_empty(Table::default(), GuestPhysAddr::from(0x1_0000), 0x1000_0000);
        Self(space.expect("a range"))
    }

    fn map(&mut self, range: Range<u64>, prot: Prot, how: Place) -> Result<u64, Errno> {
        let (start, size) = start_and_len(&range);
        if how == Place::Over {
            self.unmap(range.clone())?;
        }
        let mut flags = MappingFlags::empty();
        flags.set(MappingFlags::READ, !prot.is_empty()); // as on x86-64
        flags.set(MappingFlags::WRITE, prot.contains(Prot::WRITE));
        let mapped = self.0.map_alloc(start, size, flags, false);
        mapped.map(|()| range.start).map_err(|_| Errno::EEXIST)
    }

    fn unmap(&mut self, range: Range<u64>) -> Result<(), Errno> {
        let (start, size) = start_and_len(&range);
        self.0.unmap(start, size).map_err(|_| Errno::EFAULT)
    }

    fn each(&self, _: impl FnMut(Range<u64>, Prot)) {}
}

impl Memory for Space {
    fn load(&mut self, addr: u64) -> Result<u8, Fault> {
        let (frame, offset) = self.touch(addr, MappingFlags::READ)?;
        let frames = self.0.page_table().frames.borrow();
        Ok(frames[&frame].get(&offset).copied().unwrap_or(0))
    }

    fn store(&mut self, addr: u64, value: u8) -> Result<(), Fault> {
        let (frame, offset) = self.touch(addr, MappingFlags::WRITE)?;
        let mut frames = self.0.page_table().frames.borrow_mut();
        frames
            .get_mut(&frame)
            .expect("a live frame")
            .insert(offset, value);
        Ok(())
    }
}
