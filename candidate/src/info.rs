//! What this design says of itself: see [`DesignInfo`].

use std::sync::Arc;

use vmadiff_contract::{
    Aim, AtRest, Breach, CallKind, Config, Count, DesignInfo, EventSink, Frees, Lane, Manager,
    Point,
};

use crate::Candidate;
use crate::defects::{DEFECTS, Defects};
use crate::reason::REASONS;
use crate::sites;

/// The speculative page fault series.
pub static SPF: DesignInfo = DesignInfo {
    name: "spf",
    what: "Faults look their VMA up under RCU, hold it by a reference and check its sequence count \
           before they write; writers bracket what they change.",
    source: "the speculative page fault series, twelfth version (L. Dufour, April 2019), on Linux 5.1",
    sites: &[sites::NAMES],
    renamed_sites: &[],
    defects: &[if cfg!(feature = "defects") {
        DEFECTS
    } else {
        &[]
    }],
    reasons: &[REASONS],
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
    aims: &[AIMS, AIMS_OF_MACHINE],
    boot,
};

fn boot(config: &Config, events: Arc<dyn EventSink>, defects: &[&str]) -> Box<dyn Manager> {
    let defects = defects.iter().fold(Defects::NONE, |set, name| {
        set.with(Defects::parse(name).expect("a name of SPF's defects"))
    });
    Box::new(Candidate::with_defects(config, events, defects))
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

/// What races about speculation are left at.
const AIMS: &[Point] = &[
    at(Aim::Call(CallKind::Load), LOOKUP),
    at(Aim::Call(CallKind::Store), LOOKUP),
    at(Aim::Call(CallKind::Exec), LOOKUP),
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
];

/// What any race is left at.
const AIMS_OF_MACHINE: &[Point] = &[
    at(Aim::Call(CallKind::Load), FAULT),
    at(Aim::Call(CallKind::Store), FAULT),
    at(Aim::Call(CallKind::Exec), FAULT),
    at(Aim::Beside(CallKind::Load), PRESENT),
    at(Aim::Beside(CallKind::Store), PRESENT),
    at(Aim::Beside(CallKind::Exec), PRESENT),
    at(Aim::Call(CallKind::Munmap), UNMAP),
    at(Aim::Beside(CallKind::Munmap), ADJUST),
    at(
        Aim::Call(CallKind::Mmap),
        &["mmap.", "mmap_region.", "vma_link"],
    ),
    at(Aim::Beside(CallKind::Mmap), UNMAP),
    at(Aim::Call(CallKind::Mremap), MOVE),
    at(Aim::Beside(CallKind::Mremap), UNMAP),
    at(
        Aim::Call(CallKind::Mprotect),
        &["mprotect", "change_pte_range."],
    ),
    at(Aim::Beside(CallKind::Mprotect), ADJUST),
    at(
        Aim::Call(CallKind::Mbind),
        &["mbind.", "vma_replace_policy.", "mpol_put."],
    ),
    at(Aim::Beside(CallKind::Mbind), ADJUST),
    at(
        Aim::Call(CallKind::Fork),
        &[
            "copy_pte_range.",
            "copy_one_pte.",
            "dup_mmap.",
            "flush_tlb.",
        ],
    ),
    at(
        Aim::Call(CallKind::Reclaim),
        &[
            "isolate_page.",
            "shrink_page.",
            "try_to_unmap.",
            "flush_tlb.",
        ],
    ),
    at(Aim::Call(CallKind::Collapse), &["collapse"]),
    at(
        Aim::Call(CallKind::NumaScan),
        &["change_prot_numa.", "numa_scan."],
    ),
    at(
        Aim::Call(CallKind::Madvise),
        &["madvise", "zap_pte_range.", "flush_tlb."],
    ),
    at(Aim::Beside(CallKind::Madvise), ADJUST),
    at(Aim::Call(CallKind::Mlock), LOCK),
    at(Aim::Beside(CallKind::Mlock), ADJUST),
    at(Aim::Call(CallKind::Munlock), LOCK),
    at(Aim::Beside(CallKind::Munlock), ADJUST),
    at(Aim::Call(CallKind::UffdRegister), &["userfaultfd."]),
    at(Aim::Beside(CallKind::UffdRegister), ADJUST),
    at(
        Aim::Call(CallKind::Exit),
        &["exit.", "mmput.", "remove_vma_of_exit.", "zap_pte_range."],
    ),
    at(Aim::Adjusts, ADJUST),
    at(
        Aim::Cut,
        &[
            "vma_adjust.vm_end",
            "vma_adjust.vm_start",
            "vma_link_list.vm_next",
            "vma_link_list.vm_prev",
        ],
    ),
    at(Aim::Late, &["pte_map_lock.", "do_anonymous_page."]),
    at(
        Aim::Copies,
        &["wp_page_copy.", "cow_user_page.", "do_wp_page.mapcount"],
    ),
    at(
        Aim::Entries(CallKind::Fork),
        &["copy_pte_range.", "flush_tlb."],
    ),
    at(
        Aim::Entries(CallKind::Mremap),
        &["move_normal_pmd.", "move_vma.", "flush_tlb.", "mremap."],
    ),
    at(
        Aim::Entries(CallKind::Mprotect),
        &["change_pte_range.", "mprotect_fixup.", "flush_tlb."],
    ),
    at(
        Aim::Entries(CallKind::Reclaim),
        &["try_to_unmap.", "shrink_page.", "flush_tlb."],
    ),
    at(
        Aim::Entries(CallKind::NumaScan),
        &["change_prot_numa.", "flush_tlb."],
    ),
    at(Aim::Entries(CallKind::Munmap), ZAP),
    at(Aim::Entries(CallKind::Madvise), ZAP),
    at(Aim::Undoes, &["anon_vma_clone."]),
    at(
        Aim::FindsAnon,
        &["anon_vma_prepare.", "reusable_anon_vma.", "anon_vma.lock"],
    ),
    at(Aim::Removed, &["munmap.downgrade"]),
];

/// A fault's page-table lock, and what a first touch allocates.
const FAULT: &[&str] = &[
    "get_vma_policy.",
    "pte_map_lock.",
    "alloc_page_vma.",
    "do_anonymous_page.",
];
/// A fault on what is there.
const PRESENT: &[&str] = &[
    "pte_map_lock.",
    "alloc_page_vma.",
    "do_wp_page.",
    "wp_page_copy.",
    "cow_user_page.",
    "do_swap_page.",
    "do_numa_page.",
    "access.",
];
/// Areas that are cut, merged and linked.
const ADJUST: &[&str] = &[
    "vma_adjust.",
    "vma_link_rb.",
    "vma_rb_erase.",
    "vmacache_invalidate.",
    "vm_rcu_put.",
];
const UNMAP: &[&str] = &[
    "detach_vmas.",
    "vma_rb_erase.",
    "vmacache_invalidate.",
    "munmap.",
    "zap_pte_range.",
    "flush_tlb.",
    "free_pgtables.",
    "free_pte_range.",
    "tlb_flush_mmu.",
    "remove_vma.",
    "vm_rcu_put.",
];
const MOVE: &[&str] = &[
    "mremap.",
    "copy_vma.",
    "move_vma.",
    "move_ptes.",
    "move_normal_pmd.",
];
const LOCK: &[&str] = &["mlock", "munlock", "mm_populate."];
const ZAP: &[&str] = &["zap_pte_range.", "flush_tlb.", "tlb_flush_mmu."];
