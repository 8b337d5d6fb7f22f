//! The fault without mmap_sem, its area locked for reading (arch/x86/mm/fault.c and mm/memory.c, Linux
//! 6.15).

use vmadiff_contract::{Misuse, VmFlags};
use vmadiff_interleave::ReadGuard;
use vmadiff_machine::call::fault::refused_by_code;
use vmadiff_machine::page::pte::Pte;
use vmadiff_machine::{Current, Fault, Found, Need, Ops, PageProt, Ref, Vma, Vmf};

use crate::defects::defect;
use crate::index::Walk;
use crate::info::STALE_WALK;
use crate::lock::{NotLocked, vma_end_read, vma_start_read};
use crate::reasons as reason;
use crate::sites as site;
use crate::{VmaLock, lock};

/// Serves a fault under its area's lock, if it gets it (the first half of `do_user_addr_fault`).
///
/// Deviation (waits-for-pages): where Linux gives the area's lock up before it waits for the lock of a
/// page, and serves the fault under mmap_sem then, the area stays locked here.
pub fn do_user_addr_fault(cx: &Current<'_, VmaLock>, addr: u64, need: Need, refused: Pte) -> Fault {
    let vma = match lock_vma_under_rcu(cx, addr) {
        Ok(vma) => vma,
        Err(fault) => return fault,
    };
    // Nothing of the area changes from here on: its lock is held.
    let moment = cx.moment();
    let fault = match check_access(cx, vma, (need, refused), moment) {
        Ok(()) => handle_mm_fault(cx, vma, addr, need, moment),
        Err(fault) => fault,
    };
    vma_end_read(cx, vma);
    if fault == Fault::Retry && defect!(cx, RetryCounted) {
        cx.count_fault(false);
    }
    fault
}

/// Finds the area of an address and locks it for reading (`lock_vma_under_rcu`).
///
/// # Errors
/// The fault gave up.
fn lock_vma_under_rcu<'a>(cx: &'a Current<'_, VmaLock>, addr: u64) -> Result<Ref<'a, Vma>, Fault> {
    let index = &cx.space(cx.mm_struct()).index;
    let mut walk = Walk::default();
    loop {
        let rcu = cx.rcu.read_lock(site::LOCK_VMA_UNDER_RCU__RCU);
        let Some(found) = index.walk(site::MAS_WALK__ROOT, &mut walk, addr) else {
            return Err(cx.give_up(&reason::NO_VMA));
        };
        let range = || {
            let vma = cx.vma(found);
            vma.vm_start().get(site::LOCK_VMA_UNDER_RCU__VM_START) <= addr
                && addr < vma.vm_end().get(site::LOCK_VMA_UNDER_RCU__VM_END)
        };
        let inside_before = defect!(cx, RangeBeforeLock).then(range);
        match vma_start_read(cx, found, rcu) {
            Ok(vma) => {
                let inside = || vma.start() <= addr && addr < vma.end();
                if inside_before.unwrap_or_else(inside) {
                    return Ok(vma);
                }
                vma_end_read(cx, vma);
                return Err(cx.give_up(&reason::OUTSIDE));
            }
            Err(NotLocked::Because(why)) => return Err(cx.give_up(why)),
            Err(NotLocked::Detached) => {
                if defect!(cx, PutOfNone) {
                    lock::vma_put(cx, site::VMA_END_READ__PUT, cx.vma(found));
                    return Err(cx.give_up(&reason::FOREIGN));
                }
            }
        }
        // The read section was left, and what the walk stood on may be gone: from the root again.
        if !defect!(cx, WalkGoesOn) {
            walk = Walk::default();
        } else if index.has_changed(&walk) {
            cx.misuse(Misuse::Breach(cx.vma(found).id(), &STALE_WALK));
            return Err(cx.give_up(&reason::FOREIGN));
        }
    }
}

