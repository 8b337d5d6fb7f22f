//! The named defects of this design: what the series has wrong, what was wrong in its kin, and its
//! orders turned round, each restorable by name in one place of the code.
//!
//! Not here, for it cannot be planted:
//!
//! - listeners that are added while a page is copied (the first version; `mmu_notifier_lock` in the
//!   second): here the listener is there from the beginning;
//! - the barriers around the count: accesses are in one order here;
//! - a writer by the killable or the trying form of mmap_sem that forgets the count: all take one form;
//! - a count that is given up after mmap_sem, not before: a section is the machine's, and tells of its
//!   end while it has the lock;
//! - an area that is freed at once though its address space has got a second user: no call makes threads;
//! - a file that the first version's faults hold by RCU alone: the second one serves no files;
//! - the first version's lookup by the task's cache: right here, since caches are void before an area is
//!   put aside.

/// Whether one named defect is there: `if defect!(cx, TornCopy)`.
macro_rules! defect {
    ($machine:expr, $defect:ident) => {
        $machine.has_own($crate::defects::Defect::$defect as u8)
    };
}
pub(crate) use defect;

vmadiff_machine::defects! {
    TornCopy Interleaved "torn-copy"
        "The copy of a stack that another fault is growing has a start and an offset of different \
         states."
        from "the series of 2021 and 2022, do_user_addr_fault against expand_downwards; found by this \
              project"
        fires "outcome", "state", "commit-point", "misuse-lost-page";
    PolicyUnpinned Interleaved "policy-unpinned"
        "A fault allocates by a policy of which it has copied the pointer and holds nothing."
        from "the series of 2021 and 2022, alloc_page_vma by the copy; the like of CVE-2023-4611"
        fires "misuse-dead-policy", "policy-used-after-free";
    PolicyFreedAtOnce Interleaved "policy-freed-at-once"
        "A policy is freed with its last put, though faults may be about to take a reference to it."
        from "6c21e066f925, CVE-2023-4611"
        fires "misuse-dead-policy", "policy-used-after-free";
    AnonVmaOfTheArea Interleaved "anon-vma-of-the-area"
        "A store asks the area for its anon_vma, which it let go when it had copied it."
        from "657b5146955e"
        fires "misuse-dead-vma", "misuse-dead-anon", "outcome", "state";
    SegvByCopy Interleaved "segv-by-copy"
        "SIGSEGV is sent by flags that were copied, before the count has vouched for them."
        from "the series of 2019, patch 22; this one gives up"
        fires "outcome";
    MissingUnasked Serial "missing-unasked"
        "A fault serves a missing page of an area that is registered with userfaultfd."
        from "the series of 2019, patch 22, review"
        fires "outcome", "state";
    FreedUnderCopy Interleaved "freed-under-copy"
        "An area is freed as soon as it is removed, while a fault may be copying it."
        from "vm_area_free before the series; made up"
        fires "grace-period", "misuse-dead-vma";
    CopiedOutsideRcu Interleaved "copied-outside-rcu"
        "The read section ends with the lookup, before the area is copied."
        from "do_user_addr_fault, rcu_read_unlock; made up"
        fires "misuse-dead-vma", "misuse-dead-policy";
    CountedAtUnlock Interleaved "counted-at-unlock"
        "The count moves by two when mmap_sem is given up, and not when it is taken."
        from "mmap_seq_write_start; made up"
        fires "outcome", "state", "frame-leaked", "left-over", "misuse-freed-in-tlb", "misuse-dead-frame";
    CountedAtLock Interleaved "counted-at-lock"
        "The count moves by two when mmap_sem is taken, and not when it is given up."
        from "mmap_seq_write_end; made up"
        fires "outcome", "state", "frame-leaked", "left-over", "misuse-freed-in-tlb", "misuse-dead-frame";
    CountedAfterCopy Interleaved "counted-after-copy"
        "A fault goes by the count that it reads when it has copied its area."
        from "mmap_seq_read_start; made up"
        fires "outcome", "state", "frame-leaked", "left-over", "misuse-freed-in-tlb", "misuse-dead-frame";
    TablesUnasked Interleaved "tables-unasked"
        "The page tables are looked at again, with interrupts off anew, before the count is."
        from "pte_map_lock, the first check; made up"
        fires "misuse-dead-table", "misuse-freed-table-in-use";
    LockUnasked Interleaved "lock-unasked"
        "The count is not looked at under the page-table lock."
        from "pte_map_lock, the second check; made up"
        fires "outcome", "state", "frame-leaked", "left-over";
}
