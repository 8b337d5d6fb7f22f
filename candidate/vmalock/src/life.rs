//! How areas come into their tree and leave it, and who frees them; and who keeps an address space.

use vmadiff_interleave::Site;
use vmadiff_machine::{Died, Handle, Machine, Mm, Ref, Vma};

use crate::defects::defect;
use crate::lock::{vma_mark_attached, vma_mark_detached, vma_start_write};
use crate::sites as site;
use crate::{VmaLock, writers};

/// No section has this number.
const NEVER: u32 = u32::MAX;

/// What sets up a fresh area (`vma_lock_init`): in no tree, never locked. Somebody may be looking at the
/// slot.
pub fn vma_lock_init(m: &Machine<VmaLock>, vma: Ref<'_, Vma>) {
    let area = m.area(vma);
    area.vm_refcnt.init(defect!(m, AttachedEarly).into());
    area.vm_lock_seq.init(NEVER);
}

/// An area enters its tree (`vma_iter_store_new`), locked by the writer that puts it there.
///
/// Deviation (locked-at-link): Linux locks a new area before it has the lock of a file's list, or of an
/// anon_vma; here when it enters the tree, where one that comes from a split has both.
pub fn link(m: &Machine<VmaLock>, mm: &Mm, vma: Ref<'_, Vma>, how: impl FnOnce()) {
    if !defect!(m, NewUnlocked) {
        vma_start_write(m, vma);
    }
    vma_mark_attached(m, vma);
    how();
    let index = &m.space(mm).index;
    let (start, end) = (vma.start(), vma.end());
    index.store(site::VMA_ITER_STORE__ROOT, start, end, vma.handle());
}

/// An area leaves its tree: munmap has gathered it (`vms_gather_munmap_vmas`), or a neighbour takes its
/// range (`commit_merge`).
///
/// Deviation (erased-one-by-one): Linux locks and detaches all areas of an unmapping and then clears the
/// tree, or, for a mapping that takes their place, stores that over them.
pub fn erase(m: &Machine<VmaLock>, mm: &Mm, vma: Ref<'_, Vma>, died: Died, how: impl FnOnce()) {
    vma_start_write(m, vma);
    if died == Died::Merged {
        how();
        store_survivor(m, vma);
        return;
    }
    if !defect!(m, DetachedLate) {
        vma_mark_detached(m, vma);
    }
    how();
    m.space(mm)
        .index
        .clear(site::VMA_ITER_CLEAR__ROOT, vma.handle());
}

/// Stores the area that has the range of one that was merged away: the one before or after.
fn store_survivor(m: &Machine<VmaLock>, gone: Ref<'_, Vma>) {
    let below = m.prev(gone).filter(|prev| gone.end() <= prev.end());
    if let Some(survivor) = below.or_else(|| m.next(gone)) {
        writers::store_bounds(m, survivor);
    }
}

/// At exit nothing was erased: the tree goes as a whole (`exit_mmap`).
pub fn erased(m: &Machine<VmaLock>, vma: Ref<'_, Vma>, how: Died) {
    if how == Died::Exit {
        vma_mark_detached(m, vma);
    }
}

/// The area is done with (`remove_vma`, `vma_complete`), and is freed at once.
pub fn removed(m: &Machine<VmaLock>, vma: Ref<'_, Vma>, how: Died) {
    let late = how == Died::Unmapped && defect!(m, DetachedLate);
    if late || how == Died::Merged {
        vma_mark_detached(m, vma);
    }
    m.free_vma(vma);
}

/// Names an address space, so that its memory stays (`mmgrab`), as one may whose reference keeps an area
/// of it.
pub fn mmgrab(m: &Machine<VmaLock>, site: Site, mm: Handle<Mm>) {
    let count = &m.space(m.mm(mm)).mm_count;
    if count.get(site).is_err() {
        m.mms.get(mm).alive();
    }
}

/// Names it no longer (`mmdrop`); the last frees it.
pub fn mmdrop(m: &Machine<VmaLock>, mm: Handle<Mm>) {
    let count = &m.space(m.mm(mm)).mm_count;
    if count.put(site::MMDROP__COUNT) == Ok(0) {
        m.free_mm(mm);
    }
}
