//! What this design says of itself: see [`DesignInfo`].

use std::sync::Arc;

use vmadiff_contract::{
    Aim, AtRest, Breach, CallKind, Config, Count, DesignInfo, EventSink, Frees, Lane, Manager,
    Point,
};
use vmadiff_machine::defects::listed;
use vmadiff_machine::deviations::KERNEL;
use vmadiff_machine::{Machine, aims, defects, sites};

use crate::VmaLock;
use crate::deviations::DEVIATIONS;

/// Per-VMA locks.
pub static DESIGN: DesignInfo = DesignInfo {
    what: "Faults look their VMA up under RCU and lock it for reading by its reference count; writers lock \
           each VMA that they change until they give mmap_sem back.",
    source: "Linux 6.15 (S. Baghdasaryan), on the calls of 5.1",
    sites: &[sites::NAMES, crate::sites::NAMES],
    defects: &[listed(defects::DEFECTS), listed(crate::defects::DEFECTS)],
    // Of the machine's none: once it has its lock a fault gives up for want of an anon_vma only.
    reasons: &[crate::reasons::REASONS],
    breaches: &[&[&LOCK_BELOW_ZERO, &WOKE_DEAD_MM, &STALE_WALK]],
    counts: &[
        Count {
            name: "references",
            // The tree's.
            at_rest: AtRest::References {
                fresh: 0,
                linked: 1,
            },
        },
        Count {
            name: "write lock",
            at_rest: AtRest::Even,
        },
    ],
    frees: Frees::Recycled,
    lanes: &[Lane {
        name: "a fault under its VMA's lock",
        begins: &["lock_vma_under_rcu."],
    }],
    aims: &[AIMS, aims::AIMS],
    proof: "a reference of its own, which locks: taken unless there is none left, believed once address \
            space, number and range have been compared with it held",
    recycles: "the whole slot, at once, by any address space",
    deviations: &[KERNEL, DEVIATIONS],
    unshown: UNSHOWN,
    ..DesignInfo::plain("vmalock", boot)
};

/// What nothing can show: a fault without mmap_sem asks nobody before it writes, and a stack grows under
/// mmap_sem for writing.
const UNSHOWN: &[&str] = &[
    "a12-table-moved-unlocked",
    "a24-merge-keeps-file",
    "a29-pmd-read-again",
    "a30-index-after-split",
    "a31-index-while-growing",
    "munmap-beside-stack",
    "n1-table-made-late",
    "n10-upper-read-again",
    "n11-lock-freed-early",
];

/// Here the machine is compiled for this design.
fn boot(config: &Config, events: Arc<dyn EventSink>, defects: &[&str]) -> Box<dyn Manager> {
    Machine::<VmaLock>::boxed(config, events, defects)
}

/// A reference is put where none is left.
pub static LOCK_BELOW_ZERO: Breach = Breach {
    rule: "misuse-lock-below-zero",
    says: "No reference is put on a VMA that has none, and no offset taken back that was not added.",
    source: "refcount_t: underflow; vma_refcount_put",
    what: "had no reference left when one was put",
};

/// A writer is woken whose address space is gone.
pub static WOKE_DEAD_MM: Breach = Breach {
    rule: "misuse-dead-mm",
    says: "The address space of a VMA is there when its writers are woken.",
    source: "vma_refcount_put, 9bbffee67ffd",
    what: "had its writer woken when its address space was gone",
};

/// A walk goes on outside the read section in which it began.
pub static STALE_WALK: Breach = Breach {
    rule: "misuse-stale-walk",
    says: "A walk of the tree does not go on when its read section was left and the tree has changed.",
    source: "lock_vma_under_rcu, mas_set on retry",
    what: "was looked for in a part of the tree that may be gone",
};

const fn at(aim: Aim, begins: &'static [&'static str]) -> Point {
    Point { aim, begins }
}

/// What races about the locks are left at.
const AIMS: &[Point] = &[
    at(Aim::Call(CallKind::Load), LOOKUP),
    at(Aim::Call(CallKind::Store), LOOKUP),
    at(Aim::Call(CallKind::Exec), LOOKUP),
    at(Aim::Call(CallKind::Munmap), LOCKED),
    at(Aim::Call(CallKind::Mmap), LOCKED),
    at(Aim::Call(CallKind::Mremap), LOCKED),
    at(Aim::Call(CallKind::Mbind), LOCKED),
    at(Aim::Call(CallKind::Fork), LOCKED),
    at(
        Aim::Call(CallKind::Exit),
        &["vma_mark_detached.", "mmdrop."],
    ),
    at(Aim::Adjusts, LOCKED),
    at(Aim::HalfWay, &["vma_iter_store.", "vma_mark_attached."]),
    at(
        Aim::Looked,
        &["vma_start_read.", "vmf_anon_prepare.", "vma_end_read."],
    ),
];

const LOOKUP: &[&str] = &["lock_vma_under_rcu.", "mas_walk.", "vma_start_read."];

const LOCKED: &[&str] = &[
    "vma_start_write.",
    "vma_enter_locked.",
    "vma_mark_attached.",
    "vma_mark_detached.",
    "vma_end_write_all.",
    "vma_iter_",
];
