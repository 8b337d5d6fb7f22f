//! The named defects of per-VMA locks: what was wrong in Linux, and orders that matter there, each
//! restorable by name in one place of the code.
//!
//! Not expressible here, of the bugs that per-VMA locks had:
//!
//! - order of the number's loads and stores (b1f02b95758d), of an anon_vma's fields (b6ac0b3f6013): a
//!   simulation has no weak memory;
//! - the collapse that checks a middle entry before it has the lock (366a4532d96f): DONTNEED frees no
//!   tables in 5.1; that it takes no lock at all is the machine's `a10-collapse-unnoticed`;
//! - sharing of huge page tables (CVE-2025-38084), PROCMAP_QUERY (b5cbacd7f86f), UFFDIO_MOVE
//!   (adef440691ba), MREMAP_DONTUNMAP (657b5146955e, as it was found): calls younger than 5.1;
//! - a writer that is killed while it waits (faf3c923523e): tasks are not killed in the midst of a call;
//!   its lost subtraction is `o13-offset-stays`;
//! - nodes of the maple tree under readers (CVE-2023-3269, cfeb6ae8bcb9, bea07fd63192): no such tree.

/// Whether one named defect is there: `if defect!(cx, PutOfNone)`.
macro_rules! defect {
    ($machine:expr, $defect:ident) => {
        $machine.has_own($crate::defects::Defect::$defect as u8)
    };
}
pub(crate) use defect;

vmadiff_machine::defects! {
    RetryCounted Serial "e19-retry-counted"
        "A fault that gives up its area's lock is counted, and counted again when it is served."
        from "53156443a303"
        fires "state";
    NewUnlocked Interleaved "e2-new-unlocked"
        "A new area enters the tree unlocked, and is served from while its writer is still at it."
        from "33313a747e81 and 1c7873e33645"
        fires "outcome", "state", "commit-point", "misuse-dead-vma", "vma-freed-referenced";
    ParentUnlocked Interleaved "e3-parent-unlocked"
        "fork copies areas of the parent that it has not locked: a fault copies a page while another \
         processor still stores to the old one."
        from "fb49c455323f"
        fires "outcome", "state", "misuse-freed-in-tlb";
    AnonBeforeLock Interleaved "e4-anon-before-lock"
        "An adjustment takes an anon_vma over into an area that it has not locked yet; where the links \
         cannot be had, it takes it back from under a fault."
        from "d8ab9f7b644a"
        fires "outcome", "state", "misuse-dead-anon", "commit-point", "misuse-lost-page";
    StackUnlocked Interleaved "e6-stack-unlocked"
        "A stack grows without its lock."
        from "c137381f71ae"
        fires "outcome", "state", "commit-point", "misuse-lost-page";
    PolicyUnlocked Interleaved "e7-policy-unlocked"
        "mbind replaces the policy of an area that it has not locked."
        from "6c21e066f925, CVE-2023-4611"
        fires "misuse-dead-policy", "policy-used-after-free", "outcome", "state";
    MarksFallInside Interleaved "e10-marks-fall-inside"
        "What is locked opens in the midst of a call that still holds mmap_sem for writing."
        from "mm_drop_all_locks, fixes eeff9a5d47f8; here in mremap"
        fires "outcome", "state", "frame-leaked", "left-over", "misuse-freed-in-tlb";
    WalkEndsEarly Interleaved "e11-walk-ends-early"
        "mbind's walk ends at the first area, and the others get their policy unlocked."
        from "49b0638502da"
        fires "misuse-dead-policy", "policy-used-after-free", "outcome", "state";
    WakesAfterPut Interleaved "e12-wakes-after-put"
        "The reference of an area that is another address space's is put, and then that address space is \
         looked at, which may be gone."
        from "9bbffee67ffd, CVE-2025-38554"
        fires "misuse-dead-mm";
    WalkGoesOn Interleaved "e13-walk-goes-on"
        "A lookup that has left its read section goes on where it was in the tree."
        from "fixes 0b16f8bed19c"
        fires "misuse-stale-walk";
    RaisedFromZero Interleaved "e16-raised-from-zero"
        "A reader does not see that an area was detached, and raises its count from zero."
        from "lock_vma_under_rcu, the check of detached"
        fires "misuse-dead-vma", "vma-freed-referenced", "vma-used-after-free", "vma-references",
            "misuse-lock-below-zero", "outcome", "state";
    PutOfNone Interleaved "e17-put-of-none"
        "A fault that found its area detached puts a reference that it did not get."
        from "the first version of vm_refcnt, a stray vma_end_read"
        fires "misuse-lock-below-zero", "misuse-dead-vma", "vma-references";
    ForeignUnchecked Interleaved "b7-foreign-unchecked"
        "A reader does not look whether what it has locked is an area of its own address space."
        from "vma_start_read in review, SLAB_TYPESAFE_BY_RCU"
        fires "outcome", "state", "commit-point", "misuse-dead-vma", "frame-leaked", "left-over";
    RangeBeforeLock Interleaved "b7-range-before-lock"
        "A reader looks at the range before it has the lock: the area may be another by then."
        from "lock_vma_under_rcu in review, SLAB_TYPESAFE_BY_RCU"
        fires "outcome", "state", "misuse-dead-vma", "frame-leaked", "left-over", "commit-point";
    ProtectLate Interleaved "o3-protect-late"
        "mprotect locks an area when it has changed it."
        from "the order of vma_start_write and what it is for; made up"
        fires "outcome", "state", "commit-point";
    SourceUnlocked Interleaved "o4-source-unlocked"
        "mremap moves pages from an area that it has not locked."
        from "move_vma; made up"
        fires "outcome", "state", "frame-leaked", "left-over", "misuse-freed-in-tlb";
    ForkOpensEarly Interleaved "o6-fork-opens-early"
        "What fork has locked opens before the TLBs are flushed."
        from "dup_mmap, the order of flush and unlock; made up"
        fires "outcome", "state", "misuse-freed-in-tlb";
    DetachedLate Interleaved "o7-detached-late"
        "munmap detaches its areas when mmap_sem is held for reading again."
        from "vms_complete_munmap_vmas, the order of detach and downgrade; made up"
        fires "outcome", "state", "frame-leaked", "left-over", "misuse-dead-table", "commit-point",
            "misuse-freed-in-tlb", "misuse-freed-table-in-use";
    AttachedEarly Interleaved "o8-attached-early"
        "A new area can be locked before it is what it is to be."
        from "vma_mark_attached, the order of fields and count; made up"
        fires "outcome", "state", "vma-references", "vma-freed-referenced", "commit-point",
            "misuse-dead-vma";
    NumberOfTheArea Interleaved "o10-number-of-the-area"
        "A reader without a reference asks the area for its address space, to compare by its number."
        from "vma_start_read in review, SLAB_TYPESAFE_BY_RCU"
        fires "misuse-dead-vma";
    OffsetStays Interleaved "o13-offset-stays"
        "A writer that had to wait leaves the area closed to readers for good."
        from "faf3c923523e, which a killed writer did"
        fires "vma-references";
    FreedWithReaders Interleaved "o14-freed-with-readers"
        "An area is freed while a reader is about to see that it is locked."
        from "vma_mark_detached; made up"
        fires "vma-freed-referenced", "misuse-dead-vma", "vma-used-after-free";
}
