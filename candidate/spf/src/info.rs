//! What this design says of itself: see [`DesignInfo`].

use std::sync::Arc;

use vmadiff_contract::{
    Aim, AtRest, Breach, CallKind, Config, Count, DesignInfo, EventSink, Frees, Lane, Manager,
    Point,
};

use vmadiff_machine::defects::listed;
use vmadiff_machine::{Machine, aims, defects, reasons, sites};

use crate::Spf;

/// The speculative page fault series.
pub static DESIGN: DesignInfo = DesignInfo {
    name: "spf",
    what: "Faults look their VMA up under RCU, hold it by a reference and check its sequence count \
           before they write; writers bracket what they change.",
    source: "the speculative page fault series, twelfth version (L. Dufour, April 2019), on Linux 5.1",
    sites: &[sites::NAMES, crate::sites::NAMES],
    renamed_sites: &[],
    defects: &[listed(defects::DEFECTS), listed(crate::defects::DEFECTS)],
    reasons: &[reasons::REASONS, crate::reasons::REASONS],
    breaches: &[&[&GET_FROM_ZERO, &PUT_BELOW_ZERO, &SEQUENCE_NESTED]],
    counts: &[
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
    ],
    frees: Frees::AfterReaders,
    lanes: &[Lane {
        name: "a speculative section",
        begins: &["handle_speculative_fault.", "find_vma_rcu."],
    }],
    aims: &[AIMS, aims::AIMS],
    boot,
};

/// Here the machine is compiled for this design.
fn boot(config: &Config, events: Arc<dyn EventSink>, defects: &[&str]) -> Box<dyn Manager> {
    Machine::<Spf>::boxed(config, events, defects)
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
    at(Aim::Cut, &["vma_link_rb.mm_seq", "vma_link_rb.get_vma"]),
    at(
        Aim::Asks,
        &[
            "handle_speculative_fault.sequence",
            "handle_speculative_fault.anon_vma",
            "handle_speculative_fault.vm_flags",
            "handle_speculative_fault.page_prot",
            "handle_speculative_fault.vm_start",
            "handle_speculative_fault.vm_end",
            "vma_has_changed.sequence",
        ],
    ),
    at(Aim::Late, &["vma_has_changed."]),
    at(Aim::Undoes, &["vma_adjust.end_failed"]),
    at(
        Aim::AsksAnon,
        &[
            "handle_speculative_fault.anon_vma",
            "handle_speculative_fault.sequence",
            "handle_speculative_fault.vm_flags",
        ],
    ),
];

const LOOKUP: &[&str] = &[
    "find_vma_rcu.",
    "handle_speculative_fault.",
    "vma_has_changed.",
    "get_vma_policy.",
];
