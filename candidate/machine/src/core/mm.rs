//! The address space (`mm_struct`).

use vmadiff_contract::{Config, Misuse, MmId, VmFlags};
use vmadiff_interleave::{Cell, RwSem, SpinLock};

use crate::area::holes::Holes;
use crate::area::vma::Vma;
use crate::core::file::Descriptors;
use crate::core::machine::Machine;
use crate::core::moves::Shows;
use crate::core::rlimit::Rlimits;
use crate::core::slab::{Handle, Object};
use crate::design::Design;
use crate::page::table::Entries;

/// An address space. Its name is the ordinal of its allocation.
///
/// Deviation (no-task-counters): tasks keep no counts of resident pages of their own.
#[derive(Default)]
pub struct Mm {
    /// Its own name.
    name: Cell<Handle<Mm>>,
    /// Held for writing by whoever changes areas, for reading by classic faults.
    pub mmap_sem: RwSem,
    /// The first area.
    pub mmap: Cell<Handle<Vma>>,
    /// The root of the tree of areas.
    pub mm_rb: Cell<Handle<Vma>>,
    /// Guards the upper page tables, anon_vma pointers, and stacks that grow.
    pub page_table_lock: SpinLock,
    /// Who takes pages out, or rights, and has not flushed the TLBs yet (`tlb_flush_pending`).
    pub tlb_flush_pending: Cell<u64>,
    /// Invalidations that its listener was told the begin of and not yet the end.
    pub notifier_count: Cell<u64>,
    /// The top page table.
    pub pgd: Entries,
    /// Where a search for room need not look again.
    pub holes: Holes,
    /// Moves whenever an area goes: what tasks cached before is void.
    pub vmacache_seqnum: Cell<u64>,
    /// Tasks.
    pub mm_users: Cell<u64>,
    /// Areas.
    pub map_count: Cell<u64>,
    /// Pages of all areas.
    pub total_vm: Cell<u64>,
    /// Pages of locked areas.
    pub locked_vm: Cell<u64>,
    /// Pages of private writable areas that are no stacks.
    pub data_vm: Cell<u64>,
    /// Pages of executable areas.
    pub exec_vm: Cell<u64>,
    /// Pages of stacks.
    pub stack_vm: Cell<u64>,
    /// Resident private pages.
    pub rss_anon: Cell<u64>,
    /// Resident file pages.
    pub rss_file: Cell<u64>,
    /// Swapped-out pages.
    pub swap_entries: Cell<u64>,
    /// The end of the heap.
    pub brk: Cell<u64>,
    /// Lock flags of areas to come, as bits.
    pub def_flags: Cell<u32>,
    /// Open descriptors.
    pub files: Descriptors,
    /// Limits of its process.
    pub rlimits: Rlimits,
}

impl Object for Mm {
    const SHOWS: Shows = Shows::All;
    const NAME: &'static str = "Mm";

    fn dead(_: u32) -> Option<Misuse> {
        None
    }

    fn word_at(&self, _: usize) -> Option<(&'static str, &'static str)> {
        None
    }
}

impl Mm {
    /// Sets up an empty address space (`mm_init`).
    pub fn init(&self, name: Handle<Mm>, config: &Config) {
        self.name.init(name);
        self.mmap.init(Handle::NULL);
        self.mm_rb.init(Handle::NULL);
        self.pgd.clear();
        self.holes.init();
        self.vmacache_seqnum.init(0);
        self.mm_users.init(0);
        self.tlb_flush_pending.init(0);
        self.notifier_count.init(0);
        for counter in self.counters() {
            counter.init(0);
        }
        self.brk.init(config.start_brk);
        self.def_flags.init(0);
        self.files.init();
        self.rlimits.init();
    }

    /// Its name.
    pub fn name(&self) -> Handle<Self> {
        self.name.peek()
    }

    fn counters(&self) -> [&Cell<u64>; 9] {
        [
            &self.map_count,
            &self.total_vm,
            &self.locked_vm,
            &self.data_vm,
            &self.exec_vm,
            &self.stack_vm,
            &self.rss_anon,
            &self.rss_file,
            &self.swap_entries,
        ]
    }

    /// Lock flags of areas to come.
    pub fn default_flags(&self) -> VmFlags {
        VmFlags::from_bits_retain(self.def_flags.peek())
    }
}

impl<D: Design> Machine<D> {
    /// The address space of this name.
    #[inline]
    pub fn mm(&self, mm: Handle<Mm>) -> &Mm {
        self.mms.get(mm).object()
    }

    /// Frees the memory of an address space that is empty and has no users (`__mmdrop`).
    pub fn free_mm(&self, mm: Handle<Mm>) {
        self.mmu_notifier_mm_destroy(mm);
        self.mms.free(mm);
    }

    /// The first area of an address space.
    #[inline]
    pub fn first_vma(&self, mm: &Mm) -> Option<crate::core::slab::Ref<'_, Vma>> {
        self.vma_opt(mm.mmap.peek())
    }
}

/// How an address space is named.
pub fn mm_id(mm: Handle<Mm>) -> MmId {
    MmId(mm.ordinal().min(255) as u8)
}
