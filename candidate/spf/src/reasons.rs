//! Why a speculative fault gives up and goes on under mmap_sem, in the order of the checks in
//! `handle_speculative_fault` (patch 22). The numbers that are missing are the machine's.

vmadiff_machine::reasons! {
    ONE_USER 0 "OneUser" true
        "The address space has one user.";
    NO_VMA 1 "NoVma" true
        "No VMA at or above the address.";
    SEQUENCE_ODD 2 "SequenceOdd" false
        "The VMA's sequence count is odd: a writer is at work.";
    VM_OPS 3 "VmOps" true
        "The VMA has `vm_ops->fault`, or other operations that speculation does not serve.";
    NO_ANON_VMA 4 "NoAnonVma" true
        "The VMA has no anon_vma yet.";
    USERFAULT 5 "Userfault" true
        "Missing pages are userfaultfd's.";
    GROWS 6 "Grows" true
        "The area may grow.";
    OUTSIDE 7 "Outside" true
        "The address lies outside the bounds.";
    ACCESS 8 "Access" true
        "The VMA's flags refuse the access (v12 sends SIGSEGV here).";
    NOT_EXECUTABLE 9 "NotExecutable" true
        "An instruction fetch from an area that is not executable (v12 does not check).";
    INTERLEAVE 10 "Interleave" true
        "The policy is MPOL_INTERLEAVE.";
    CHANGED_IN_WALK 13 "ChangedInWalk" false
        "The sequence count changed during the walk.";
    CHANGED_BEFORE_LOCK 17 "ChangedBeforeLock" false
        "The VMA changed before the page-table lock was tried.";
    CHANGED_AFTER_LOCK 18 "ChangedAfterLock" false
        "The page-table lock was held and the VMA changed meanwhile.";
    UNSERVED 22 "Unserved" false
        "Another reason, of a fault that speculation does not serve.";
}
