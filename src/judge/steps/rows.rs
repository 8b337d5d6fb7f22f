//! Which rows of the reference's lists a candidate has to mark where they do something that others
//! can see. The other rows may be marked; where they are not, their steps are taken as they come.

use vmadiff_contract::{Offer, StepKind};

/// Reads that no lock keeps until their effect: others may come between, stacks that grow beside
/// who holds mmap_sem for reading. All other rows that decide hold it for writing, and can be taken with
/// the step that they decide about.
const DECIDING: &[(&str, &[u8])] = &[
    ("fault", &[0, 1, 3, 4, 5, 6, 7, 10, 16]),
    ("may_expand_vm", &[0, 1]),
    ("madvise", &[0]),
    ("mlock_future_check", &[0]),
    ("populate", &[1]),
    ("reclaim", &[0, 1, 2]),
    ("open, close, ftruncate, fallocate", &[2]),
    ("evict", &[1]),
    ("get_mempolicy", &[0]),
    ("mlock, mlock2, munlock", &[0, 1]),
    ("mlockall, munlockall", &[0, 1]),
    ("collapse", &[0]),
    ("fork", &[0, 4]),
    ("exit", &[1]),
    ("msync, mincore", &[0]),
];

/// Whether a step that others can see has to be marked.
pub fn must_be_marked(offer: &Offer) -> bool {
    if offer.list == "reclaim" && offer.kind == StepKind::Copy {
        // Faults wait for it, so nobody sees when it is done.
        return false;
    }
    match offer.kind {
        StepKind::Walk
        | StepKind::Touch
        | StepKind::Entry
        | StepKind::Pass
        | StepKind::Flush
        | StepKind::Cut
        | StepKind::Merge
        | StepKind::Link
        | StepKind::Detach
        | StepKind::Resize
        | StepKind::Flags
        | StepKind::Charge
        | StepKind::Count
        | StepKind::Number
        | StepKind::Descriptor
        | StepKind::Anon
        | StepKind::Copy
        | StepKind::Size
        | StepKind::Drop => true,
        StepKind::Decide => {
            let of =
                |&(list, rows): &(&str, &[u8])| list == offer.list && rows.contains(&offer.row);
            DECIDING.iter().any(of)
        }
        // A file's areas are walked over until they leave its list.
        StepKind::Unlink => matches!((offer.list, offer.row), ("munmap", 7) | ("exit", 7)),
        StepKind::Uncharge
        | StepKind::Allocate
        | StepKind::Policy
        | StepKind::Put
        | StepKind::Return => false,
    }
}

/// Whether a mark of this kind can tell of a step: mincore's look at an entry is a pass, too.
pub fn may_tell(kind: StepKind, offer: &Offer) -> bool {
    let looks = offer.list == "msync, mincore" && kind == StepKind::Pass;
    let cuts = offer.list == "munmap" && offer.row == 0 && kind == StepKind::Decide;
    // A move that could not unmap its source gives the charge of what remains back.
    let undone = offer.list == "move an area" && offer.row == 6 && kind == StepKind::Uncharge;
    kind == offer.kind || undone || looks && offer.kind == StepKind::Decide || cuts
}
