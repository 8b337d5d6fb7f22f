//! Why a speculative fault gives up and goes on under mmap_sem, by the series' own names
//! (`SPF_ABORT_*`), in the order of its checks. The numbers that are missing are the machine's.

vmadiff_machine::reasons! {
    ONE_USER 0 "OneUser" true
        "The address space has one user.";
    ODD 1 "Odd" false
        "The count is odd: somebody has mmap_sem for writing.";
    UNMAPPED 2 "Unmapped" true
        "No area at the address.";
    NO_SPECULATE 3 "NoSpeculate" true
        "The area is no private anonymous memory.";
    POLICY_GONE 4 "PolicyGone" false
        "The policy that was copied has no reference left.";
    VMA_COPY 5 "VmaCopy" false
        "The count moved while the area was looked up and copied.";
    ACCESS_ERROR 6 "AccessError" true
        "The flags that were copied refuse the access.";
    GROWS 7 "Grows" true
        "The area may grow, of which the count knows nothing (the series goes on).";
    USERFAULTFD 8 "Userfaultfd" true
        "The page is missing, and missing pages are userfaultfd's.";
    ANON_VMA 9 "AnonVma" true
        "A store, or a page to be swapped in, and the area has no anon_vma yet.";
    SEQ1 17 "Seq1" false
        "The count moved before the page-table lock was tried.";
    SEQ2 18 "Seq2" false
        "The page-table lock was held and the count moved meanwhile.";
}
