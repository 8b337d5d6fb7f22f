//! What `page_table_multiarch` asks of its kernel: frames for tables, and a TLB that there is none of.

use memory_addr::{PhysAddr, VirtAddr};
use page_table_multiarch::{PagingHandler, PagingMetaData};

const PAGE: usize = 4096;

/// x86-64, four levels.
pub struct X64;

impl PagingMetaData for X64 {
    const LEVELS: usize = 4;
    const PA_MAX_BITS: usize = 52;
    const VA_MAX_BITS: usize = 48;
    type VirtAddr = VirtAddr;

    fn flush_tlb(_: Option<VirtAddr>) {}
}

/// Frames for tables, on the heap.
pub struct Frames;

#[repr(align(4096))]
struct Frame(#[allow(dead_code)] [u8; PAGE]);

impl PagingHandler for Frames {
    fn alloc_frames(_: usize, _: usize) -> Option<PhysAddr> {
        Some((Box::into_raw(Box::new(Frame([0; PAGE]))) as usize).into())
    }

    fn dealloc_frames(paddr: PhysAddr, _: usize) {
        // SAFETY: `alloc_frames` made it of a box, and it is freed once.
        drop(unsafe { Box::from_raw(paddr.as_usize() as *mut Frame) });
    }

    fn phys_to_virt(paddr: PhysAddr) -> VirtAddr {
        paddr.as_usize().into()
    }
}
