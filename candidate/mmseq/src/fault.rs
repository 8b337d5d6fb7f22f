//! The fault without mmap_sem, on a copy of its area.
//!
//! It may give up at any step, and does so by a reason of its own; the fault is then served under
//! mmap_sem. The page work is the machine's, which the series does a little otherwise:
//!
//! Deviation (lock-tried-again): it gives up where somebody holds the page-table lock.
//! Deviation (swap-served): of pages that were swapped out it serves those in the swap cache, or none.
//! Deviation (no-notifier-lock): it keeps listeners from being added while it copies a page.

use vmadiff_contract::VmFlags;
use vmadiff_machine::area::anon_vma::AnonVma;
use vmadiff_machine::call::fault::refused_by_code;
use vmadiff_machine::page::pte::{Maps, Pte};
use vmadiff_machine::{
    Copied, Current, Fault, Found, Handle, Need, Ops, PageProt, Policy, Ref, Vma, Vmf, WalkSites,
};

use crate::Mmseq;
use crate::defects::defect;
use crate::mmap_seq::{mmap_seq_read_check, mmap_seq_read_start};
use crate::reasons as reason;
use crate::sites as site;

/// The walk of `__handle_mm_fault`, between `speculative_page_walk_begin` and `_end`.
const WALK: WalkSites = WalkSites {
    irq: site::SPECULATIVE_PAGE_WALK__IRQ,
    pgd: site::SPECULATIVE_PAGE_WALK__PGD,
    pud: site::SPECULATIVE_PAGE_WALK__PUD,
    pmd: site::SPECULATIVE_PAGE_WALK__PMD,
    pte: site::SPECULATIVE_PAGE_WALK__PTE,
};

/// An area as it was copied (`pvma`), which is one if the count has not moved since.
struct Pvma<'a> {
    /// Of which: for reports, and for what goes wrong.
    vma: Ref<'a, Vma>,
    vm_start: u64,
    vm_page_prot: u8,
    vm_flags: VmFlags,
    anon_vma: Handle<AnonVma>,
    vm_pgoff: u64,
    vm_policy: Handle<Policy>,
}

/// Tries to serve a fault without mmap_sem (`do_user_addr_fault`, up to `spf_abort`).
pub fn do_user_addr_fault(cx: &Current<'_, Mmseq>, addr: u64, need: Need, refused: Pte) -> Fault {
    let users = &cx.mm_struct().mm_users;
    if users.get(site::DO_USER_ADDR_FAULT__MM_USERS) == 1 {
        return cx.give_up(&reason::ONE_USER);
    }
    // The processor has said so with the fault.
    if refused_by_code(need, refused) {
        return cx.give_up(&reason::ACCESS_ERROR);
    }
    let mut seq = mmap_seq_read_start(cx, site::DO_USER_ADDR_FAULT__SEQ);
    let mut moment = cx.moment();
    if seq & 1 != 0 {
        return cx.give_up(&reason::ODD);
    }
    let pvma = match find_and_copy(cx, addr) {
        Ok(pvma) => pvma,
        Err(fault) => return fault,
    };
    if defect!(cx, CountedAfterCopy) {
        seq = mmap_seq_read_start(cx, site::DO_USER_ADDR_FAULT__SEQ);
        moment = cx.moment();
    }
    let fault = speculate(cx, &pvma, (seq, moment), addr, need);
    if !defect!(cx, PolicyUnpinned) {
        cx.mpol_put(site::DO_USER_ADDR_FAULT__MPOL_PUT, pvma.vm_policy);
    }
    fault
}

/// Finds the area and copies it in one read section, in which it stays memory, if not the area that
/// was found. What is copied may be of two states, or of an area that is gone.
///
/// Deviation (policy): the series copies the pointer to a policy and holds nothing of it.
fn find_and_copy<'a>(cx: &'a Current<'_, Mmseq>, addr: u64) -> Result<Pvma<'a>, Fault> {
    let rcu = cx.rcu.read_lock(site::DO_USER_ADDR_FAULT__RCU);
    let vma = cx.tree(cx.mm_struct()).find(addr);
    // It lasts to the end of this function.
    let _rcu = (!defect!(cx, CopiedOutsideRcu)).then_some(rcu);
    let Some(vma) =
        vma.filter(|vma| vma.vm_start().get(site::DO_USER_ADDR_FAULT__VM_START) <= addr)
    else {
        return Err(cx.give_up(&reason::UNMAPPED));
    };
    let ops = Ops::from_number(vma.vm_ops().get(site::DO_USER_ADDR_FAULT__VM_OPS));
    if ops != Ops::Anonymous {
        return Err(cx.give_up(&reason::NO_SPECULATE));
    }
    // In the order of the words of the struct.
    let pvma = Pvma {
        vma,
        vm_start: vma.vm_start().get(site::DO_USER_ADDR_FAULT__COPY_START),
        vm_page_prot: vma.vm_page_prot().get(site::DO_USER_ADDR_FAULT__COPY_PROT),
        vm_flags: vma.read_flags(site::DO_USER_ADDR_FAULT__COPY_FLAGS),
        anon_vma: vma.anon_vma().get(site::DO_USER_ADDR_FAULT__COPY_ANON),
        vm_pgoff: vma.vm_pgoff().get(site::DO_USER_ADDR_FAULT__COPY_PGOFF),
        vm_policy: vma.vm_policy().get(site::DO_USER_ADDR_FAULT__COPY_POLICY),
    };
    hold_policy(cx, pvma.vm_policy)?;
    Ok(pvma)
}

