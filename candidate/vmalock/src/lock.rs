//! The lock of an area: its reference count, and the number of the section in which it was locked for
//! writing (mm/mmap_lock.c and its header, Linux 6.15).

use vmadiff_contract::{Event, Misuse, Reason};
use vmadiff_interleave::{NotTaken, RcuReadGuard, Site};
use vmadiff_machine::core::machine::Deferred;
use vmadiff_machine::{Current, Handle, Machine, Mm, Ref, Vma};

use crate::defects::defect;
use crate::info::{LOCK_BELOW_ZERO, WOKE_DEAD_MM};
use crate::reasons as reason;
use crate::sites as site;
use crate::{VmaLock, life};

/// What a writer adds while it waits (VMA_LOCK_OFFSET, later VM_REFCNT_EXCLUDE_READERS_FLAG): no reader
/// gets in any more.
pub const OFFSET: u32 = 1 << 30;

/// The references of a count, without the offset.
pub fn references(count: u32) -> u32 {
    count & (OFFSET - 1)
}

/// Why an area was not locked for reading.
pub enum NotLocked {
    /// It is in no tree: it may be that of another by now. The lookup begins anew.
    Detached,
    /// The fault is to take mmap_sem.
    Because(&'static Reason),
}

/// A section of mmap_sem for writing has begun (`mm_lock_seqcount_begin`).
pub fn mm_lock_seqcount_begin(m: &Machine<VmaLock>, mm: &Mm) {
    let seq = &m.space(mm).mm_lock_seq;
    seq.set(
        site::MM_LOCK_SEQCOUNT_BEGIN__SEQ,
        seq.peek().wrapping_add(1),
    );
}

/// It ends, or goes on for reading: all areas that were locked in it are open (`vma_end_write_all`).
pub fn vma_end_write_all(m: &Machine<VmaLock>, mm: &Mm) {
    let seq = &m.space(mm).mm_lock_seq;
    seq.set(site::VMA_END_WRITE_ALL__SEQ, seq.peek().wrapping_add(1));
}

/// Whether an area was locked in the current section (`__is_vma_write_locked`), asked by its writer.
pub fn is_write_locked(m: &Machine<VmaLock>, vma: Ref<'_, Vma>) -> bool {
    let mm = m.mm(vma.vm_mm().peek());
    m.area(vma).vm_lock_seq.peek() == m.space(mm).mm_lock_seq.peek()
}

/// Locks an area for writing (`vma_start_write`), mmap_sem held for writing: waits until its readers
/// have left, and keeps new ones out until mmap_sem is given back.
///
/// Deviation (exit-unlocked): the last task of an address space holds no mmap_sem when it tears it down,
/// so there is no section to lock in, and nobody to lock out.
///
/// Deviation (no-kill): no signal ends the wait.
pub fn vma_start_write(m: &Machine<VmaLock>, vma: Ref<'_, Vma>) {
    if !vma.alive() || is_write_locked(m, vma) {
        return;
    }
    let number = m.space(m.mm(vma.vm_mm().peek())).mm_lock_seq.peek();
    if number.is_multiple_of(2) {
        return;
    }
    let area = m.area(vma);
    let entered = __vma_enter_locked(m, vma, 1);
    area.vm_lock_seq.set(site::VMA_START_WRITE__SEQ, number);
    if entered.is_some_and(|waited| !(waited && defect!(m, OffsetStays))) {
        __vma_exit_locked(m, vma);
    }
}

/// Closes an area to readers and waits until `left` references remain; whether there were more. None:
/// it is in no tree, so that there can be no readers (`__vma_enter_locked`).
fn __vma_enter_locked(m: &Machine<VmaLock>, vma: Ref<'_, Vma>, left: u32) -> Option<bool> {
    let count = &m.area(vma).vm_refcnt;
    // Only with the defect it is closed already.
    let is_closed = defect!(m, OffsetStays) && count.peek() & OFFSET != 0;
    if !is_closed && !count.add_not_zero(site::VMA_ENTER_LOCKED__ADD, OFFSET) {
        return None;
    }
    let waits = references(count.peek()) != left;
    count.await_value(site::VMA_ENTER_LOCKED__WAIT, OFFSET + left);
    Some(waits)
}

/// Lets readers in again, as far as the number does (`__vma_exit_locked`).
fn __vma_exit_locked(m: &Machine<VmaLock>, vma: Ref<'_, Vma>) {
    let count = &m.area(vma).vm_refcnt;
    if count.sub(site::VMA_EXIT_LOCKED__SUB, OFFSET).is_err() {
        m.misuse(Misuse::Breach(vma.id(), &LOCK_BELOW_ZERO));
    }
}

/// An area is about to enter its tree, with all its fields (`vma_mark_attached`): readers may come.
pub fn vma_mark_attached(m: &Machine<VmaLock>, vma: Ref<'_, Vma>) {
    if !defect!(m, AttachedEarly) {
        m.area(vma).vm_refcnt.set(site::VMA_MARK_ATTACHED__SET, 1);
    }
    let vma = vma.id();
    m.raise(Event::VmaGet { vma, refs: 1 });
}

/// An area leaves its tree (`vma_mark_detached`): from here on nobody gets a reference. Readers that
/// have one, and did not see yet that it is locked, are waited for.
pub fn vma_mark_detached(m: &Machine<VmaLock>, vma: Ref<'_, Vma>) {
    let left = vma_put(m, site::VMA_MARK_DETACHED__SUB, vma);
    if left == Some(0) || left.is_none() || defect!(m, FreedWithReaders) {
        return;
    }
    if __vma_enter_locked(m, vma, 0).is_some() {
        __vma_exit_locked(m, vma);
    }
}

/// Takes a reference away; answers the count afterwards. Whose it was may be another's from here on.
pub fn vma_put(m: &Machine<VmaLock>, site: Site, vma: Ref<'_, Vma>) -> Option<u32> {
    let count = m.area(vma).vm_refcnt.sub(site, 1);
    let id = vma.id();
    if let Ok(count) = count {
        let refs = references(count);
        m.raise(Event::VmaPut { vma: id, refs });
    } else {
        m.misuse(Misuse::Breach(id, &LOCK_BELOW_ZERO));
    }
    count.ok()
}

/// Locks what an RCU walk has found for reading, if no writer has (`vma_start_read`). `rcu` is the
/// section of the walk: it keeps the memory an area's, though maybe not this one's.
pub fn vma_start_read<'a>(
    cx: &'a Current<'_, VmaLock>,
    found: Handle<Vma>,
    rcu: RcuReadGuard<'_, Deferred>,
) -> Result<Ref<'a, Vma>, NotLocked> {
    let area = cx.area(cx.vma(found));
    let own = &cx.space(cx.mm_struct()).mm_lock_seq;
    // Without a reference this may be wrong, and is not relied on. The number is that of the own
    // address space: the area's may be another's.
    let locked_in = area.vm_lock_seq.get(site::VMA_START_READ__VM_LOCK_SEQ);
    let number = if defect!(cx, NumberOfTheArea) {
        let owner = cx.vma(found).vm_mm();
        let owner = cx.mm(owner.get(site::VMA_START_READ__VM_MM_EARLY));
        &cx.space(owner).mm_lock_seq
    } else {
        own
    };
    if locked_in == number.get(site::VMA_START_READ__MM_LOCK_SEQ) {
        return Err(NotLocked::Because(&reason::WRITE_LOCKED));
    }
    let count = &area.vm_refcnt;
    let refs = match count.inc_not_zero_limited(site::VMA_START_READ__INC, OFFSET - 1) {
        Ok(refs) => refs,
        Err(NotTaken::Zero) if defect!(cx, RaisedFromZero) => {
            count.init(1);
            1
        }
        Err(NotTaken::Zero) => return Err(NotLocked::Detached),
        Err(NotTaken::Limit) => return Err(NotLocked::Because(&reason::WRITER_WAITS)),
    };
    // Whoever lives in the slot now stays there.
    let Some(vma) = cx.vmas.at(found.index()) else {
        cx.vma(found).alive();
        return Err(NotLocked::Because(&reason::FOREIGN));
    };
    let id = vma.id();
    cx.raise(Event::VmaGet { vma: id, refs });
    let owner = vma.vm_mm().get(site::VMA_START_READ__VM_MM);
    if owner != cx.mm && !defect!(cx, ForeignUnchecked) {
        // Its address space may be gone as soon as the reference is.
        drop(rcu);
        let pinned = !defect!(cx, WakesAfterPut);
        if pinned {
            life::mmgrab(cx, site::VMA_START_READ__MMGRAB, owner);
        }
        vma_refcount_put(cx, site::VMA_START_READ__PUT_FOREIGN, vma);
        if pinned {
            life::mmdrop(cx, owner);
        }
        return Err(NotLocked::Because(&reason::FOREIGN));
    }
    let locked_in = area
        .vm_lock_seq
        .get(site::VMA_START_READ__VM_LOCK_SEQ_AGAIN);
    if locked_in == own.get(site::VMA_START_READ__MM_LOCK_SEQ_AGAIN) {
        vma_refcount_put(cx, site::VMA_START_READ__PUT, vma);
        return Err(NotLocked::Because(&reason::WRITE_LOCKED_SINCE));
    }
    Ok(vma)
}

/// Gives a reader's lock back (`vma_end_read`).
pub fn vma_end_read(m: &Machine<VmaLock>, vma: Ref<'_, Vma>) {
    vma_refcount_put(m, site::VMA_END_READ__PUT, vma);
}

/// Puts a reader's reference (`vma_refcount_put`), and wakes the writer that waits for it. The area is
/// not touched afterwards: it may be another's.
///
/// Deviation (waits-for-the-count): a writer waits for the count itself. Of the wake-up there is the
/// look at the address space to wake.
pub fn vma_refcount_put(m: &Machine<VmaLock>, site: Site, vma: Ref<'_, Vma>) {
    let owner = vma.vm_mm().peek();
    let left = vma_put(m, site, vma);
    if !left.is_some_and(|left| left == OFFSET || left == OFFSET + 1) {
        return;
    }
    let mm = m.mms.get(owner);
    let waiters = &m.space(mm.object()).vma_writer_wait;
    waiters.get(site::VMA_REFCOUNT_PUT__WAKE);
    if !mm.lives() {
        m.misuse(Misuse::Breach(vma.id(), &WOKE_DEAD_MM));
    }
}
