//! Why a speculative fault gives up and goes on under mmap_sem. The order is that of the checks in
//! `handle_speculative_fault` (series patch 22).

use vmadiff_contract::Reason;

macro_rules! reasons {
    ($($static:ident $number:literal $name:literal $serial:literal $what:literal;)*) => {
        $(
            #[doc = $what]
            pub static $static: Reason = Reason {
                number: $number,
                name: $name,
                what: $what,
                serial: $serial,
            };
        )*

        /// Every reason.
        pub static REASONS: &[&Reason] = &[$(&$static),*];
    };
}

reasons! {
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
        "The VMA's flags refuse the access (v12 sends SIGSEGV here; the candidate gives up).";
    NOT_EXECUTABLE 9 "NotExecutable" true
        "An instruction fetch from an area that is not executable (v12 does not check).";
    INTERLEAVE 10 "Interleave" true
        "The policy is MPOL_INTERLEAVE.";
    NO_UPPER_TABLE 11 "NoUpperTable" true
        "An upper page table is missing.";
    NO_TABLE 12 "NoTable" true
        "The lowest page table is missing, or the entry is no table.";
    CHANGED_IN_WALK 13 "ChangedInWalk" false
        "The sequence count changed during the walk.";
    NOT_ANONYMOUS 14 "NotAnonymous" false
        "Nothing mapped and the VMA is not anonymous.";
    NEEDS_TABLE 15 "NeedsTable" false
        "A page table was to be allocated.";
    SWAP_READ 16 "SwapRead" true
        "The page is swapped out and reading it would wait.";
    CHANGED_BEFORE_LOCK 17 "ChangedBeforeLock" false
        "The VMA changed before the page-table lock was tried.";
    CHANGED_AFTER_LOCK 18 "ChangedAfterLock" false
        "The page-table lock was held and the VMA changed meanwhile.";
    PMD_CHANGED 19 "PmdChanged" false
        "The page middle directory entry changed.";
    PTE_CHANGED 20 "PteChanged" false
        "The page-table entry changed.";
    NO_MEMORY 21 "NoMemory" true
        "No memory for the page.";
    UNSERVED 22 "Unserved" false
        "Another reason, of a fault that speculation does not serve.";
}