/// Whether the area's flags allow the access (`access_error`); nothing of it changes, so a refusal is
/// one.
///
/// Deviation (fetch-falls-back): 6.15 refuses a fetch from an area that is not executable here, too, if
/// the page is there; here such a fault goes on under mmap_sem, which knows the entry.
///
/// Deviation (map-pages-asked-first): 6.15 asks whether the operations have `map_pages` when it knows
/// that the page is missing (`vmf_can_call_fault`); here before.
fn check_access(
    cx: &Current<'_, VmaLock>,
    vma: Ref<'_, Vma>,
    (need, by): (Need, Pte),
    moment: u64,
) -> Result<(), Fault> {
    let flags = vma.flags();
    let rwx = VmFlags::READ | VmFlags::WRITE | VmFlags::EXEC;
    let refused = match need {
        Need::Write => !flags.contains(VmFlags::WRITE),
        Need::Read | Need::Exec => !flags.intersects(rwx),
    };
    if refused {
        return Err(cx.refuse(vma, moment));
    }
    let fetch = need == Need::Exec && !flags.contains(VmFlags::EXEC);
    if fetch || refused_by_code(need, by) {
        return Err(cx.give_up(&reason::NOT_EXECUTABLE));
    }
    if vma.ops() == Ops::FaultClose {
        return Err(cx.give_up(&reason::NO_MAP_PAGES));
    }
    Ok(())
}

/// Has the machine serve the fault (`handle_mm_fault` with FAULT_FLAG_VMA_LOCK).
fn handle_mm_fault(
    cx: &Current<'_, VmaLock>,
    vma: Ref<'_, Vma>,
    addr: u64,
    need: Need,
    moment: u64,
) -> Fault {
    let hold = match try_mmap_sem(cx, vma, need) {
        Ok(read) => read,
        Err(fault) => return fault,
    };
    let found = Found {
        vma,
        hold,
        copied: None,
        flags: vma.flags(),
        page_prot: PageProt::from_bits(vma.vm_page_prot().peek()),
        pgoff: vma.pgoff_of(addr),
        // mbind locks the area before it puts the policy.
        policy: vma.vm_policy().peek(),
        moment,
    };
    let mut vmf = Vmf::new(cx, found, addr, need == Need::Write);
    cx.handle_held_fault(&mut vmf)
}

/// Tries mmap_sem for a store to an area that lacks an anon_vma: to find one the neighbours are read, which
/// the area's lock does not cover. It is never waited for, since its writer may be waiting for the area.
///
/// Deviation (mmap-sem-tried-first): Linux tries it when it comes to need an anon_vma, and may give up with
/// half of its way behind it; here before it has looked at any entry, and holds it until it is served.
///
/// # Errors
/// The fault gave up.
fn try_mmap_sem<'a>(
    cx: &'a Current<'_, VmaLock>,
    vma: Ref<'_, Vma>,
    need: Need,
) -> Result<Option<ReadGuard<'a>>, Fault> {
    let private = !vma.flags().contains(VmFlags::SHARED);
    let anon = vma.anon_vma();
    if need != Need::Write || !private || !anon.get(site::VMF_ANON_PREPARE__ANON_VMA).is_null() {
        return Ok(None);
    }
    let read = cx
        .mm_struct()
        .mmap_sem
        .try_read(site::VMF_ANON_PREPARE__TRYLOCK);
    read.map(Some)
        .ok_or_else(|| cx.give_up(&reason::NO_ANON_VMA))
}

/// Sees that the fault's area has an anon_vma (`__vmf_anon_prepare`).
///
/// # Errors
/// What becomes of the fault.
pub fn vmf_anon_prepare(cx: &Current<'_, VmaLock>, vmf: &Vmf<'_, VmaLock>) -> Result<(), Fault> {
    let anon = vmf.vma.anon_vma();
    if !anon.get(site::VMF_ANON_PREPARE__ANON_VMA_AGAIN).is_null() {
        return Ok(());
    }
    if vmf.hold.as_ref().is_none_or(Option::is_none) {
        return Err(cx.give_up(&reason::NO_ANON_VMA));
    }
    let prepared = cx.anon_vma_prepare(vmf.vma);
    prepared.map_err(|_| Fault::Oom)
}
