//! Where this design does otherwise than v12. What v12 does is wrong in each case, or not worth it;
//! the defect that is named brings it back, and `spf-as-posted` has them all. The marks stand in the
//! code where they apply. What the machine does otherwise is its own list.

use vmadiff_contract::Deviation;

/// From v12.
pub static DEVIATIONS: &[Deviation] = &[
    Deviation::undone(
        "A11",
        "a11-bracket-under-read",
        "v12 brackets `unmap_page_range`, `madvise_free_page_range`, `change_prot_numa` and \
         `expand_downwards`; here they are not, since an area that is unmapped has left the tree \
         with its node cleared, one that stays may be faulted in again at any time, and stacks \
         are refused.",
        "Two writers in one count whose increments are plain, where mmap_sem is held for reading or \
         not at all.",
    ),
    Deviation::undone(
        "A22",
        "a22-policy-without-reference",
        "v12 frees a policy with its last put, while a fault that holds none reads it; here a fault \
         takes a reference, unless it is too late for that, and the memory stays until readers have \
         left.",
        "Policies used after they were freed.",
    ),
    Deviation::undone(
        "A23",
        "a23-lookup-by-cache",
        "v12's lookup asks the task's cache of areas first; here the tree is walked, as in Android.",
        "Areas that were erased before the read section began.",
    ),
    Deviation::undone(
        "A25",
        "a25-wrong-segv",
        "v12 answers SIGSEGV by flags that nothing vouches for; here such a fault goes on under \
         mmap_sem.",
        "Signals for memory that was accessible all the time.",
    ),
    Deviation::undone(
        "A25-MAPERR",
        "a25-segv-as-maperr",
        "v12's hook makes MAPERR of every refusal; here mmap_sem's fault says ACCERR.",
        "Signal handlers that are told the wrong reason.",
    ),
    Deviation::undone(
        "A26",
        "a26-exec-unchecked",
        "v12 does not check instruction fetches; here they are.",
        "A task that faults for ever on a page that is not executable.",
    ),
    Deviation::undone(
        "A27",
        "a27-major-lost",
        "v12's hook forgets that a device was read; here the fault counts as major.",
        "Wrong counts of faults.",
    ),
    Deviation::undone(
        "A28",
        "a28-source-open-early",
        "v12 opens the place that mremap moves from when the entries have left; here it stays shut until \
         it is unmapped, by a mark beside the count, for brackets do not nest.",
        "Zeroes mapped where the task's data was.",
    ),
    Deviation {
        mark: "no-file-asked",
        what: "v12 asks an area's file how to allocate (`__get_fault_gfp_mask`); here nobody does, and \
               no area is anonymous and has a file.",
        hides: "A file that was put, with A24.",
        undone_by: None,
    },
];
