//! Per-VMA locks, as Linux has them since 6.15 (S. Baghdasaryan), on the calls of 5.1.
//!
//! A fault finds its area in an index, inside an RCU read section (`index`, `fault`), and locks it for
//! reading by raising the area's reference count (`lock`). Writers hold mmap_sem and lock each area
//! that they change, before they change it (`writers`): they close the count to readers, wait for those
//! that are inside, and note the number of their section of mmap_sem in the area. Nobody unlocks an
//! area: the number moves on with the section, and that unlocks them all.
//!
//! ```text
//! an area is locked by a writer  <=>  its vm_lock_seq is the mm_lock_seq of its address space
//! vm_refcnt   0          in no tree: nobody can raise it
//!             1          in its tree
//!             1 + n      with n readers
//!             + OFFSET   and a writer waits for them
//! ```
//!
//! An area is freed at once when its count is zero, and its slot is the next area's, of any address
//! space, while somebody may still come to it by the index. Slots only ever hold areas
//! (`SLAB_TYPESAFE_BY_RCU`), so the count is there; what it counts a reader knows only when it holds a
//! reference and has compared address space, number and range.
//!
//! `lock` is all that knows the count. The lock of Linux 6.4 (a semaphore beside the area, areas freed
//! after a grace period) would take its place, and a mark `detached` that of zero.

#![forbid(unsafe_code)]

mod defects;
pub mod deviations;
mod fault;
mod index;
mod info;
mod life;
mod lock;
pub mod reasons;
pub mod sites;
mod writers;

pub use defects::Defect;
pub use info::DESIGN;

use vmadiff_contract::{COUNTS, DesignInfo};
use vmadiff_interleave::{Cell, LockCount, ReadGuard, RefCount};
use vmadiff_machine::page::pte::Pte;
use vmadiff_machine::{
    Current, Design, Died, Fault, Handle, InTree, Machine, Mm, Need, Ref, Vma, Vmf, Why,
};

use crate::index::Index;

/// Per-VMA locks.
pub struct VmaLock;

/// Beside an area.
#[derive(Default)]
pub struct Area {
    /// References: that of its tree, and one for each reader.
    vm_refcnt: LockCount,
    /// The number of the section in which a writer locked it last; written with mmap_sem held for
    /// writing.
    vm_lock_seq: Cell<u32>,
}

/// Beside an address space.
#[derive(Default)]
pub struct Space {
    /// The number of the current section of mmap_sem for writing: odd inside of one, even between.
    mm_lock_seq: Cell<u32>,
    /// Where faults find areas (`mm_mt`).
    index: Index,
    /// Who names the address space, its users together being one (`mm_count`).
    mm_count: RefCount,
    /// Whom the last reader wakes (`vma_writer_wait`).
    vma_writer_wait: Cell<u64>,
}

impl Design for VmaLock {
    const INFO: &'static DesignInfo = &DESIGN;
    /// What a fault holds keeps writers out.
    const OPTIMISTIC: bool = false;
    /// Deviation (grows-written).
    const STACKS_GROW_WRITTEN: bool = true;

    type Area = Area;
    type Space = Space;
    /// The area, locked for reading; with mmap_sem, too, if the area lacked an anon_vma.
    type Hold<'a> = Option<ReadGuard<'a>>;

    fn fault(cx: &Current<'_, Self>, addr: u64, need: Need, refused: Pte) -> Fault {
        fault::do_user_addr_fault(cx, addr, need, refused)
    }

    fn vmf_anon_prepare(cx: &Current<'_, Self>, vmf: &Vmf<'_, Self>) -> Result<(), Fault> {
        fault::vmf_anon_prepare(cx, vmf)
    }

    fn space_init(space: &Space) {
        space.mm_lock_seq.init(0);
        space.index.init();
        space.mm_count.init(1);
        space.vma_writer_wait.init(0);
    }

    fn write_begin(m: &Machine<Self>, mm: &Mm) {
        lock::mm_lock_seqcount_begin(m, mm);
    }

    fn write_end(m: &Machine<Self>, mm: &Mm) {
        lock::vma_end_write_all(m, mm);
    }

    fn change(m: &Machine<Self>, vma: Ref<'_, Vma>, why: Why) {
        writers::change(m, vma, why);
    }

    fn changed(m: &Machine<Self>, vma: Ref<'_, Vma>, why: Why) {
        writers::changed(m, vma, why);
    }

    fn moved(m: &Machine<Self>, source: Ref<'_, Vma>, _new: Ref<'_, Vma>) {
        writers::moved(m, source);
    }

    fn born(m: &Machine<Self>, vma: Ref<'_, Vma>, _copy_of: Option<Ref<'_, Vma>>) {
        life::vma_lock_init(m, vma);
    }

    fn change_tree(
        m: &Machine<Self>,
        mm: &Mm,
        vma: Ref<'_, Vma>,
        change: InTree,
        how: impl FnOnce(),
    ) {
        match change {
            InTree::Link => life::link(m, mm, vma, how),
            InTree::Erase(died) => life::erase(m, mm, vma, died, how),
        }
    }

    fn erased(m: &Machine<Self>, vma: Ref<'_, Vma>, how: Died) {
        life::erased(m, vma, how);
    }

    fn removed(m: &Machine<Self>, vma: Ref<'_, Vma>, how: Died) {
        life::removed(m, vma, how);
    }

    fn mm_unused(m: &Machine<Self>, mm: Handle<Mm>) {
        life::mmdrop(m, mm);
    }

    fn counts(m: &Machine<Self>, vma: Ref<'_, Vma>) -> [u32; COUNTS] {
        let locked = lock::is_write_locked(m, vma);
        [m.area(vma).vm_refcnt.peek(), locked.into()]
    }
}
