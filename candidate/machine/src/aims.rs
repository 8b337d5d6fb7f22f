//! Where calls are worth being left in the middle, as far as the machine's own sites go.

use vmadiff_contract::{Aim, CallKind, Point};

const fn at(aim: Aim, begins: &'static [&'static str]) -> Point {
    Point { aim, begins }
}

/// What any race is left at.
pub const AIMS: &[Point] = &[
    at(Aim::Call(CallKind::Load), FAULT),
    at(Aim::Call(CallKind::Store), FAULT),
    at(Aim::Call(CallKind::Exec), FAULT),
    at(Aim::Beside(CallKind::Load), PRESENT),
    at(Aim::Beside(CallKind::Store), PRESENT),
    at(Aim::Beside(CallKind::Exec), PRESENT),
    at(Aim::Call(CallKind::Munmap), UNMAP),
    at(Aim::Beside(CallKind::Munmap), ADJUST),
    at(Aim::Call(CallKind::Mmap), &["mmap.", "vma_link"]),
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
        &["mbind.", "vma_replace_policy."],
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
    at(Aim::Call(CallKind::Evict), EVICT),
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
        &["exit.", "mmput.", "zap_pte_range."],
    ),
    at(Aim::Adjusts, ADJUST),
    at(Aim::HalfWay, HALF_WAY),
    at(Aim::Looked, LOOKED),
];

/// A fault's page-table lock, and what a first touch allocates.
const FAULT: &[&str] = &["pte_map_lock.", "alloc_page_vma.", "do_anonymous_page."];
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
];
const UNMAP: &[&str] = &[
    "detach_vmas.",
    "vma_rb_erase.",
    "vmacache_invalidate.",
    "munmap.",
    "zap_pte_range.",
    "flush_tlb.",
    "free_pte_range.",
    "tlb_flush_mmu.",
    "remove_vma.",
];
const MOVE: &[&str] = &["mremap.", "move_vma.", "move_ptes.", "move_normal_pmd."];
const LOCK: &[&str] = &["mlock", "munlock", "mm_populate."];
const EVICT: &[&str] = &["evict.", "try_to_unmap.", "flush_tlb.", "remove_mapping."];
/// Areas that are cut and linked, a chain that is taken over, a stack that grows, entries that are changed
/// and not flushed, areas that have left their tree.
const HALF_WAY: &[&str] = &[
    "vma_adjust.vm_end",
    "vma_adjust.vm_start",
    "vma_link_list.vm_next",
    "vma_link_list.vm_prev",
    "anon_vma_clone.",
    "expand_downwards.",
    "munmap.downgrade",
    "flush_tlb.",
    "tlb_flush_mmu.",
];
/// A page's lock that is tried, a page that is copied, an anon_vma that is looked for in neighbours.
const LOOKED: &[&str] = &[
    "pte_map_lock.",
    "do_anonymous_page.",
    "wp_page_copy.",
    "cow_user_page.",
    "do_wp_page.mapcount",
    "anon_vma_prepare.",
    "reusable_anon_vma.",
    "anon_vma.lock",
];
