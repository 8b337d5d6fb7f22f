//! The named defects of the machine: bugs of the calls around a design, each restorable by name in one
//! place of the code. Those of a design are the design's, declared by the same macro.

use vmadiff_contract::{DefectInfo, DesignInfo};

/// Whether one named defect of the machine is there: `if defect!(self, ForkedMerges)`.
macro_rules! defect {
    ($machine:expr, $defect:ident) => {
        $machine.has_defect($crate::defects::Defect::$defect)
    };
}
pub(crate) use defect;

/// Declares defects: an enum `Defect`, and `DEFECTS` with what is known of each.
#[macro_export]
macro_rules! defects {
    ($($defect:ident $kind:ident $name:literal $what:literal from $source:literal fires $($rule:literal),+;)*) => {
        /// A named defect.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Defect {
            $(#[doc = $what] #[doc = ""] #[doc = concat!("Source: ", $source)] $defect,)*
        }

        /// Every defect declared here, in the order of [`Defect`].
        pub static DEFECTS: &[vmadiff_contract::DefectInfo] = &[$(vmadiff_contract::DefectInfo {
            name: $name,
            kind: vmadiff_contract::DefectKind::$kind,
            what: $what,
            source: $source,
            rules: &[$($rule),+],
        },)*];
    };
}

