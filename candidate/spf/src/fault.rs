//! The fault without mmap_sem, on what an area's sequence count vouches for (series patches 22, 23).
//!
//! It may give up at any step, and does so by a reason of its own; the fault is then served under
//! mmap_sem.

use vmadiff_contract::{Mode, VmFlags};
use vmadiff_interleave::Site;
use vmadiff_machine::call::fault::refused_by_code;
use vmadiff_machine::page::pte::Pte;
use vmadiff_machine::{
    Current, Fault, Found, Handle, Need, Ops, PageProt, Policy, Ref, Vma, Vmf, WalkSites,
};

use crate::defects::defect;
use crate::reasons as reason;
use crate::references::References;
use crate::sites as site;
use crate::{Spf, lookup, references};

/// The walk of `handle_speculative_fault`.
const WALK: &WalkSites = &WalkSites {
    irq: site::HANDLE_SPECULATIVE_FAULT__IRQ,
    pgd: site::HANDLE_SPECULATIVE_FAULT__PGD,
    pud: site::HANDLE_SPECULATIVE_FAULT__PUD,
    pmd: site::HANDLE_SPECULATIVE_FAULT__PMD,
    pte: site::HANDLE_SPECULATIVE_FAULT__PTE,
};

/// Tries to serve a fault without mmap_sem (`handle_speculative_fault`).
pub fn handle_speculative_fault<R: References>(
    cx: &Current<'_, Spf<R>>,
    addr: u64,
    need: Need,
    refused: Pte,
) -> Fault {
    let users = &cx.mm_struct().mm_users;
    if users.get(site::HANDLE_SPECULATIVE_FAULT__MM_USERS) == 1 {
        return cx.give_up(&reason::ONE_USER);
    }
    let Some(vma) = lookup::find_vma_rcu(cx, addr) else {
        return cx.give_up(&reason::NO_VMA);
    };
    let fault = match check_vma(cx, vma, addr, (need, refused)) {
        Ok(found) => {
            let mut vmf = Vmf::new(cx, found, addr, need == Need::Write);
            let fault = speculate(cx, &mut vmf);
            put_fault_policy(cx, vmf.policy);
            fault
        }
        Err(fault) => fault,
    };
    lookup::put_vma_rcu(cx, site::HANDLE_SPECULATIVE_FAULT__PUT_VMA, vma);
    fault
}

/// Samples the sequence count and checks all that it has to vouch for.
///
/// Deviation (no-file-asked): v12 asks the area's file, if it has one, how to allocate.
fn check_vma<'a, R: References>(
    cx: &Current<'_, Spf<R>>,
    vma: Ref<'a, Vma>,
    addr: u64,
    (need, refused): (Need, Pte),
) -> Result<Found<'a, Spf<R>>, Fault> {
    let outside = || {
        addr < vma.vm_start().get(site::HANDLE_SPECULATIVE_FAULT__VM_START)
            || vma.vm_end().get(site::HANDLE_SPECULATIVE_FAULT__VM_END) <= addr
    };
    let outside_before = defect!(cx, BoundsBeforeCount).then(outside);
    let faulted = || {
        let anon = vma.anon_vma();
        !anon.get(site::HANDLE_SPECULATIVE_FAULT__ANON_VMA).is_null()
    };
    let faulted_before = defect!(cx, AnonBeforeCount).then(faulted);
    let sequence = &cx.area(vma).vm_sequence;
    let sequence = sequence.read(site::HANDLE_SPECULATIVE_FAULT__SEQUENCE);
    let moment = cx.moment();
    if !vma.alive() || sequence & 1 != 0 {
        return Err(cx.give_up(&reason::SEQUENCE_ODD));
    }
    let ops = Ops::from_number(vma.vm_ops().get(site::HANDLE_SPECULATIVE_FAULT__VM_OPS));
    if ops.fault() {
        return Err(cx.give_up(&reason::VM_OPS));
    }
    if !faulted_before.unwrap_or_else(faulted) {
        return Err(cx.give_up(&reason::NO_ANON_VMA));
    }
    let flags = vma.read_flags(site::HANDLE_SPECULATIVE_FAULT__VM_FLAGS);
    let page_prot = vma
        .vm_page_prot()
        .get(site::HANDLE_SPECULATIVE_FAULT__PAGE_PROT);
    if flags.contains(VmFlags::UFFD_MISSING) && !defect!(cx, UserfaultUnchecked) {
        return Err(cx.give_up(&reason::USERFAULT));
    }
    if flags.contains(VmFlags::GROWSDOWN) {
        return Err(cx.give_up(&reason::GROWS));
    }
    if outside_before.unwrap_or_else(outside) {
        return Err(cx.give_up(&reason::OUTSIDE));
    }
    check_access(cx, vma, sequence, flags, (need, refused))?;
    let pgoff = vma.linear_page_index(
        addr,
        site::HANDLE_SPECULATIVE_FAULT__INDEX_START,
        site::HANDLE_SPECULATIVE_FAULT__INDEX_PGOFF,
    );
    let policy = get_fault_policy(cx, vma)?;
    Ok(Found {
        vma,
        hold: sequence,
        copied: None,
        flags,
        page_prot: PageProt::from_bits(page_prot),
        pgoff,
        policy,
        moment,
    })
}

