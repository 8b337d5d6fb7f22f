//! Where this design does otherwise than the series. The marks stand in the code where they apply;
//! `mmseq-as-posted` has all that can be undone. What the machine does otherwise is its own list.

use vmadiff_contract::Deviation;

/// From the series.
pub static DEVIATIONS: &[Deviation] = &[
    Deviation::undone(
        "torn-copy",
        "torn-copy",
        "The series copies stacks like any area, though they grow under mmap_sem for reading, of which \
         the count knows nothing; here a fault in an area that grows goes on under mmap_sem.",
        "Pages of stacks with an index that no walk by their anon_vma asks for.",
    ),
    Deviation::undone(
        "policy",
        "policy-unpinned",
        "The series allocates by a policy of which it has the pointer alone, and mbind puts policies at \
         once; here a fault takes a reference, unless it is too late for that, and the memory stays \
         until readers have left.",
        "Policies used after they were freed.",
    ),
    Deviation::undone(
        "N11",
        "n11-lock-freed-early",
        "A page-table lock that has memory of its own is freed before its table waits for walkers, which \
         the count does not help against; here table and lock are one.",
        "A lock that is tried after it was freed (D. Hildenbrand on the second version).",
    ),
    Deviation::stays(
        "alone-waits",
        "The series frees an area at once if its address space has one user; here it waits for readers \
         all the same.",
        "An area that goes at once though the address space has got a second user meanwhile.",
    ),
    Deviation::stays(
        "lock-tried-again",
        "The series gives up if somebody holds the page-table lock; here the machine tries again, as in \
         the series of 2019.",
        "Nothing: it looks at the count each time.",
    ),
    Deviation::stays(
        "swap-served",
        "The second version serves no page that was swapped out, the first one those in the swap cache; \
         here there is no such cache, and those are served that one entry names.",
        "Pages that are being read ahead.",
    ),
    Deviation::stays(
        "no-notifier-lock",
        "The second version tries a lock that keeps listeners from being added while a page is copied; \
         here the listener is there from the beginning.",
        "A listener that is told of an end without a beginning, as by the first version.",
    ),
];
