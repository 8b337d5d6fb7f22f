//! The calls: system calls, accesses to memory, and steps of the kernel itself.

use crate::{
    Access, Advice, FallocFlags, Fd, FileKind, LockAllFlags, LockFlags, MapFlags, Mode, MoveFlags,
    PolicyFlags, Prot, QueryFlags, Resource, SyncFlags,
};

macro_rules! calls {
    ($($(#[$doc:meta])* $number:literal $name:literal $kind:ident $({ $($(#[$fdoc:meta])* $field:ident: $type:ty),* $(,)? })?,)*) => {
        /// One call. Arguments are what the caller passed, valid or not.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Call {
            $($(#[$doc])* $kind $({ $($(#[$fdoc])* $field: $type),* })?,)*
        }

        /// Which call, without its arguments.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum CallKind {
            $($(#[$doc])* $kind = $number,)*
        }

        impl CallKind {
            /// Every kind, in the order of their numbers. A number is for ever.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// The name in program text, which is the system call's where there is one.
            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => $name),* }
            }
        }

        impl Call {
            /// Which call this is.
            pub fn kind(&self) -> CallKind {
                match self { $(Self::$kind { .. } => CallKind::$kind),* }
            }
        }
    };
}

calls! {
    /// Maps `len` bytes. `fd` is the descriptor of the file, −1 by custom for anonymous memory.
    0 "mmap" Mmap {
        /// Hint, or the place itself.
        addr: u64,
        /// Bytes.
        len: u64,
        /// What may be done.
        prot: Prot,
        /// How.
        flags: MapFlags,
        /// The file.
        fd: Fd,
        /// Offset in the file, bytes.
        off: u64,
    },
    /// Unmaps.
    1 "munmap" Munmap {
        /// Start.
        addr: u64,
        /// Bytes.
        len: u64,
    },
    /// Changes what may be done.
    2 "mprotect" Mprotect {
        /// Start.
        addr: u64,
        /// Bytes.
        len: u64,
        /// The new protection.
        prot: Prot,
    },
    /// Advises.
    3 "madvise" Madvise {
        /// Start.
        addr: u64,
        /// Bytes.
        len: u64,
        /// The advice.
        advice: Advice,
    },
    /// Sets the end of the heap; 0 asks for it. Answers the end, never an error.
    4 "brk" Brk {
        /// The new end.
        addr: u64,
    },
    /// Copies the address space into a new task, which is the answer.
    5 "fork" Fork,
    /// Ends the calling task; the last one of an address space tears it down.
    6 "exit" Exit,
    /// Reads one byte, which is the answer.
    7 "load" Load {
        /// Where.
        addr: u64,
    },
    /// Writes one byte.
    8 "store" Store {
        /// Where.
        addr: u64,
        /// What.
        value: u8,
    },
    /// Fetches an instruction.
    9 "exec" Exec {
        /// Where.
        addr: u64,
    },
    /// Creates and opens a file of its own, as memfd_create and ftruncate would; answers the
    /// descriptor. The first byte of each of its first 16 pages is `0xa0` + the page's index, as
    /// far as `size` reaches; all else is zero.
    10 "open" Open {
        /// What kind of file.
        kind: FileKind,
        /// What the descriptor allows.
        access: Access,
        /// Bytes.
        size: u64,
    },
    /// Sets a file's size.
    11 "ftruncate" Ftruncate {
        /// The file.
        fd: Fd,
        /// Bytes.
        size: u64,
    },
    /// Closes a descriptor.
    12 "close" Close {
        /// The descriptor.
        fd: Fd,
    },
    /// Step of the kernel: swaps the anonymous page at `addr` of the task's address space out.
    /// Answers 1 if it did, 0 if there was nothing that could be swapped out.
    13 "reclaim" Reclaim {
        /// Any byte of the page.
        addr: u64,
    },
    /// Step of the kernel: ends a grace period and runs what became ready. Answers 0.
    14 "softirq" Softirq,
    /// Resizes or moves a mapping.
    15 "mremap" Mremap {
        /// The old start.
        addr: u64,
        /// The old length, bytes.
        old_len: u64,
        /// The new length, bytes.
        new_len: u64,
        /// How.
        flags: MoveFlags,
        /// Where to, with `MREMAP_FIXED`.
        new_addr: u64,
    },
    /// Locks pages.
    16 "mlock" Mlock {
        /// Start.
        addr: u64,
        /// Bytes.
        len: u64,
    },
    /// Locks pages, with flags.
    17 "mlock2" Mlock2 {
        /// Start.
        addr: u64,
        /// Bytes.
        len: u64,
        /// How.
        flags: LockFlags,
    },
    /// Unlocks pages.
    18 "munlock" Munlock {
        /// Start.
        addr: u64,
        /// Bytes.
        len: u64,
    },
    /// Locks all pages.
    19 "mlockall" Mlockall {
        /// Which, and how.
        flags: LockAllFlags,
    },
    /// Unlocks all pages.
    20 "munlockall" Munlockall,
    /// Writes a mapping back.
    21 "msync" Msync {
        /// Start.
        addr: u64,
        /// Bytes.
        len: u64,
        /// How.
        flags: SyncFlags,
    },
    /// Asks which pages are in memory. Answers a sum over pages: bit (page index mod 64) of each
    /// resident page of the range.
    22 "mincore" Mincore {
        /// Start.
        addr: u64,
        /// Bytes.
        len: u64,
    },
    /// Sets the policy of a range.
    23 "mbind" Mbind {
        /// Start.
        addr: u64,
        /// Bytes.
        len: u64,
        /// The mode.
        mode: Mode,
        /// The node mask.
        nodes: u64,
        /// Mode flags and move flags.
        flags: PolicyFlags,
    },
    /// Sets the policy of the task.
    24 "set_mempolicy" SetMempolicy {
        /// The mode.
        mode: Mode,
        /// The node mask.
        nodes: u64,
        /// Mode flags.
        flags: PolicyFlags,
    },
    /// Registers a range with the address space's userfaultfd, for missing pages.
    25 "uffd_register" UffdRegister {
        /// Start.
        addr: u64,
        /// Bytes.
        len: u64,
    },
    /// Takes a range back from userfaultfd.
    26 "uffd_unregister" UffdUnregister {
        /// Start.
        addr: u64,
        /// Bytes.
        len: u64,
    },
    /// Punches a hole into a file.
    27 "fallocate" Fallocate {
        /// The file.
        fd: Fd,
        /// How.
        flags: FallocFlags,
        /// Offset, bytes.
        off: u64,
        /// Bytes.
        len: u64,
    },
    /// Step of the kernel: collapses a range as khugepaged would. Answers 1 if it did.
    28 "collapse" Collapse {
        /// Start.
        addr: u64,
        /// Bytes.
        len: u64,
    },
    /// Step of the kernel: makes the present pages of a range fault, to learn who uses them.
    29 "numa_scan" NumaScan {
        /// Start.
        addr: u64,
        /// Bytes.
        len: u64,
    },
    /// Sets a limit of the calling process, which all its threads share.
    30 "setrlimit" SetRlimit {
        /// Of what.
        resource: Resource,
        /// The limit that calls meet, in the resource's unit; `u64::MAX` is none.
        soft: u64,
        /// What the soft limit can be raised to.
        hard: u64,
    },
    /// Asks for a policy. Answers the mode with its flags in the low 16 bits, exclusive-or the node
    /// mask rotated left by 16.
    31 "get_mempolicy" GetMempolicy {
        /// Any byte of the area, with `MPOL_F_ADDR`.
        addr: u64,
        /// Whose policy.
        flags: QueryFlags,
    },
    /// Step of the kernel: takes the page of a file that is mapped at `addr` out of the page cache,
    /// and out of every page table. Answers 1 if it did, 0 if there was nothing that could be taken.
    32 "evict" Evict {
        /// Any byte of the page.
        addr: u64,
    },
}
