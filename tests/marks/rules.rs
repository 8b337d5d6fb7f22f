//! What the lists leave open, as data: which steps need no mark, and which come in another order.

use vmadiff_contract::StepKind;

/// Steps of these rows need no mark.
pub const NEED_NONE: &[(&str, u8, &str)] = &[("exit", 3, "nobody else has the address space")];

/// Steps of these rows may come later than the list says.
pub const LATER: &[(&str, u8, &str)] = &[
    (
        "zap",
        1,
        "unmap_region, exit_mmap: tlb_finish_mmu comes after free_pgtables",
    ),
    (
        "zap",
        2,
        "the same: pages are put when the TLBs have been flushed",
    ),
    (
        "reclaim",
        2,
        "rmap_walk_anon: the areas of an anon_vma have no order",
    ),
    ("reclaim", 3, "the same"),
    ("reclaim", 4, "the same"),
    ("reclaim", 5, "the same"),
    ("reclaim", 6, "the same"),
    (
        "zap of a file",
        0,
        "unmap_mapping_range_tree: nor have those of a file",
    ),
    ("zap of a file", 1, "the same"),
    ("zap of a file", 2, "the same"),
];

/// Steps of these rows may come earlier than the list says.
pub const EARLIER: &[(&str, u8, &str)] = &[
    (
        "move an area",
        1,
        "move_normal_pmd: all entries of a table leave before the first is at its new place",
    ),
    (
        "move an area",
        3,
        "move_page_tables: each page table is flushed before the next one is looked at",
    ),
    (
        "reclaim",
        6,
        "the contents are written out with each entry that goes",
    ),
    (
        "zap",
        2,
        "__tlb_remove_page: a batch that is full is flushed and put",
    ),
];

/// A fault that was confirmed and gives up begins again here.
pub const AGAIN: &[(&str, u8, &str)] = &[("fault", 0, "handle_mm_fault: VM_FAULT_RETRY")];

/// Steps of these rows are told in parts, with others between.
pub const GOES_ON: &[(&str, u8, &str)] = &[(
    "reclaim",
    6,
    "the contents are written out once for each entry that goes",
)];

/// Marks of these kinds are told also where the reference has no step for them.
pub const SUPERFLUOUS: &[(StepKind, &str)] = &[
    (
        StepKind::Flush,
        "a TLB that held nothing of the range is flushed, too",
    ),
    (
        StepKind::Allocate,
        "where it belongs to another step, that one is refused",
    ),
];

/// Whether a row is among these.
pub fn names(rows: &[(&str, u8, &str)], list: &str, row: u8) -> bool {
    rows.iter().any(|&(of, at, _)| of == list && at == row)
}
