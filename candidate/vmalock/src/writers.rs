//! Which areas a writer locks, and before what (Linux 6.15, on the places of 5.1).
//!
//! | writer | locks, before anything of it changes |
//! |---|---|
//! | split, merge, growing and shrinking in place | the area, and those that give way |
//! | a new area | itself, before it is in the tree (`life::link`) |
//! | munmap, what a mapping replaces | each area, before it is detached (`life::erase`) |
//! | mmap, mprotect, madvise, mlock, munlock, userfaultfd | the area whose flags or entries change |
//! | mbind | each area of its range, before the first is changed |
//! | mremap | the area that it moves from, the one that it moves to |
//! | fork | each area of the parent when its turn comes |
//! | collapse | the area |
//! | a stack that grows | itself |
//! | MADV_DONTNEED and MADV_FREE, truncation, reclaim, NUMA scans | none: the lock of the page table will do |

use vmadiff_machine::{Machine, Ref, Vma, Why};

use crate::VmaLock;
use crate::defects::defect;
use crate::lock::{mm_lock_seqcount_begin, vma_end_write_all, vma_start_write};
use crate::sites as site;

/// An area is about to be changed.
pub fn change(m: &Machine<VmaLock>, vma: Ref<'_, Vma>, why: Why) {
    if why == Why::Dup && defect!(m, ForkOpensEarly) {
        let mm = m.mm(vma.vm_mm().peek());
        end_section(m, mm);
    }
    if locks(m, vma, why) {
        vma_start_write(m, vma);
    }
}

/// Whether whoever changes an area for this reason locks it here.
fn locks(m: &Machine<VmaLock>, vma: Ref<'_, Vma>, why: Why) -> bool {
    match why {
        Why::Adjust | Why::GivesWay => !defect!(m, AnonBeforeLock),
        Why::AdjustBounds
        | Why::MoveTo
        | Why::Map
        | Why::Advise
        | Why::Lock
        | Why::Unlock
        | Why::Userfault
        | Why::Collapse => true,
        Why::Protect => !defect!(m, ProtectLate),
        Why::Move | Why::MoveFrom => !defect!(m, SourceUnlocked),
        Why::Bind => !defect!(m, PolicyUnlocked) && !is_skipped(m, vma),
        Why::Dup => !defect!(m, ParentUnlocked),
        Why::Grow => !defect!(m, StackUnlocked),
        // Told of each neighbour, whether it gives way or not; of those that fork and mbind have locked
        // before; and of what is undone or goes on.
        Why::AdjustNext
        | Why::AdjustNewNext
        | Why::AdjustFailed
        | Why::AdjustKept
        | Why::Fork
        | Why::Policy => false,
        // The area has left its tree, or mmap_sem is not held for writing.
        Why::Unlink | Why::Zap | Why::Free | Why::Numa => false,
    }
}

/// The defect: the walk of mbind ends at the first area.
fn is_skipped(m: &Machine<VmaLock>, vma: Ref<'_, Vma>) -> bool {
    defect!(m, WalkEndsEarly)
        && m.prev(vma)
            .is_some_and(|prev| crate::lock::is_write_locked(m, prev))
}

/// The change is made. What faults find by is brought up to date: the area stays locked.
pub fn changed(m: &Machine<VmaLock>, vma: Ref<'_, Vma>, why: Why) {
    match why {
        Why::Adjust | Why::AdjustKept | Why::AdjustNext | Why::Grow => store_bounds(m, vma),
        Why::Protect if defect!(m, ProtectLate) => vma_start_write(m, vma),
        _ => {}
    }
}

/// Stores an area at the bounds that it has now, if it has others in the index (`vma_iter_store_overwrite`).
pub fn store_bounds(m: &Machine<VmaLock>, vma: Ref<'_, Vma>) {
    if vma.alive() {
        let index = &m.space(m.mm(vma.vm_mm().peek())).index;
        let (start, end) = (vma.start(), vma.end());
        index.store(site::VMA_ITER_STORE__ROOT, start, end, vma.handle());
    }
}

/// mremap has moved the entries; both areas stay locked.
pub fn moved(m: &Machine<VmaLock>, source: Ref<'_, Vma>) {
    if defect!(m, MarksFallInside) {
        end_section(m, m.mm(source.vm_mm().peek()));
    }
}

/// The defects: the areas that were locked are open, in the midst of a section of mmap_sem.
fn end_section(m: &Machine<VmaLock>, mm: &vmadiff_machine::Mm) {
    vma_end_write_all(m, mm);
    mm_lock_seqcount_begin(m, mm);
}
