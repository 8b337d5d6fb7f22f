//! Where the machine does otherwise than Linux 5.1 and the series on it: one list, of which the
//! documents and the designs that undo it are made. Each entry's mark stands in the code where it
//! applies.

use vmadiff_contract::Deviation;

/// From Linux 5.1, whatever the design.
pub static KERNEL: &[Deviation] = &[
    Deviation::undone(
        "A31",
        "a31-index-while-growing",
        "5.1 takes a page's index of a stack without a lock while another fault grows it; here \
         page_table_lock is held for it.",
        "Pages of stacks with an index that no walk by their anon_vma asks for.",
    ),
    Deviation::undone(
        "2555283eb40d",
        "anon-reused-twice",
        "5.1 counts the areas that point at an anon_vma and its children in one; here apart (since 6.0).",
        "Areas with other links that get one anon_vma by forks and are merged, and pages of an anon_vma \
         that is freed while they are mapped (CVE-2022-42703).",
    ),
    Deviation::undone(
        "5543d3c43c41",
        "uffd-own-offset",
        "5.1's userfaultfd merges a part of an area by the offset of the whole area; here by the part's own \
         (since 6.4).",
        "Areas that are merged where they do not follow on one another, and pages that no walk by their \
         anon_vma comes to.",
    ),
    Deviation::undone(
        "246c320a",
        "munmap-beside-stack",
        "5.1 goes on under mmap_sem for reading when munmap has detached its areas; here not if the \
         area above is a stack (since 5.8).",
        "Stacks that grow into a range while its pages and tables are taken out.",
    ),
    Deviation::stays(
        "flush-in-order",
        "Processors answer the interrupt of a flush in any order on Linux; here in the order of their \
         numbers.",
        "What needs the processor of a higher number to answer before that of a lower one.",
    ),
    Deviation::stays(
        "copy-breaks",
        "5.1's fork gives page-table locks up after some entries if somebody waits for them or its time is \
         over; here whenever it looks.",
        "Nothing: each of its holds is a part of one of the kernel's.",
    ),
    Deviation::stays(
        "no-page-lock",
        "5.1 takes the page lock where a store reuses a page, and may have to try again; here counts \
         are read under the page-table lock alone.",
        "Reuse of a page that is being swapped out.",
    ),
    Deviation::stays(
        "collapse-isolates-first",
        "5.1 clears the middle entry before it isolates pages, can fail then and put the table back; \
         here pages are isolated first, and nothing can fail.",
        "The time without a middle entry, and collapses that are undone.",
    ),
    Deviation::stays(
        "slots-are-new",
        "A slot of the swap device is used again on Linux; here each has a number of its own.",
        "An entry that is gone and comes back the same (the kind of CVE-2024-26759).",
    ),
    Deviation::stays(
        "move-locks-lists",
        "5.1 takes the locks of anon_vma and file for a move only where the order of lists does not \
         see to it; here they are always taken.",
        "Walks that miss a page while it moves (the kind of 97113eb39fa7).",
    ),
    Deviation::stays(
        "reclaim-reads",
        "5.1 isolates pages for reclaim without mmap_sem; here it is held for reading, to find the \
         page by its address.",
        "Reclaim beside whoever writes areas.",
    ),
    Deviation::stays(
        "no-batched-flush",
        "5.1 may put off the flushes of reclaim and do them at once for many pages; here each page's is \
         done before it is written out.",
        "Stores by an entry that reclaim has cleared and not yet flushed.",
    ),
    Deviation::stays(
        "listener-counts",
        "5.1 tells listeners of an address space that entries become invalid, and that they have; here one \
         listener counts, in no time, and is there from the beginning.",
        "What a listener does in between, and one that is being added.",
    ),
    Deviation::stays(
        "grow-begins-early",
        "5.1's stack grows under page_table_lock, where v12 has its bracket; here a design is told \
         just before the lock is taken.",
        "With `a11`, a bracket that is wider than v12's by one lock.",
    ),
    Deviation::stays(
        "treap",
        "The tree of areas is red-black on Linux, which erases by moving a successor into the place; \
         here it is a treap, which rotates what it erases down to a leaf.",
        "Other states of the tree while it is written, and lookups that miss in others.",
    ),
    Deviation::stays(
        "links-unseen",
        "Links of anon_vmas, lists of areas and counters are single accesses on Linux; here most of \
         them are no scheduling points.",
        "A lock that is missing around them shows only by what stands beside.",
    ),
];

/// From the series whose faults go without mmap_sem and ask before they write, where the machine does
/// their page work, and from what v12 changes in the calls.
pub static SERIES: &[Deviation] = &[
    Deviation::undone(
        "A12",
        "a12-table-moved-unlocked",
        "v12 leaves mremap of whole page tables as it is, without the lock of their entries; here the \
         lock is held.",
        "A fault that writes an entry of a table that stands elsewhere by now.",
    ),
    Deviation::undone(
        "A24",
        "a24-merge-keeps-file",
        "v12 puts the file of an area that was merged away and leaves the pointer; here it is forgotten, \
         as in `remove_vma`.",
        "A fault that holds the area and asks its file.",
    ),
    Deviation::undone(
        "A29",
        "a29-pmd-read-again",
        "v12 reads the middle entry again after it has compared it, and once more before it looks at \
         the page's entry; here what was compared is used, as in Android.",
        "A page-table lock looked for in a table that is gone.",
    ),
    Deviation::undone(
        "A30",
        "a30-index-after-split",
        "v12 takes a new page's index of the area when it holds the page-table lock; here it is taken \
         while the count vouches for the bounds.",
        "Pages with an index that no walk by their anon_vma asks for.",
    ),
    Deviation::undone(
        "N1",
        "n1-table-made-late",
        "v12 allocates the page table that a speculative fault misses; here it makes none, as in \
         Android.",
        "Tables that belong to no area, hung below a table that is being freed.",
    ),
    Deviation::undone(
        "N10",
        "n10-upper-read-again",
        "v12 checks an upper entry and reads it again to go down by it; here what was checked is used, \
         as Android sees to.",
        "A walk through an entry that was cleared in between.",
    ),
    Deviation::undone(
        "N11",
        "n11-lock-freed-early",
        "5.1 frees a page-table lock that has memory of its own before the flush that waits for \
         walkers; here table and lock are one.",
        "A lock that is tried after it was freed.",
    ),
    Deviation::stays(
        "swap-vouched",
        "On 64 bits v12 goes on with the swap entry that it read without a lock (`pte_unmap_same` \
         compares nothing); here the area is vouched for and the entry compared first.",
        "N3: migration entries waited for in a table that is gone; slots that were freed meanwhile.",
    ),
    Deviation::undone(
        "N2",
        "n2-invalidation-not-ended",
        "v12 tells listeners that a copy invalidates an entry and not that this has ended, where it gives \
         up; here it does, as in Android.",
        "A listener that waits for ever.",
    ),
    Deviation::stays(
        "no-task-counters",
        "5.1 counts pages per task and adds them up every 64 faults, which a speculative fault never \
         does, nor does it count itself for the cgroup; here counters are exact.",
        "N8: resident sizes that lag behind.",
    ),
];
