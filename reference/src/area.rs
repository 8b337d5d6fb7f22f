//! One area: a stretch of an address space with the same flags and the same thing behind it.

use vmadiff_contract::{FileId, PAGE_SIZE, PolicyId, VmFlags, VmaId};

use crate::anon::Rmap;

/// What an access may do; mprotect sets all three.
pub(crate) const ACCESS: VmFlags = VmFlags::READ.union(VmFlags::WRITE).union(VmFlags::EXEC);

/// What mlock sets and munlock clears.
pub(crate) const LOCKS: VmFlags = VmFlags::LOCKED.union(VmFlags::LOCKONFAULT);

/// Rounds up to a page and wraps to 0 past the end of the numbers, as `PAGE_ALIGN` does.
pub(crate) fn page_up(bytes: u64) -> u64 {
    page_down(bytes.wrapping_add(PAGE_SIZE - 1))
}

/// Rounds down to a page.
pub(crate) fn page_down(bytes: u64) -> u64 {
    bytes & !(PAGE_SIZE - 1)
}

/// Whether this address is the first byte of a page.
pub(crate) fn is_aligned(addr: u64) -> bool {
    addr.is_multiple_of(PAGE_SIZE)
}

/// An area, `vm_area_struct`.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Area {
    /// Its name: the ordinal of its allocation.
    pub id: VmaId,
    /// First byte.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
    /// What it is.
    pub flags: VmFlags,
    /// Pages: offset in the file, or `start` / 4096 where it was mapped.
    pub pgoff: u64,
    /// What it maps; none: private anonymous memory.
    pub file: Option<FileId>,
    /// Its own policy.
    pub policy: Option<PolicyId>,
    /// Its anon_vma and the chain of those that its pages may belong to.
    pub rmap: Rmap,
    /// A writer changes it together with something else, and no fault may see half.
    pub claimed: bool,
}

impl Area {
    /// Length in pages.
    pub fn pages(&self) -> u64 {
        (self.end - self.start) / PAGE_SIZE
    }

    /// Whether this address lies inside.
    pub fn holds(&self, addr: u64) -> bool {
        self.start <= addr && addr < self.end
    }

    /// The page offset that belongs to an address inside (`linear_page_index`).
    pub fn pgoff_at(&self, addr: u64) -> u64 {
        self.pgoff.wrapping_add((addr - self.start) / PAGE_SIZE)
    }

    /// Where the room below ends that others may use: `guard` bytes under a stack stay free
    /// (`vm_start_gap`, section 7).
    pub fn start_gap(&self, guard: u64) -> u64 {
        if self.flags.contains(VmFlags::GROWSDOWN) {
            self.start.saturating_sub(guard)
        } else {
            self.start
        }
    }

    /// Whether a store makes a private copy (`is_cow_mapping`, section 23).
    pub fn copies_on_write(&self) -> bool {
        self.flags & (VmFlags::SHARED | VmFlags::MAYWRITE) == VmFlags::MAYWRITE
    }

    /// Whether its pages are charged to the commit limit: private, writable and not waived
    /// (`accountable_mapping`, section 6c).
    pub fn is_accountable(flags: VmFlags) -> bool {
        flags & (VmFlags::NORESERVE | VmFlags::SHARED | VmFlags::WRITE) == VmFlags::WRITE
    }
}
