//! What can be seen of a manager between calls.
//!
//! Flat vectors, so that one snapshot can be filled again and again without allocating, and two
//! can be compared by slices. Everything is ordered as said; the order is part of the equality.

use crate::{
    AnonId, Fd, FileId, FileKind, MmId, Parts, PolicyId, Resource, TaskId, VmFlags, VmaId,
};

/// Everything that can be observed of a manager.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Snapshot {
    /// Live tasks, by number.
    pub tasks: Vec<TaskState>,
    /// Live address spaces, by number.
    pub mms: Vec<MmState>,
    /// Areas, by (address space, start): the order of /proc/PID/maps.
    pub vmas: Vec<VmaState>,
    /// Pages that have an entry in a page table, by (address space, address).
    pub pages: Vec<PageState>,
    /// Bytes that are not zero in those of `pages` that are private copies (`PageState::anon`), by
    /// (address space, address). The bytes of a file's page are in `file_bytes`.
    pub bytes: Vec<ByteState>,
    /// Open descriptors, by (address space, number). A process's tasks share them.
    pub fds: Vec<FdState>,
    /// Live files, by number.
    pub files: Vec<FileState>,
    /// Bytes of files that are not zero, by (file, offset).
    pub file_bytes: Vec<FileByte>,
    /// Pages of files that are not in the page cache, by (file, page).
    pub absent: Vec<AbsentPage>,
    /// Limits that setrlimit has set, by (address space, resource's number).
    pub limits: Vec<LimitState>,
    /// Committed pages over all address spaces (`vm_committed_as`).
    pub committed: u64,
    /// Live frames of private memory, mapped or swapped out: each counts once, however many
    /// address spaces share it. Zero page and page cache do not count.
    pub anon_frames: u64,
    /// Live anon_vmas.
    pub anons: u64,
    /// How the protocol of each linked VMA stands, by VMA. Only managers that count fill it; it is
    /// not compared, it has laws.
    pub protocol: Vec<Protocol>,
}

impl Snapshot {
    /// Empties every vector and keeps their memory.
    pub fn clear(&mut self) {
        self.clear_parts(Parts::ALL);
    }

    /// The same, but of the parts only these.
    pub fn clear_parts(&mut self, parts: Parts) {
        let Self {
            tasks,
            mms,
            vmas,
            pages,
            bytes,
            fds,
            files,
            file_bytes,
            absent,
            limits,
            committed,
            anon_frames,
            anons,
            protocol,
        } = self;
        tasks.clear();
        mms.clear();
        protocol.clear();
        (*committed, *anon_frames, *anons) = (0, 0, 0);
        if parts.areas {
            vmas.clear();
        }
        if parts.pages {
            pages.clear();
            bytes.clear();
        }
        if parts.files {
            fds.clear();
            files.clear();
            file_bytes.clear();
            absent.clear();
            limits.clear();
        }
    }
}

/// A live task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TaskState {
    /// Which.
    pub task: TaskId,
    /// Its address space.
    pub mm: MmId,
    /// Faults served without reading from a device.
    pub minor_faults: u64,
    /// Faults served by reading from a device.
    pub major_faults: u64,
    /// Its own policy.
    pub policy: Option<PolicyId>,
}

/// A live address space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct MmState {
    /// Which.
    pub mm: MmId,
    /// Areas (`map_count`).
    pub map_count: u32,
    /// `total_vm`, pages.
    pub total_pages: u64,
    /// `locked_vm`, pages.
    pub locked_pages: u64,
    /// `data_vm`, pages: private, writable, not a stack.
    pub data_pages: u64,
    /// `stack_vm`, pages.
    pub stack_pages: u64,
    /// `exec_vm`, pages: executable, neither writable nor a stack.
    pub exec_pages: u64,
    /// Resident private pages (`MM_ANONPAGES`).
    pub rss_anon: u64,
    /// Resident pages of files and shared anonymous memory (`MM_SHMEMPAGES`: files live in tmpfs).
    pub rss_file: u64,
    /// Swapped-out pages (`MM_SWAPENTS`).
    pub swap_entries: u64,
    /// The end of the heap.
    pub brk: u64,
    /// Flags that mlockall(MCL_FUTURE) gives to new areas.
    pub def_flags: VmFlags,
}

/// An area.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct VmaState {
    /// Its address space.
    pub mm: MmId,
    /// First byte.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
    /// Which VMA it is: the survivor of a merge keeps its name.
    pub vma: VmaId,
    /// What it is.
    pub flags: VmFlags,
    /// Offset in pages: of the file, or `start` >> 12 where it was mapped for private memory.
    pub pgoff: u64,
    /// What it maps: a file, or shared anonymous memory's own object.
    pub file: Option<FileId>,
    /// Its policy.
    pub policy: Option<PolicyId>,
    /// Its anon_vma.
    pub anon: Option<AnonId>,
    /// How many anon_vmas its chain names; more than one: not singular.
    pub anon_chain: u32,
}

/// A page that has an entry in a page table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PageState {
    /// The address space.
    pub mm: MmId,
    /// The page's address.
    pub addr: u64,
    /// In memory; else swapped out.
    pub present: bool,
    /// The entry allows loads. Without it (PROT_NONE) it allows nothing.
    pub readable: bool,
    /// The entry allows stores without a fault.
    pub writable: bool,
    /// The entry allows instruction fetches.
    pub executable: bool,
    /// A private page (a copy, or first written here); else the zero page or the file's page.
    pub anon: bool,
    /// The shared zero page.
    pub zero: bool,
}

/// A byte that is not zero in a private page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ByteState {
    /// The address space.
    pub mm: MmId,
    /// Its address.
    pub addr: u64,
    /// Its value.
    pub value: u8,
}

/// An open descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FdState {
    /// The process, by its address space.
    pub mm: MmId,
    /// The number.
    pub fd: Fd,
    /// What it opens.
    pub file: FileId,
}

/// A live file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileState {
    /// Which.
    pub file: FileId,
    /// What kind; none for shared anonymous memory.
    pub kind: Option<FileKind>,
    /// References: descriptors and VMAs.
    pub refs: u32,
    /// Bytes.
    pub size: u64,
}

/// A byte of a file that is not zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileByte {
    /// The file.
    pub file: FileId,
    /// Its offset.
    pub offset: u64,
    /// Its value.
    pub value: u8,
}

/// A page of a file, within its size, that is not in the page cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AbsentPage {
    /// The file.
    pub file: FileId,
    /// The page, from 0.
    pub index: u64,
}

/// A limit that a process has set. One that no program has set is the configuration's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LimitState {
    /// The process, by its address space.
    pub mm: MmId,
    /// Of what.
    pub resource: Resource,
    /// What calls meet.
    pub soft: u64,
    /// What the soft limit can be raised to.
    pub hard: u64,
}

/// Counts that a linked VMA can carry.
pub const COUNTS: usize = 2;

/// How a linked VMA stands in the protocol of its design.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Protocol {
    /// Which.
    pub vma: VmaId,
    /// What [`crate::DesignInfo::counts`] name, in that order; the rest is 0.
    pub counts: [u32; COUNTS],
}
