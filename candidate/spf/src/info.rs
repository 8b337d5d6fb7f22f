//! What this design says of itself: see [`DesignInfo`].

use std::sync::Arc;

use vmadiff_contract::{
    Aim, AtRest, Boot, Breach, CallKind, Config, Count, DefectInfo, DesignInfo, Deviation,
    EventSink, Frees, Lane, Manager, Point, Reason,
};

use vmadiff_interleave::Kref;
use vmadiff_machine::defects::listed;
use vmadiff_machine::deviations::{KERNEL, SERIES};
use vmadiff_machine::{Machine, aims, defects, reasons, sites};

use crate::Spf;
use crate::deviations::DEVIATIONS;

/// The speculative page fault series, repaired.
pub static DESIGN: DesignInfo = DesignInfo {
    what: "Faults look their VMA up under RCU, hold it by a reference and check its sequence count \
           before they write; writers bracket what they change.",
    ..form("spf", boot)
};

/// The same as it was posted.
pub static AS_POSTED: DesignInfo = DesignInfo {
    what: "The series as it was posted: `spf` with every deviation undone that can be. It has v12's \
           bugs, and those of 5.1.",
    form_of: Some("spf"),
    as_posted: true,
    ..form("spf-as-posted", boot_as_posted)
};

/// The same, repaired, with the reference count that its reviewer wished for.
pub static KREF: DesignInfo = DesignInfo {
    what: "`spf` with a kref for the count of references: taken by who holds one, or unless it is zero; \
           put by a function that releases; saturating.",
    form_of: Some("spf"),
    proof: "a reference of its own, taken unless there was none left in the read section that found the \
            area; the area's sequence count vouches for what is read of it",
    breaches: BREACHES_OF_KREF,
    ..form("spf-kref", boot_kref)
};

/// What all forms of the design have in common.
const fn form(name: &'static str, boot: Boot) -> DesignInfo {
    DesignInfo {
        source: "the speculative page fault series, twelfth version (L. Dufour, April 2019), on Linux \
                 5.1",
        sites: SITES,
        defects: DEFECTS,
        reasons: REASONS,
        breaches: BREACHES,
        counts: COUNTS,
        frees: Frees::AfterReaders,
        lanes: LANES,
        aims: AIMED,
        proof: "a reference of its own, taken in the read section that found the area; the area's \
                sequence count vouches for what is read of it",
        recycles: "the whole slot, once the count is zero",
        deviations: FROM,
        also_fires: ALSO,
        ..DesignInfo::plain(name, boot)
    }
}

const SITES: &[&[&str]] = &[sites::NAMES, crate::sites::NAMES];
const DEFECTS: &[&[DefectInfo]] = &[listed(defects::DEFECTS), listed(crate::defects::DEFECTS)];
const REASONS: &[&[&Reason]] = &[reasons::REASONS, crate::reasons::REASONS];
const BREACHES: &[&[&Breach]] = &[&[&GET_FROM_ZERO, &PUT_BELOW_ZERO, &SEQUENCE_NESTED]];
const BREACHES_OF_KREF: &[&[&Breach]] = &[&[
    &GET_FROM_ZERO,
    &PUT_BELOW_ZERO,
    &SATURATED,
    &SEQUENCE_NESTED,
]];
const COUNTS: &[Count] = &[
    Count {
        name: "references",
        // The allocation's, and the tree's.
        at_rest: AtRest::References {
            fresh: 1,
            linked: 2,
        },
    },
    Count {
        name: "sequence count",
        at_rest: AtRest::Even,
    },
];
const LANES: &[Lane] = &[Lane {
    name: "a speculative section",
    begins: &["handle_speculative_fault.", "find_vma_rcu."],
}];
const AIMED: &[&[Point]] = &[AIMS, aims::AIMS];
const FROM: &[&[Deviation]] = &[KERNEL, SERIES, DEVIATIONS];
/// mbind goes on with an area that it brackets twice.
const ALSO: &[(&str, &str)] = &[("c4-mbind-keeps-merged", SEQUENCE_NESTED.rule)];

/// Here the machine is compiled for this design.
fn boot(config: &Config, events: Arc<dyn EventSink>, defects: &[&str]) -> Box<dyn Manager> {
    Machine::<Spf>::boxed(config, events, defects)
}

