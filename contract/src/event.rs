//! What a manager raises while a call runs.
//!
//! Three kinds. **Life**: objects come and go; the judge has laws for them. **Misuse**: a manager
//! caught itself breaking its own protocol; always a finding. **Note**: what happened on the way,
//! for coverage and statistics; never judged.

use crate::{AnonId, Breach, FileId, FrameId, Mark, MmId, PolicyId, Reason, TableId, VmaId};

/// Where a manager sends its events, in the order in which they happen.
pub trait EventSink: Send + Sync {
    /// Takes one event.
    fn event(&self, event: Event);

    /// Takes a mark: a step of a call has taken effect, or has read what decides. A manager need
    /// not mark.
    fn mark(&self, _: Mark) {}

    /// Names this moment of the run, for [`EventSink::mark_since`].
    fn moment(&self) -> u64 {
        0
    }

    /// Takes a mark of what was so from `moment` on and is known to have counted only now: what a
    /// fault has read without a lock, once it has been confirmed.
    fn mark_since(&self, _moment: u64, mark: Mark) {
        self.mark(mark);
    }

    /// Whether marks are listened to. A manager that tells them asks at each boot and reset, and
    /// spares itself the work for who does not follow steps.
    fn listens(&self) -> bool {
        false
    }
}

/// Something that happened inside a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A VMA was allocated, with its allocation reference.
    VmaAlloc {
        /// The new VMA.
        vma: VmaId,
        /// The VMA that it is a copy of (split, fork).
        copy_of: Option<VmaId>,
    },
    /// A VMA entered its address space's tree.
    VmaLink {
        /// Which.
        vma: VmaId,
        /// Into this address space.
        mm: MmId,
    },
    /// A VMA left its tree. At `exit` the tree is not erased and there is no such event.
    VmaUnlink {
        /// Which.
        vma: VmaId,
    },
    /// A counted reference was taken. Only managers that count raise it.
    VmaGet {
        /// Which.
        vma: VmaId,
        /// The count afterwards.
        refs: u32,
    },
    /// A counted reference was put.
    VmaPut {
        /// Which.
        vma: VmaId,
        /// The count afterwards.
        refs: u32,
    },
    /// `vm_ops->open` was called.
    VmaOpen {
        /// For this VMA.
        vma: VmaId,
    },
    /// `vm_ops->close` was called.
    VmaClose {
        /// For this VMA.
        vma: VmaId,
    },
    /// A VMA was freed.
    VmaFree {
        /// Which.
        vma: VmaId,
    },
    /// A VMA gave back its reference to its file.
    FilePut {
        /// The file.
        file: FileId,
        /// The VMA that held it.
        vma: VmaId,
    },
    /// A file lost its last reference: it is gone with its contents.
    FileFree {
        /// Which.
        file: FileId,
    },
    /// An anon_vma was allocated.
    AnonAlloc {
        /// Which.
        anon: AnonId,
    },
    /// An anon_vma was freed.
    AnonFree {
        /// Which.
        anon: AnonId,
    },
    /// A policy was allocated.
    PolicyAlloc {
        /// Which.
        policy: PolicyId,
    },
    /// A policy was freed.
    PolicyFree {
        /// Which.
        policy: PolicyId,
    },
    /// A page frame was allocated.
    FrameAlloc {
        /// Which.
        frame: FrameId,
    },
    /// A page frame was freed.
    FrameFree {
        /// Which.
        frame: FrameId,
    },
    /// A page table was allocated. Only managers that have them raise it.
    TableAlloc {
        /// Which.
        table: TableId,
    },
    /// A page table was freed.
    TableFree {
        /// Which.
        table: TableId,
    },
    /// The manager broke its own protocol.
    Misuse(Misuse),
    /// Coverage and statistics.
    Note(Note),
}

/// A protocol broken inside a manager, noticed where it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Misuse {
    /// A VMA was used after it was freed.
    DeadVma(VmaId),
    /// A page frame was used after it was freed.
    DeadFrame(FrameId),
    /// A page table was used after it was freed.
    DeadTable(TableId),
    /// The lock of a page table was used after it was freed.
    DeadLock(TableId),
    /// A walk went down by an entry that did not name this page table any more, nor another.
    LostTable(TableId),
    /// An anon_vma was used after it was freed.
    DeadAnon(AnonId),
    /// A policy was used after it was freed.
    DeadPolicy(PolicyId),
    /// A file was used after its last reference was put.
    DeadFile(FileId),
    /// A VMA was freed while still in its tree.
    FreedLinked(VmaId),
    /// A frame was freed while a TLB still maps it.
    FreedInTlb(FrameId),
    /// A walk over the areas of a private page's anon_vma does not come to one that maps the page.
    LostPage(FrameId),
    /// A page table was freed while a walker with interrupts off could be in it.
    FreedTableInUse(TableId),
    /// The listener of an address space was told that entries become invalid, and never that this had ended.
    OpenInvalidation(MmId),
    /// The protocol by which the design shares this VMA was broken.
    Breach(VmaId, &'static Breach),
}

/// Something worth counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Note {
    /// vma_merge took this case, 1 to 8.
    Merge(u8),
    /// An area was split, the new one below or above.
    Split {
        /// The new VMA is the lower half.
        below: bool,
    },
    /// A fault was served speculatively.
    Speculative,
    /// A fault was served under mmap_sem.
    Classic,
    /// A speculative fault gave up, for this reason.
    GiveUp(&'static Reason),
    /// A private page was copied for a store.
    Cow,
    /// A private page was made writable in place for a store.
    Reuse,
    /// An error exit was taken whose undo steps are worth seeing; the name is the exit's.
    Undo(&'static str),
}