defects! {
    FileNotForgotten Serial "a24-file-not-forgotten"
        "A VMA that was removed still names its file, which may be gone when the VMA is freed."
        from "series patch 20, remove_vma"
        fires "misuse-dead-file";
    MergeKeepsFile Serial "a24-merge-keeps-file"
        "A VMA that was merged away still names its file, which may be gone when the VMA is freed."
        from "series patch 20, __vma_adjust"
        fires "misuse-dead-file";
    FilePutTwice Serial "a24-file-put-twice"
        "A VMA puts its file when it is removed and again when it is freed."
        from "series patch 20 against Android's __free_vma"
        fires "file-put", "file-references", "file-used-after-free", "misuse-dead-file", "events",
            "deferred";
    MergeForgetsClose Serial "c1-merge-forgets-close"
        "An area with vm_ops->close is merged away without being closed."
        from "vma_merge case 7, fixes 714965ca8252"
        fires "state", "events", "vma-close";
    OffsetNotLowered Serial "c2-offset-not-lowered"
        "An area that grows down over a gap keeps its file offset."
        from "7e7757876f25, LTP mremap06"
        fires "state";
    BrkExpandsApart Serial "c11-brk-expands-apart"
        "brk expands the area before the heap's end even if the two do not touch."
        from "6c28ca6485dd"
        fires "state", "events";
    AnonReusedTwice Serial "anon-reused-twice"
        "fork takes an anon_vma with one area for one with one child, so that two areas with other links \
         have it and are merged."
        from "Linux 5.1, anon_vma_clone and degree; 2555283eb40d (CVE-2022-42703)"
        fires "state", "outcome", "events", "misuse-dead-anon";
    UffdOwnOffset Serial "uffd-own-offset"
        "userfaultfd merges a part of an area by the offset of the whole area."
        from "userfaultfd_register before 6.4; 5543d3c43c41"
        fires "state", "events", "outcome", "misuse-lost-page";
    WrongSurvivor Serial "c16-wrong-survivor"
        "Where an area is merged into the one above, the one above is freed instead."
        from "vma_merge case 8, e86f15ee64d8"
        fires "state", "events", "vma-tree";
    SecondNextStays Serial "c17-second-next-stays"
        "Where an area is merged with both areas above, only the first of them is removed."
        from "__vma_adjust, `again`"
        fires "state", "events";
    MbindWrongOffset Serial "c3-mbind-wrong-offset"
        "mbind merges a piece of an area by the offset of the whole area."
        from "mbind_range, 7329e3ebe359"
        fires "state", "events";
    MbindKeepsMerged Serial "c4-mbind-keeps-merged"
        "mbind goes on with the area that it had before the merge, which may have swallowed it."
        from "mbind_range, fixes 9d8cebd4bcd7"
        fires "state", "events", "outcome", "misuse-dead-vma";
    ForkedMerges Serial "c7-forked-merges"
        "An area whose pages fork shared merges with one that was never touched."
        from "is_mergeable_anon_vma, the limit of forked areas"
        fires "state", "events";
    CloneNotUndone Serial "c8-clone-not-undone"
        "Where the memory for a copy of an anon_vma chain is missing, the links made so far stay."
        from "824135c46b00"
        fires "state", "anon-leaked", "left-over", "misuse-dead-vma", "events", "deferred";
    AccountNotRestored Serial "c15-account-not-restored"
        "What remains of an area that was moved in part is counted as committed no more."
        from "move_vma, VM_ACCOUNT"
        fires "state";
    CacheNumberWraps Serial "b11-cache-number-wraps"
        "The number by which tasks know that what they remember of areas is void begins anew, and nobody \
         is told."
        from "7a9cdebdcc17, CVE-2018-17182"
        fires "misuse-dead-vma", "vma-leaked", "state", "outcome", "events", "deferred";
    FailureAnswersZero Serial "e26-failure-answers-zero"
        "A mapping that fails when what was there has been unmapped answers 0, and no error."
        from "mmap_region of the maple tree, fixes f8d112a4e657"
        fires "outcome";
    PolicyCountedTwice Serial "d3-policy-counted-twice"
        "A new policy starts with a reference that nobody puts."
        from "4ad099559b00, CVE-2022-49080"
        fires "policy-leaked", "left-over";
    NoReserveForMoves Serial "mremap-without-reserve"
        "A move does not keep its distance from the limit on areas."
        from "move_vma, sysctl_max_map_count - 3; made up"
        fires "outcome";
    AdviceMerges Serial "merge-forgets-advice"
        "Areas merge that differ in the advice on huge pages alone."
        from "is_mergeable_vma, VM_HUGEPAGE and VM_NOHUGEPAGE; made up"
        fires "state", "events";
    LimitBeforeOverlap Serial "limit-before-overlap"
        "A mapping that replaces another meets RLIMIT_AS and RLIMIT_DATA as if it came beside it."
        from "mmap_region, count_vma_pages_range; made up"
        fires "outcome";
    EvictLeavesEntries Serial "evict-leaves-entries"
        "A page that leaves the page cache goes from the first area that maps it, and stays in the others."
        from "try_to_unmap, rmap_walk_file; made up"
        fires "state";
    EvictUnlocked Interleaved "evict-unlocked"
        "A page leaves the page cache without its lock, and a fault maps it meanwhile."
        from "shrink_page_list, trylock_page; made up"
        fires "state", "outcome", "fault-unexplained";
    CollapseUnnoticed Interleaved "a10-collapse-unnoticed"
        "A collapse shuts no fault out, and the page-table lock is taken without a look at whether the \
         table is still the one that was found."
        from "series patch 22, pte_map_lock"
        fires "outcome", "state", "misuse-dead-table", "frame-leaked", "left-over";
    TableMovedUnlocked Interleaved "a12-table-moved-unlocked"
        "mremap moves a whole page table without the lock of its entries."
        from "Android 529351c4c820, move_normal_pmd"
        fires "outcome", "state", "misuse-freed-in-tlb", "misuse-dead-frame";
    PmdReadAgain Interleaved "a29-pmd-read-again"
        "The page-table lock is found by reading again the entry that was just checked."
        from "series patch 22, pte_map_lock and pte_spinlock"
        fires "misuse-dead-table";
    IndexAfterSplit Interleaved "a30-index-after-split"
        "A speculative fault asks an area that is being split for the index of its new page."
        from "series patches 10 and 17, __page_set_anon_rmap; found by this project"
        fires "outcome", "state", "misuse-lost-page";
    IndexWhileGrowing Interleaved "a31-index-while-growing"
        "A fault asks a stack that another fault is growing for the index of its new page."
        from "Linux 5.1, expand_downwards and linear_page_index; found by this project"
        fires "outcome", "state", "misuse-lost-page";
    NestedFlushUnnoticed Interleaved "e1-nested-flush-unnoticed"
        "Who finds entries cleared does not flush the TLBs, though the one who cleared them has not \
         done so yet."
        from "before 99baac21e458"
        fires "outcome";
    DescriptorUnlocked Interleaved "e2-descriptor-unlocked"
        "fork copies the first descriptor before it has the lock of all."
        from "dup_fd, files->file_lock; made up"
        fires "outcome", "state", "events", "misuse-dead-file";
    ZeroPageWritable Serial "e3-zero-page-writable"
        "A store to the zero page that gets no page of its own makes the zero page writable."
        from "wp_page_copy, VM_FAULT_OOM; made up"
        fires "outcome", "state";
    DescriptorLookedUpTwice Interleaved "e4-descriptor-looked-up-twice"
        "mmap checks one file and maps the one that its descriptor opens by then."
        from "ksys_mmap_pgoff, fget; made up"
        fires "outcome", "state", "commit-point";
    NumaScanUnlocked Interleaved "e5-numa-scan-unlocked"
        "A NUMA scan changes entries without the lock of their table."
        from "change_pte_range, the page table's lock; made up"
        fires "outcome", "state", "misuse-dead-frame", "misuse-freed-in-tlb", "frame-leaked";
    RemoveByOldAreas Interleaved "e6-remove-by-old-areas"
        "MADV_REMOVE over several areas punches holes into the files that they mapped when it began."
        from "madvise_remove, which gives up mmap_sem; made up"
        fires "outcome", "state", "misuse-dead-file", "commit-point";
    EntriesNotedEarly Interleaved "e7-entries-noted-early"
        "fork copies those entries that there were before it had the lock of their table."
        from "copy_pte_range, the page table's lock; made up"
        fires "outcome", "state";
    WrittenOutEarly Interleaved "e8-written-out-early"
        "Reclaim writes a page out before its entry is cleared and the TLBs are flushed."
        from "shrink_page_list, try_to_unmap_flush_dirty; made up"
        fires "outcome", "state";
    TruncateUnlocked Interleaved "e9-truncate-unlocked"
        "ftruncate changes a file without its lock."
        from "do_truncate, inode_lock; made up"
        fires "outcome", "state";
    MoveFlushedLate Interleaved "move-flushed-late"
        "mremap gives the page tables' locks back before it flushes the entries that it has moved."
        from "move_ptes before eb66ae030829 (CVE-2018-18281)"
        fires "outcome", "state", "misuse-freed-in-tlb", "fault-unexplained";
    TablesFreedBeforeUnlink Interleaved "tables-freed-before-unlink"
        "munmap frees page tables while the areas are still on the lists of their file and anon_vma."
        from "mmap_region before 79f3d123caed; free_pgtables has it right in 5.1"
        fires "outcome", "state", "misuse-dead-table", "misuse-freed-table-in-use", "misuse-freed-in-tlb",
            "frame-leaked", "left-over", "commit-point", "fault-unexplained";
    DowngradeBesideStack Interleaved "munmap-beside-stack"
        "munmap goes on under mmap_sem for reading though a stack above can grow into its range."
        from "Linux 5.1, __do_munmap; 246c320a8cfe"
        fires "outcome", "state", "misuse-dead-table", "misuse-freed-table-in-use",
            "misuse-freed-in-tlb", "frame-leaked", "left-over";
    TableMadeLate Interleaved "n1-table-made-late"
        "A speculative fault makes the page table that it misses, where its area may be gone."
        from "series patch 22, do_anonymous_page and pte_alloc"
        fires "left-over", "table-leaked", "misuse-dead-table", "state";
    UpperReadAgain Interleaved "n10-upper-read-again"
        "The walk without mmap_sem goes down by entries that it reads again after it has checked them."
        from "series patch 22, pud_offset, pmd_offset and pte_offset_map"
        fires "misuse-lost-table";
    LockFreedEarly Interleaved "n11-lock-freed-early"
        "The lock of a page table is freed before the walkers have left that may try it."
        from "Linux 5.1, pgtable_page_dtor in ___pte_free_tlb; D. Hildenbrand on the series of 2022"
        fires "misuse-dead-lock";
    InvalidationNotEnded Interleaved "n2-invalidation-not-ended"
        "A speculative fault that gives up copying a page does not tell its listener that the invalidation \
         has ended."
        from "series patch 05, wp_page_copy"
        fires "misuse-open-invalidation";
}