fn boot_as_posted(
    config: &Config,
    events: Arc<dyn EventSink>,
    defects: &[&str],
) -> Box<dyn Manager> {
    Machine::<Spf>::boxed_as(&AS_POSTED, config, events, defects)
}

fn boot_kref(config: &Config, events: Arc<dyn EventSink>, defects: &[&str]) -> Box<dyn Manager> {
    Machine::<Spf<Kref>>::boxed_as(&KREF, config, events, defects)
}

/// A reference is taken where none is left.
pub static GET_FROM_ZERO: Breach = Breach {
    rule: "misuse-get-from-zero",
    says: "No reference is taken on a VMA whose count is zero.",
    source: "the contract, `Misuse`; kref_get_unless_zero",
    what: "had no reference left when one was taken",
};

/// A reference is put where none is left.
pub static PUT_BELOW_ZERO: Breach = Breach {
    rule: "misuse-put-below-zero",
    says: "No reference is put on a VMA whose count is zero.",
    source: "the contract, `Misuse`; kref_put",
    what: "had no reference left when one was put",
};

/// A count that would wrap.
pub static SATURATED: Breach = Breach {
    rule: "misuse-count-saturated",
    says: "The count of a VMA's references never reaches its limit.",
    source: "refcount_t: saturated; leaking memory",
    what: "has more references than can be counted",
};

/// Two writers at once.
pub static SEQUENCE_NESTED: Breach = Breach {
    rule: "misuse-sequence-nested",
    says: "A sequence count is not begun twice, nor ended twice.",
    source: "patch 09: the brackets do not nest",
    what: "had its sequence count begun or ended twice",
};

const fn at(aim: Aim, begins: &'static [&'static str]) -> Point {
    Point { aim, begins }
}

/// Where the tree's reference to an area that was erased is put.
const ERASED: &[&str] = &["vm_rcu_put."];

/// What races about speculation are left at.
const AIMS: &[Point] = &[
    at(Aim::Call(CallKind::Load), LOOKUP),
    at(Aim::Call(CallKind::Store), LOOKUP),
    at(Aim::Call(CallKind::Exec), LOOKUP),
    at(
        Aim::Call(CallKind::Munmap),
        &["free_pgtables.", "vm_rcu_put."],
    ),
    at(
        Aim::Beside(CallKind::Mmap),
        &["free_pgtables.", "vm_rcu_put."],
    ),
    at(
        Aim::Beside(CallKind::Mremap),
        &["free_pgtables.", "vm_rcu_put."],
    ),
    at(Aim::Call(CallKind::Mremap), &["copy_vma."]),
    at(Aim::Call(CallKind::Mmap), &["mmap_region."]),
    at(Aim::Call(CallKind::Mbind), &["mpol_put."]),
    at(Aim::Call(CallKind::Exit), &["remove_vma_of_exit."]),
    at(Aim::Adjusts, ERASED),
    at(Aim::Beside(CallKind::Munmap), ERASED),
    at(Aim::Beside(CallKind::Mprotect), ERASED),
    at(Aim::Beside(CallKind::Mbind), ERASED),
    at(Aim::Beside(CallKind::Madvise), ERASED),
    at(Aim::Beside(CallKind::Mlock), ERASED),
    at(Aim::Beside(CallKind::Munlock), ERASED),
    at(Aim::Beside(CallKind::UffdRegister), ERASED),
    at(
        Aim::HalfWay,
        &[
            "vma_link_rb.mm_seq",
            "vma_link_rb.get_vma",
            "vma_adjust.end_failed",
        ],
    ),
    at(
        Aim::Looked,
        &[
            "handle_speculative_fault.sequence",
            "handle_speculative_fault.anon_vma",
            "handle_speculative_fault.vm_flags",
            "handle_speculative_fault.page_prot",
            "handle_speculative_fault.vm_start",
            "handle_speculative_fault.vm_end",
            "vma_has_changed.",
        ],
    ),
];

const LOOKUP: &[&str] = &[
    "find_vma_rcu.",
    "handle_speculative_fault.",
    "vma_has_changed.",
    "get_vma_policy.",
];
