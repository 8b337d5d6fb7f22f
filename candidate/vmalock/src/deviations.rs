//! Where this design does otherwise than Linux 6.15. The marks stand in the code where they apply. What
//! the machine does otherwise is its own list.

use vmadiff_contract::Deviation;

/// From Linux 6.15.
pub static DEVIATIONS: &[Deviation] = &[
    Deviation::stays(
        "grows-written",
        "5.1 grows a stack under mmap_sem for reading; here a fault below one takes it for writing, as \
         since 6.5, since an area's lock is taken by its writers only.",
        "What else grows under the read lock: StackRot (CVE-2023-3269), and an area whose start is new \
         and whose offset is old.",
    ),
    Deviation::stays(
        "index-in-one-step",
        "Linux finds areas in a maple tree, whose nodes are replaced and freed by RCU; here in an index \
         that changes in one step.",
        "Walks in nodes that are freed or half written (CVE-2023-3269, cfeb6ae8bcb9, bea07fd63192).",
    ),
    Deviation::stays(
        "erased-one-by-one",
        "Linux locks and detaches all areas of an unmapping before it clears the tree, and stores a new \
         mapping over those that it replaces; here each leaves when it is detached, as 5.1's tree has it.",
        "Faults that find areas which are detached and still in the tree.",
    ),
    Deviation::stays(
        "locked-at-link",
        "Linux locks a new area before it has the locks of its file's list and of its anon_vma; here when \
         it enters the tree.",
        "Inversions of these locks, as the first mending of 33313a747e81 had one.",
    ),
    Deviation::stays(
        "exit-unlocked",
        "Linux tears an address space down with mmap_sem for writing and locks each area; here, as in \
         5.1, nothing is held, since nobody is left.",
        "Whoever comes to an address space without users: the OOM reaper.",
    ),
    Deviation::stays(
        "no-kill",
        "fork's wait for a reader can be killed (since 7.0); here it ends when the reader leaves.",
        "Offsets that stay (faf3c923523e), but for `o13-offset-stays`.",
    ),
    Deviation::stays(
        "waits-for-the-count",
        "A writer sleeps on its address space and is woken by the last reader; here it waits for the count, \
         and the wake-up is a look at the address space.",
        "Wake-ups that are lost.",
    ),
    Deviation::stays(
        "waits-for-pages",
        "A fault that has to wait for the lock of a page gives its area's lock up and is served under \
         mmap_sem; here it waits with the area locked.",
        "Results of a fault that has given its lock up (7686762d1ed0), and deadlocks with the page's lock.",
    ),
    Deviation::stays(
        "mmap-sem-tried-first",
        "A store to an area without an anon_vma tries mmap_sem when it needs one, having looked at its entry; \
         here before, and it is held until the fault is served.",
        "Faults that give up with half of their way behind them.",
    ),
    Deviation::stays(
        "fetch-falls-back",
        "Linux refuses a fetch from an area that is not executable under the area's lock; here such a fault \
         goes on under mmap_sem, which knows by which entry it was refused.",
        "Wrong refusals of fetches.",
    ),
    Deviation::stays(
        "map-pages-asked-first",
        "Linux asks for `map_pages` when it knows that a page of a file is missing; here before, so that \
         no fault in such an area is served without mmap_sem.",
        "Stores to present pages of devices, under the area's lock.",
    ),
];