/// Takes a reference to the policy that was copied, unless it is too late for that.
fn hold_policy(cx: &Current<'_, Mmseq>, policy: Handle<Policy>) -> Result<(), Fault> {
    if policy.is_null() || defect!(cx, PolicyUnpinned) {
        return Ok(());
    }
    let policy = cx.policies.get(policy);
    let held = policy.refs();
    let held = held.get_unless_zero(site::DO_USER_ADDR_FAULT__MPOL_GET);
    if policy.alive() && held.is_some() {
        Ok(())
    } else {
        Err(cx.give_up(&reason::POLICY_GONE))
    }
}

/// Believes the copy, if it is one, and serves the fault by it (`do_handle_mm_fault`).
fn speculate(
    cx: &Current<'_, Mmseq>,
    pvma: &Pvma<'_>,
    (seq, moment): (u32, u64),
    addr: u64,
    need: Need,
) -> Fault {
    let refused = access_error(pvma.vm_flags, need);
    if refused && defect!(cx, SegvByCopy) {
        return cx.refuse(pvma.vma, moment);
    }
    if !mmap_seq_read_check(cx, site::DO_USER_ADDR_FAULT__SEQ_CHECK, seq) {
        return cx.give_up(&reason::VMA_COPY);
    }
    if refused {
        return cx.give_up(&reason::ACCESS_ERROR);
    }
    // Deviation (torn-copy): a stack's start and offset are written under mmap_sem for reading, of
    // which the count knows nothing; the series goes on, with one of before and one of after.
    if pvma.vm_flags.contains(VmFlags::GROWSDOWN) && !defect!(cx, TornCopy) {
        return cx.give_up(&reason::GROWS);
    }
    let found = Found {
        vma: pvma.vma,
        hold: seq,
        copied: Some(Copied {
            anonymous: true,
            anon_vma: pvma.anon_vma,
        }),
        flags: pvma.vm_flags,
        page_prot: PageProt::from_bits(pvma.vm_page_prot),
        pgoff: linear_page_index(pvma, addr),
        policy: pvma.vm_policy,
        moment,
    };
    let mut vmf = Vmf::new(cx, found, addr, need == Need::Write);
    if let Err(fault) = cx.walk_irqs_off(&mut vmf, &WALK) {
        return fault;
    }
    match check_entry(cx, &mut vmf, need) {
        Ok(()) => cx.handle_pte_fault(&mut vmf),
        Err(fault) => fault,
    }
}

/// What the page work of the series asks of the copy, by the entry that was found.
fn check_entry(cx: &Current<'_, Mmseq>, vmf: &mut Vmf<'_, Mmseq>, need: Need) -> Result<(), Fault> {
    // The processor has said so with the fault.
    let fetch = need == Need::Exec && !vmf.vma_flags.contains(VmFlags::EXEC);
    if fetch && vmf.orig_pte.present() {
        return Err(cx.give_up(&reason::ACCESS_ERROR));
    }
    let missing = vmf.orig_pte.is_none() && vmf.vma_flags.contains(VmFlags::UFFD_MISSING);
    if missing && !defect!(cx, MissingUnasked) {
        return Err(cx.give_up(&reason::USERFAULTFD));
    }
    // The copy may be older than the area's first anon_vma, which comes under mmap_sem for reading: a
    // page that is brought back by then would get none.
    let gets_page = vmf.write || matches!(vmf.orig_pte.maps(), Some(Maps::Swap(_)));
    if gets_page && anon_vma(cx, vmf).is_null() {
        return Err(cx.give_up(&reason::ANON_VMA));
    }
    Ok(())
}

/// The anon_vma of the copy. The defect `anon-vma-of-the-area` asks the area, which may be gone.
fn anon_vma(cx: &Current<'_, Mmseq>, vmf: &mut Vmf<'_, Mmseq>) -> Handle<AnonVma> {
    if defect!(cx, AnonVmaOfTheArea) {
        let anon_vma = vmf.vma.anon_vma().get(site::DO_ANONYMOUS_PAGE__ANON_VMA);
        if let Some(copied) = &mut vmf.copied {
            copied.anon_vma = anon_vma;
        }
    }
    vmf.anon_vma()
}

/// Whether the flags refuse the access (`access_error`), as far as that can be said without the
/// entry. They are vouched for by nothing yet: the series gives up and sends no signal.
fn access_error(flags: VmFlags, need: Need) -> bool {
    match need {
        Need::Write => !flags.contains(VmFlags::WRITE),
        Need::Read | Need::Exec => {
            !flags.intersects(VmFlags::READ | VmFlags::WRITE | VmFlags::EXEC)
        }
    }
}

/// The page's offset in what the copy maps, in pages.
fn linear_page_index(pvma: &Pvma<'_>, addr: u64) -> u64 {
    let pages = addr.wrapping_sub(pvma.vm_start) >> 12;
    pages.wrapping_add(pvma.vm_pgoff)
}
