//! The speculative faults of M. Lespinasse (April 2021; second version for private memory alone,
//! January 2022), repaired.
//!
//! An address space has one sequence count, odd while mmap_sem is held for writing (`mmap_seq`). A
//! fault samples it, finds its area under RCU and copies it, lets the area go, and has the machine do
//! the page work on the copy; if the count has moved when the page-table lock is held, it gives up
//! (`fault`). Writers do nothing but move the count. An area's memory is given back a grace period
//! after the area was removed, and reads as garbage until then (`vma`).
//!
//! Where the series is wrong this deviates: the list is [`deviations`], each entry that can be undone
//! a defect that brings the series' way back, and [`AS_POSTED`] is the design with all of them.

#![forbid(unsafe_code)]

mod defects;
pub mod deviations;
mod fault;
mod info;
mod mmap_seq;
pub mod reasons;
pub mod sites;
mod vma;

pub use defects::Defect;
pub use info::{AS_POSTED, DESIGN};

use vmadiff_contract::{COUNTS, DesignInfo, Reason};
use vmadiff_interleave::SeqCount;
use vmadiff_machine::page::pte::Pte;
use vmadiff_machine::{
    Current, Design, Died, Fault, Handle, Machine, Mm, Need, Policy, Ref, Vma, Vmf,
};

use crate::defects::defect;
use crate::reasons as reason;
use crate::sites as site;

/// One sequence count an address space.
pub struct Mmseq;

/// Beside an address space.
#[derive(Default)]
pub struct Space {
    /// Odd while mmap_sem is held for writing (`mmap_seq`).
    mmap_seq: SeqCount,
}

impl Design for Mmseq {
    /// Where a form of it runs, the machine is told which.
    const INFO: &'static DesignInfo = &DESIGN;

    type Area = ();
    type Space = Space;
    /// The count that the fault began with (`vmf->seq`).
    type Hold<'a> = u32;

    fn fault(cx: &Current<'_, Self>, addr: u64, need: Need, refused: Pte) -> Fault {
        fault::do_user_addr_fault(cx, addr, need, refused)
    }

    /// The count is looked at before the tables are (for what they lead to may be gone) and under the
    /// page-table lock, which whoever writes later has to take in its turn.
    fn still(
        cx: &Current<'_, Self>,
        vmf: &Vmf<'_, Self>,
        locked: bool,
    ) -> Result<(), &'static Reason> {
        let seq = vmf.hold.unwrap_or_default();
        let (site, why) = match locked {
            false if defect!(cx, TablesUnasked) => return Ok(()),
            true if defect!(cx, LockUnasked) => return Ok(()),
            false => (site::PTE_MAP_LOCK__SEQ1, &reason::SEQ1),
            true => (site::PTE_MAP_LOCK__SEQ2, &reason::SEQ2),
        };
        if mmap_seq::mmap_seq_read_check(cx, site, seq) {
            Ok(())
        } else {
            Err(why)
        }
    }

    fn space_init(space: &Space) {
        space.mmap_seq.init(0);
    }

    fn write_begin(m: &Machine<Self>, mm: &Mm) {
        mmap_seq::mmap_seq_write_start(m, mm);
    }

    fn write_end(m: &Machine<Self>, mm: &Mm) {
        mmap_seq::mmap_seq_write_end(m, mm);
    }

    fn removed(m: &Machine<Self>, vma: Ref<'_, Vma>, how: Died) {
        vma::removed(m, vma, how);
    }

    fn grace(m: &Machine<Self>, vma: Ref<'_, Vma>) {
        m.vm_area_free(vma);
    }

    /// Deviation (policy): the series frees a policy with its last put, while a fault allocates by it.
    fn policy_unused(m: &Machine<Self>, policy: Handle<Policy>) {
        if defect!(m, PolicyUnpinned) || defect!(m, PolicyFreedAtOnce) {
            m.free_policy(policy);
        } else {
            m.call_rcu_policy(site::MPOL_PUT__CALL_RCU, policy);
        }
    }

    fn counts(m: &Machine<Self>, vma: Ref<'_, Vma>) -> [u32; COUNTS] {
        let mut counts = [0; COUNTS];
        counts[0] = m.space(m.mm(vma.vm_mm().peek())).mmap_seq.peek();
        counts
    }
}
