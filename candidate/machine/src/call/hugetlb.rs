//! MAP_HUGETLB where the pools of huge pages are empty: what is refused, and when.

use vmadiff_contract::{Errno, MapFlags};

/// Where the flags say of which size pages are, as a power of two (MAP_HUGE_SHIFT, MAP_HUGE_MASK).
const SIZE: u64 = 0x3f << 26;

/// The size of huge pages that is asked for (`hstate_sizelog`), bytes: 2 MiB where none is named.
///
/// # Errors
/// EINVAL: there are no pages of such a size.
pub fn hstate_sizelog(flags: MapFlags) -> Result<u64, Errno> {
    match (flags.bits() & SIZE) >> 26 {
        0 | 21 => Ok(1 << 21),
        30 => Ok(1 << 30),
        _ => Err(Errno::EINVAL),
    }
}

/// Rounds a length up to such pages (ALIGN); 0 if it wraps.
pub fn huge_page_align(len: u64, size: u64) -> u64 {
    len.wrapping_add(size - 1) & !(size - 1)
}

/// Whether a fixed place will do for such pages (`hugetlb_get_unmapped_area`).
///
/// # Errors
/// ENOMEM: longer than the task's memory. EINVAL: no multiple of the size.
pub fn prepare_hugepage_range(addr: u64, len: u64, size: u64, task_size: u64) -> Result<(), Errno> {
    if len > task_size {
        return Err(Errno::ENOMEM);
    }
    if addr & (size - 1) != 0 {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

/// What comes of the area in the end (`hugetlbfs_file_mmap`): there are no pages to reserve for it.
pub fn hugetlbfs_file_mmap(pgoff: u64, size: u64) -> Errno {
    if pgoff & ((size >> 12) - 1) != 0 {
        Errno::EINVAL
    } else {
        Errno::ENOMEM
    }
}