/// Deviation (A26): v12 does not ask whether a page may be executed, nor what the processor's error code
/// says of a fetch.
fn check_access<R: References>(
    cx: &Current<'_, Spf<R>>,
    vma: Ref<'_, Vma>,
    sequence: u32,
    flags: VmFlags,
    (need, by): (Need, Pte),
) -> Result<(), Fault> {
    let rwx = VmFlags::READ | VmFlags::WRITE | VmFlags::EXEC;
    let refused = match need {
        Need::Write => !flags.contains(VmFlags::WRITE),
        Need::Read | Need::Exec => !flags.intersects(rwx),
    };
    if refused {
        if let Some(fault) = refuse(cx, vma, sequence) {
            return Err(fault);
        }
        if defect!(cx, PutTooMany) {
            references::put_vma(cx, site::HANDLE_SPECULATIVE_FAULT__PUT_VMA_AGAIN, vma);
        }
        return Err(cx.give_up(&reason::ACCESS));
    }
    let fetch = need == Need::Exec && !flags.contains(VmFlags::EXEC);
    if (fetch || refused_by_code(need, by)) && !defect!(cx, ExecUnchecked) {
        return Err(cx.give_up(&reason::NOT_EXECUTABLE));
    }
    Ok(())
}

/// What a fault answers that the area's flags refuse; none: it gives up.
///
/// Deviation (A25): v12 sends SIGSEGV here, by flags that nothing vouches for any more.
/// Deviation (A25-MAPERR): its hook takes every refusal for an address without an area.
fn refuse<R: References>(
    cx: &Current<'_, Spf<R>>,
    vma: Ref<'_, Vma>,
    sequence: u32,
) -> Option<Fault> {
    let maperr = defect!(cx, SegvAsMapErr);
    let vouched = || {
        let count = &cx.area(vma).vm_sequence;
        !count.changed(site::HANDLE_SPECULATIVE_FAULT__RETRY, sequence)
    };
    if defect!(cx, WrongSegv) || (maperr && vouched()) {
        let segv = cx.refuse(vma, cx.moment());
        return Some(if maperr { Fault::SegvMapErr } else { segv });
    }
    None
}

/// The policy by which a page is to be allocated, held until the fault has ended
/// (`__get_vma_policy`); none: the task's own, which nobody else changes.
///
/// Deviation (A22): v12 takes no reference.
fn get_fault_policy<R: References>(
    cx: &Current<'_, Spf<R>>,
    vma: Ref<'_, Vma>,
) -> Result<Handle<Policy>, Fault> {
    let _rcu = cx.rcu.read_lock(site::GET_VMA_POLICY__RCU);
    let policy = vma.vm_policy().get(site::GET_VMA_POLICY__VM_POLICY);
    let own = cx.task.mempolicy.peek();
    let Some(effective) = policy.some().or(own.some()) else {
        return Ok(Handle::NULL);
    };
    let held = cx.policies.get(effective);
    let mode = Mode::from_number(held.mode().get(site::GET_VMA_POLICY__MODE));
    if mode == Mode::Interleave {
        return Err(cx.give_up(&reason::INTERLEAVE));
    }
    if policy.is_null() || defect!(cx, PolicyWithoutReference) {
        return Ok(policy);
    }
    match held.refs().get_unless_zero(site::GET_VMA_POLICY__REFS) {
        Some(_) => Ok(policy),
        // It is being replaced.
        None => Err(cx.give_up(&reason::UNSERVED)),
    }
}

fn put_fault_policy<R: References>(cx: &Current<'_, Spf<R>>, policy: Handle<Policy>) {
    if !defect!(cx, PolicyWithoutReference) {
        cx.mpol_put(site::HANDLE_SPECULATIVE_FAULT__MPOL_PUT, policy);
    }
}

/// Walks the page tables, checks that the area is still as it was, and serves the fault.
fn speculate<'a, R: References>(cx: &'a Current<'_, Spf<R>>, vmf: &mut Vmf<'a, Spf<R>>) -> Fault {
    if let Err(fault) = cx.walk_irqs_off(vmf, WALK) {
        return fault;
    }
    // The bounds that were checked, and what was read since, belong to one state of the area.
    if sequence_changed(cx, vmf, site::HANDLE_SPECULATIVE_FAULT__RETRY) {
        return cx.give_up(&reason::CHANGED_IN_WALK);
    }
    cx.handle_pte_fault(vmf)
}

fn sequence_changed<R: References>(
    cx: &Current<'_, Spf<R>>,
    vmf: &Vmf<'_, Spf<R>>,
    site: Site,
) -> bool {
    let count = &cx.area(vmf.vma).vm_sequence;
    let changed = count.changed(site, vmf.hold.unwrap_or_default());
    !vmf.vma.alive() || changed
}

/// Whether the area left its tree or was written to since the fault began (`vma_has_changed`).
pub fn vma_has_changed<R: References>(cx: &Current<'_, Spf<R>>, vmf: &Vmf<'_, Spf<R>>) -> bool {
    let gone = vmf.vma.rb_empty(site::VMA_HAS_CHANGED__RB_EMPTY_NODE);
    sequence_changed(cx, vmf, site::VMA_HAS_CHANGED__SEQUENCE) || gone
}
