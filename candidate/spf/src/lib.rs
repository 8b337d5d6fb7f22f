//! The speculative page fault series in its twelfth version (L. Dufour, April 2019), repaired.
//!
//! A fault looks its area up under RCU and takes a reference (`lookup`), samples the area's
//! sequence count, copies what the count vouches for, and lets the machine do the page work, which
//! asks ([`Spf::still`]) before it writes an entry (`fault`). Writers bracket what they change with
//! the sequence count (`brackets`). A linked area has two references: that of its allocation,
//! dropped by whoever removes it, and that of its tree, dropped one grace period after it was erased
//! (`references`; patches 20 and 21).
//!
//! Where v12 is wrong this deviates: the list is [`deviations`], each entry a defect that brings v12's
//! way back, and [`AS_POSTED`] is the design with all of them.

#![forbid(unsafe_code)]

mod brackets;
mod defects;
pub mod deviations;
mod fault;
mod info;
mod lookup;
pub mod reasons;
mod references;
pub mod sites;

pub use defects::Defect;
pub use info::{AS_POSTED, DESIGN, KREF};

use std::marker::PhantomData;

use vmadiff_contract::{COUNTS, DesignInfo, Reason};
use vmadiff_interleave::{Cell, RefCount, SeqCount, SeqLock};
use vmadiff_machine::page::pte::Pte;
use vmadiff_machine::{
    Current, Design, Died, Fault, Handle, InTree, Machine, Mm, Need, Policy, Ref, Vma, Vmf, Why,
};

use crate::defects::defect;
use crate::reasons as reason;
use crate::references::References;
use crate::sites as site;

/// The speculative page fault series; `R` is how references to areas are counted.
pub struct Spf<R = RefCount>(PhantomData<R>);

/// Beside an area.
#[derive(Default)]
pub struct Area<R> {
    /// Odd while a writer is at work (`vm_sequence`).
    vm_sequence: SeqCount,
    /// References (`vm_ref_count`).
    vm_ref_count: R,
    /// The count stays odd until the area leaves the tree or [stays](Design::stays); brackets in
    /// between are parts of this one. Written with mmap_sem held for writing. v12 has no such thing:
    /// it is the repair of A28, for there every function on the way of the unmapping opens and
    /// closes a bracket of its own, and brackets do not nest.
    held: Cell<bool>,
}

/// Beside an address space.
#[derive(Default)]
pub struct Space {
    /// Written around each change of the tree (patch 19).
    mm_seq: SeqLock,
}

impl<R: References> Design for Spf<R> {
    /// Where a form of it runs, the machine is told which.
    const INFO: &'static DesignInfo = &DESIGN;

    type Area = Area<R>;
    type Space = Space;
    /// The sequence count that the fault's copies were read under.
    type Hold<'a> = u32;

    fn fault(cx: &Current<'_, Self>, addr: u64, need: Need, refused: Pte) -> Fault {
        match fault::handle_speculative_fault(cx, addr, need, refused) {
            // Deviation (A27): v12 forgets here whether a device was read (patch 28).
            Fault::Served { major } => Fault::Served {
                major: major && !defect!(cx, MajorLost),
            },
            other => other,
        }
    }

    fn still(
        cx: &Current<'_, Self>,
        vmf: &Vmf<'_, Self>,
        locked: bool,
    ) -> Result<(), &'static Reason> {
        let skipped = locked && defect!(cx, SkipLastRecheck);
        if skipped || !fault::vma_has_changed(cx, vmf) {
            Ok(())
        } else if locked {
            Err(&reason::CHANGED_AFTER_LOCK)
        } else {
            Err(&reason::CHANGED_BEFORE_LOCK)
        }
    }

    /// `__handle_mm_fault` samples the count here too, and has no use for it.
    fn classic(cx: &Current<'_, Self>, vma: Ref<'_, Vma>) {
        cx.area(vma)
            .vm_sequence
            .read(site::HANDLE_MM_FAULT__SEQUENCE);
    }

    fn space_init(space: &Space) {
        space.mm_seq.init();
    }

    fn change(m: &Machine<Self>, vma: Ref<'_, Vma>, why: Why) {
        if let Some(site) = brackets::begins(m, why) {
            brackets::vm_write_begin(m, site, vma);
        }
    }

    fn changed(m: &Machine<Self>, vma: Ref<'_, Vma>, why: Why) {
        if let Some(site) = brackets::ends(m, why) {
            brackets::vm_write_end(m, site, vma);
        }
    }

    fn moved(m: &Machine<Self>, source: Ref<'_, Vma>, new: Ref<'_, Vma>) {
        brackets::moved(m, source, new);
    }

    fn stays(m: &Machine<Self>, piece: Ref<'_, Vma>) {
        brackets::vm_write_release(m, site::MOVE_VMA__RELEASE, piece);
    }

    fn born(m: &Machine<Self>, vma: Ref<'_, Vma>, copy_of: Option<Ref<'_, Vma>>) {
        references::init_vma(m, vma, copy_of);
    }

    /// The tree is written under `mm_seq` (patch 19), and takes a reference (patch 21).
    fn change_tree(
        m: &Machine<Self>,
        mm: &Mm,
        vma: Ref<'_, Vma>,
        change: InTree,
        how: impl FnOnce(),
    ) {
        let mm_seq = &m.space(mm).mm_seq;
        match change {
            InTree::Link => {
                let _seq = mm_seq.write(site::VMA_LINK_RB__MM_SEQ);
                if !defect!(m, GetTooFew) {
                    references::get_vma(m, site::VMA_LINK_RB__GET_VMA, vma);
                }
                how();
            }
            InTree::Erase(_) => {
                let _seq = mm_seq.write(site::VMA_RB_ERASE__MM_SEQ);
                how();
            }
        }
    }

    fn erased(m: &Machine<Self>, vma: Ref<'_, Vma>, how: Died) {
        references::erased(m, vma, how);
    }

    fn removed(m: &Machine<Self>, vma: Ref<'_, Vma>, how: Died) {
        references::removed(m, vma, how);
    }

    fn grace(m: &Machine<Self>, vma: Ref<'_, Vma>) {
        references::put_vma(m, site::VM_RCU_PUT__PUT, vma);
    }

    fn policy_unused(m: &Machine<Self>, policy: Handle<Policy>) {
        if defect!(m, PolicyWithoutReference) || defect!(m, PolicyFreedAtOnce) {
            m.free_policy(policy);
        } else {
            m.call_rcu_policy(site::MPOL_PUT__CALL_RCU, policy);
        }
    }

    fn counts(m: &Machine<Self>, vma: Ref<'_, Vma>) -> [u32; COUNTS] {
        let area = m.area(vma);
        [area.vm_ref_count.peek(), area.vm_sequence.peek()]
    }
}
