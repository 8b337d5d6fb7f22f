//! Write brackets around what speculation reads of an area (series patches 09 to 12 and 18).

use vmadiff_contract::Misuse;
use vmadiff_interleave::Site;
use vmadiff_machine::{Machine, Ref, Vma, Why};

use crate::Spf;
use crate::defects::defect;
use crate::info::SEQUENCE_NESTED;
use crate::references::References;
use crate::sites as site;

/// Where a bracket around such a change begins, if v12, repaired, has one.
pub fn begins<R: References>(m: &Machine<Spf<R>>, why: Why) -> Option<Site> {
    let is_there = there(m, why);
    let site = match why {
        Why::Adjust => site::VMA_ADJUST__BEGIN,
        Why::AdjustNext => site::VMA_ADJUST__BEGIN_NEXT,
        Why::AdjustNewNext => site::VMA_ADJUST__BEGIN_NEW_NEXT,
        Why::MoveTo => site::COPY_VMA__BEGIN,
        Why::MoveFrom => site::MOVE_VMA__BEGIN,
        Why::Map => site::MMAP_REGION__BEGIN,
        Why::Protect => site::MPROTECT_FIXUP__BEGIN,
        Why::Advise => site::MADVISE_BEHAVIOR__BEGIN,
        Why::Lock => site::MLOCK_FIXUP__BEGIN,
        Why::Unlock => site::MUNLOCK_VMA_PAGES__BEGIN,
        Why::Policy => site::VMA_REPLACE_POLICY__BEGIN,
        Why::Userfault => site::USERFAULTFD__BEGIN,
        Why::Fork => site::DUP_MMAP__BEGIN,
        Why::Collapse => site::COLLAPSE__BEGIN,
        Why::Unlink => site::FREE_PGTABLES__BEGIN,
        Why::Zap => site::UNMAP_PAGE_RANGE__BEGIN,
        Why::Free => site::MADVISE_FREE__BEGIN,
        Why::Numa => site::CHANGE_PROT_NUMA__BEGIN,
        Why::Grow => site::EXPAND_DOWNWARDS__BEGIN,
        Why::AdjustFailed | Why::AdjustKept => return None,
        // v12 brackets each where it is changed.
        Why::AdjustBounds | Why::GivesWay | Why::Move | Why::Bind | Why::Dup => return None,
    };
    is_there.then_some(site)
}

/// Where it ends.
pub fn ends<R: References>(m: &Machine<Spf<R>>, why: Why) -> Option<Site> {
    let is_there = there(m, why);
    let site = match why {
        Why::Adjust => site::VMA_ADJUST__END,
        Why::AdjustNext => site::VMA_ADJUST__END_NEXT,
        Why::AdjustFailed => site::VMA_ADJUST__END_FAILED,
        // The survivor stays closed, as `keep_locked` has it (patch 11).
        Why::AdjustKept => return defect!(m, DestinationOpen).then_some(site::VMA_ADJUST__END),
        Why::MoveTo => site::MOVE_VMA__END_NEW,
        Why::Map => site::MMAP_REGION__END,
        Why::Protect => site::MPROTECT_FIXUP__END,
        Why::Advise => site::MADVISE_BEHAVIOR__END,
        Why::Lock => site::MLOCK_FIXUP__END,
        Why::Unlock => site::MUNLOCK_VMA_PAGES__END,
        Why::Policy => site::VMA_REPLACE_POLICY__END,
        Why::Userfault => site::USERFAULTFD__END,
        Why::Fork => site::DUP_MMAP__END,
        Why::Collapse => site::COLLAPSE__END,
        Why::Unlink => site::FREE_PGTABLES__END,
        Why::Zap => site::UNMAP_PAGE_RANGE__END,
        Why::Free => site::MADVISE_FREE__END,
        Why::Numa => site::CHANGE_PROT_NUMA__END,
        Why::Grow => site::EXPAND_DOWNWARDS__END,
        // By `moved`.
        Why::AdjustNewNext | Why::MoveFrom => return None,
        Why::AdjustBounds | Why::GivesWay | Why::Move | Why::Bind | Why::Dup => return None,
    };
    is_there.then_some(site)
}

/// Whether such a change is bracketed.
fn there<R: References>(m: &Machine<Spf<R>>, why: Why) -> bool {
    match why {
        Why::Fork => !defect!(m, ForkWithoutBracket),
        Why::MoveTo => !defect!(m, DestinationOpen),
        Why::AdjustFailed => !defect!(m, AdjustLeavesOpen),
        // The area has left its tree: nobody else changes it.
        Why::Unlink => true,
        // Deviation (A11).
        _ => why.written() || defect!(m, BracketUnderRead),
    }
}

/// Opens a write bracket (`vm_write_begin`). Brackets do not nest.
pub fn vm_write_begin<R: References>(m: &Machine<Spf<R>>, site: Site, vma: Ref<'_, Vma>) {
    if is_held(m, vma) {
        return;
    }
    let count = &m.area(vma).vm_sequence;
    if vma.alive() && count.write_begin(site).is_err() {
        m.misuse(Misuse::Breach(vma.id(), &SEQUENCE_NESTED));
    }
    vma.alive();
}

/// Closes a write bracket (`vm_write_end`).
pub fn vm_write_end<R: References>(m: &Machine<Spf<R>>, site: Site, vma: Ref<'_, Vma>) {
    if is_held(m, vma) {
        return;
    }
    let count = &m.area(vma).vm_sequence;
    if vma.alive() && count.write_end(site).is_err() {
        m.misuse(Misuse::Breach(vma.id(), &SEQUENCE_NESTED));
    }
    vma.alive();
}

/// Closes the bracket of an area that is held, if it is.
pub fn vm_write_release<R: References>(m: &Machine<Spf<R>>, site: Site, vma: Ref<'_, Vma>) {
    if is_held(m, vma) {
        hold(m, vma, false);
        vm_write_end(m, site, vma);
    }
}

/// The entries have left `source` (`move_vma`).
///
/// Deviation (A28): v12 opens the source here; it is held until it is unmapped.
pub fn moved<R: References>(m: &Machine<Spf<R>>, source: Ref<'_, Vma>, new: Ref<'_, Vma>) {
    let closed = source != new || !defect!(m, DestinationOpen);
    if closed && !defect!(m, SourceOpenEarly) {
        hold(m, source, true);
    } else if source != new {
        vm_write_end(m, site::MOVE_VMA__END, source);
    }
}

/// Whether an area's bracket is held open.
pub fn is_held<R: References>(m: &Machine<Spf<R>>, vma: Ref<'_, Vma>) -> bool {
    vma.alive() && m.area(vma).held.peek()
}

fn hold<R: References>(m: &Machine<Spf<R>>, vma: Ref<'_, Vma>, held: bool) {
    if vma.alive() {
        m.area(vma).held.init(held);
    }
}