/// Of these, those that only a fault without mmap_sem that asks its design before it writes can show
/// ([`Design::OPTIMISTIC`](crate::Design::OPTIMISTIC)), or an area that outlives its removal.
pub static OF_SPECULATION: &[&str] = &[
    "a10-collapse-unnoticed",
    "a12-table-moved-unlocked",
    "a24-merge-keeps-file",
    "a29-pmd-read-again",
    "a30-index-after-split",
    "n1-table-made-late",
    "n10-upper-read-again",
    "n11-lock-freed-early",
    "n2-invalidation-not-ended",
];

/// The defects that a manager has: the machine's, and its design's own, which stand in one list.
#[derive(Clone, Copy, Debug, Default)]
pub struct Defects {
    machine: u64,
    own: u64,
}

impl Defects {
    /// These defects of a design.
    ///
    /// # Panics
    /// If the design declares no defect of such a name, or they are compiled out.
    pub fn of(design: &DesignInfo, names: &[&str]) -> Self {
        let mut set = Self::default();
        let place = |list: &[DefectInfo], name| list.iter().position(|defect| defect.name == name);
        for name in names {
            let found = design.defects.iter().find_map(|list| place(list, *name));
            let at = found.unwrap_or_else(|| panic!("{} has no defect `{name}`", design.name));
            match place(DEFECTS, *name) {
                Some(at) => set.machine |= 1 << at,
                None => set.own |= 1 << at,
            }
        }
        set
    }

    /// Whether the machine's defect is among them.
    #[inline]
    pub const fn has(self, defect: Defect) -> bool {
        cfg!(feature = "defects") && self.machine & 1 << defect as u8 != 0
    }

    /// Whether the design's defect of this number is among them.
    #[inline]
    pub const fn has_own(self, defect: u8) -> bool {
        cfg!(feature = "defects") && self.own & 1 << defect != 0
    }
}

/// A list of defects as a design declares it: empty where defects are compiled out.
pub const fn listed(defects: &'static [DefectInfo]) -> &'static [DefectInfo] {
    if cfg!(feature = "defects") {
        defects
    } else {
        &[]
    }
}
