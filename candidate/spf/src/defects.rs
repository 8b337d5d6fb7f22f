//! The named defects of the series: what v12 has wrong, what was wrong on the way to it and in its
//! successors, and what is made up, each restorable by name in one place of the code.

/// Whether one named defect is there: `if defect!(cx, NoRcuReadLock)`.
macro_rules! defect {
    ($machine:expr, $defect:ident) => {
        $machine.has_own($crate::defects::Defect::$defect as u8)
    };
}
pub(crate) use defect;

vmadiff_machine::defects! {
    NotInitialised Serial "a8-sequence-not-initialised"
        "A VMA that is copied keeps the count and the sequence of its original."
        from "found in the series by D. Rientjes and LKP"
        fires "vma-references", "vma-sequence", "vma-leaked";
    ExitKeepsTreeReference Serial "a20-exit-keeps-tree-reference"
        "The teardown of an address space drops the allocation's reference of each VMA and not the \
         tree's."
        from "series patch 21, __remove_vma"
        fires "vma-leaked", "left-over";
    UserfaultUnchecked Serial "a18-userfault-unchecked"
        "A speculative fault serves a page of an area that is registered with userfaultfd."
        from "series patch 22, review"
        fires "outcome", "state";
    ExecUnchecked Serial "a26-exec-unchecked"
        "A speculative fault serves an instruction fetch from an area that is not executable."
        from "series patches 22 and 28"
        fires "livelock", "outcome";
    SegvAsMapErr Serial "a25-segv-as-maperr"
        "A speculative fault answers what the area's flags refuse itself, as if there were no area."
        from "series patches 22 and 28"
        fires "outcome";
    MajorLost Serial "a27-major-lost"
        "A speculative fault that read from the swap device counts as minor."
        from "series patch 28"
        fires "state";
    AdjustLeavesOpen Serial "a3-adjust-leaves-open"
        "Where the memory for an anon_vma import is missing, the sequence counts stay odd."
        from "series patch 11, found by D. Rientjes in the ninth version"
        fires "vma-sequence";
    PutTooMany Serial "put-too-many"
        "A speculative fault that gives up on the area's flags puts the VMA twice."
        from "handle_speculative_fault's exits; made up"
        fires "vma-references", "misuse-put-below-zero";
    GetTooFew Serial "get-too-few"
        "A VMA enters the tree without a reference of the tree's."
        from "series patch 21, vma_rb_insert; made up"
        fires "vma-references";
    DestinationOpen Interleaved "a1-destination-open"
        "The place that mremap moves to is open to speculation before the entries are there."
        from "series patch 11"
        fires "outcome", "state", "frame-leaked", "left-over";
    SourceOpenEarly Interleaved "a28-source-open-early"
        "The place that mremap moves from is open to speculation before it is unmapped."
        from "series patch 11, move_vma"
        fires "outcome", "state";
    AnonBeforeCount Interleaved "b1-anon-before-count"
        "A speculative fault looks for the anon_vma before it samples the sequence count."
        from "657b5146955e"
        fires "outcome", "state", "misuse-dead-anon", "misuse-dead-vma";
    PolicyFreedAtOnce Interleaved "b3-policy-freed-at-once"
        "A policy that mbind replaced is freed with its last put, while a fault reads it."
        from "6c21e066f925, CVE-2023-4611"
        fires "misuse-dead-policy", "policy-used-after-free";
    ForkWithoutBracket Interleaved "a4-fork-without-bracket"
        "fork write-protects a parent's entries while speculative faults copy its pages, before the \
         TLBs are flushed."
        from "series patch 18, found by V. Menon and G. Mahendran"
        fires "outcome", "state", "misuse-freed-in-tlb";
    BoundsBeforeCount Interleaved "a6-bounds-before-count"
        "A speculative fault looks at the bounds before it samples the sequence count."
        from "V. Menon's report, series patch 23"
        fires "outcome", "state", "frame-leaked", "left-over";
    BracketUnderRead Interleaved "a11-bracket-under-read"
        "Zapping brackets the sequence count where mmap_sem is not held for writing."
        from "series patches 09 and 10"
        fires "misuse-sequence-nested", "vma-sequence";
    NodeNotCleared Interleaved "a19-node-not-cleared"
        "A VMA that left the tree still looks as if it were in it."
        from "series patch 21"
        fires "outcome", "state", "frame-leaked", "left-over", "misuse-dead-frame",
            "misuse-dead-table", "misuse-freed-table-in-use", "misuse-freed-in-tlb";
    FreedAtOnce Interleaved "a21-freed-at-once"
        "A VMA that is merged away is freed at once, whoever holds a reference."
        from "series patch 20, __vma_adjust"
        fires "misuse-dead-vma", "vma-freed-referenced", "vma-used-after-free";
    LookupByCache Interleaved "a23-lookup-by-cache"
        "The lookup without mmap_sem asks the task's cache of areas, which is invalidated late."
        from "series patch 21, find_vma_rcu"
        fires "misuse-dead-vma", "misuse-get-from-zero", "vma-used-after-free";
    WrongSegv Interleaved "a25-wrong-segv"
        "A speculative fault answers SIGSEGV by flags that it does not revalidate."
        from "series patches 22 and 28"
        fires "outcome";
    SkipLastRecheck Interleaved "skip-last-recheck"
        "A speculative fault does not look at the VMA again after it has the page-table lock."
        from "series patch 22, pte_map_lock; made up"
        fires "outcome", "state", "frame-leaked", "left-over", "misuse-dead-frame",
            "misuse-dead-table", "misuse-freed-in-tlb";
    NoReference Interleaved "no-reference"
        "The lookup without mmap_sem takes no reference."
        from "series patch 21, find_vma_rcu; made up"
        fires "misuse-dead-vma", "vma-used-after-free";
    NoRcuReadLock Interleaved "no-rcu-read-lock"
        "The lookup without mmap_sem is no RCU read section."
        from "series patch 21, find_vma_rcu; made up"
        fires "misuse-dead-vma", "misuse-get-from-zero", "vma-used-after-free";
    PutWithoutGracePeriod Interleaved "put-without-grace-period"
        "The tree's reference is put as soon as the VMA is erased."
        from "series patch 21, vm_rcu_put; made up"
        fires "grace-period", "misuse-dead-vma", "misuse-get-from-zero",
            "vma-used-after-free";
    PolicyWithoutReference Interleaved "a22-policy-without-reference"
        "A speculative fault uses a policy without a reference, and the last put frees it at once."
        from "series patches 10 and 22"
        fires "misuse-dead-policy", "policy-used-after-free";
}
