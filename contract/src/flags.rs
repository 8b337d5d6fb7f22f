//! Flags and small enumerations of the calls, with Linux's values (x86-64, 5.1), and of the areas.

use bitflags::bitflags;

bitflags! {
    /// `PROT_*`. Bits outside the named ones are kept: a call with them is a test of its own.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Prot: u32 {
        /// `PROT_READ`
        const READ = 1;
        /// `PROT_WRITE`
        const WRITE = 2;
        /// `PROT_EXEC`
        const EXEC = 4;
        /// `PROT_SEM`: accepted by mprotect, changes nothing.
        const SEM = 8;
        /// `PROT_GROWSDOWN`
        const GROWSDOWN = 0x0100_0000;
        /// `PROT_GROWSUP`
        const GROWSUP = 0x0200_0000;
        const _ = !0;
    }

    /// `MAP_*`. The type is the low four bits: shared, private or shared-validate.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct MapFlags: u64 {
        /// `MAP_SHARED`
        const SHARED = 0x01;
        /// `MAP_PRIVATE`
        const PRIVATE = 0x02;
        /// `MAP_SHARED_VALIDATE`: both bits of the type.
        const SHARED_VALIDATE = 0x03;
        /// `MAP_FIXED`
        const FIXED = 0x10;
        /// `MAP_ANONYMOUS`
        const ANONYMOUS = 0x20;
        /// `MAP_GROWSDOWN`
        const GROWSDOWN = 0x0100;
        /// `MAP_DENYWRITE`: ignored.
        const DENYWRITE = 0x0800;
        /// `MAP_LOCKED`
        const LOCKED = 0x2000;
        /// `MAP_NORESERVE`
        const NORESERVE = 0x4000;
        /// `MAP_POPULATE`
        const POPULATE = 0x8000;
        /// `MAP_NONBLOCK`
        const NONBLOCK = 0x1_0000;
        /// `MAP_STACK`: changes nothing on x86-64.
        const STACK = 0x2_0000;
        /// `MAP_HUGETLB`: refused, for want of huge pages. Bits 26 to 31 say of which size.
        const HUGETLB = 0x4_0000;
        /// `MAP_FIXED_NOREPLACE`
        const FIXED_NOREPLACE = 0x10_0000;
        const _ = !0;
    }

    /// `MREMAP_*`
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct MoveFlags: u32 {
        /// `MREMAP_MAYMOVE`
        const MAYMOVE = 1;
        /// `MREMAP_FIXED`
        const FIXED = 2;
        const _ = !0;
    }

    /// `MLOCK_*` of mlock2.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct LockFlags: u32 {
        /// `MLOCK_ONFAULT`
        const ONFAULT = 1;
        const _ = !0;
    }

    /// `MCL_*` of mlockall.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct LockAllFlags: u32 {
        /// `MCL_CURRENT`
        const CURRENT = 1;
        /// `MCL_FUTURE`
        const FUTURE = 2;
        /// `MCL_ONFAULT`
        const ONFAULT = 4;
        const _ = !0;
    }

    /// `MS_*` of msync.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct SyncFlags: u32 {
        /// `MS_ASYNC`
        const ASYNC = 1;
        /// `MS_INVALIDATE`
        const INVALIDATE = 2;
        /// `MS_SYNC`
        const SYNC = 4;
        const _ = !0;
    }

    /// `MPOL_F_*` mode flags and `MPOL_MF_*`, of mbind and set_mempolicy.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct PolicyFlags: u32 {
        /// `MPOL_MF_STRICT`
        const STRICT = 1;
        /// `MPOL_MF_MOVE`
        const MOVE = 2;
        /// `MPOL_F_RELATIVE_NODES`, as in the mode argument.
        const RELATIVE_NODES = 1 << 14;
        /// `MPOL_F_STATIC_NODES`, as in the mode argument.
        const STATIC_NODES = 1 << 15;
        const _ = !0;
    }

    /// `MPOL_F_*` of get_mempolicy.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct QueryFlags: u32 {
        /// `MPOL_F_NODE`: a node instead of a mode, which the model does not have.
        const NODE = 1;
        /// `MPOL_F_ADDR`: the policy of the area at the address, not the task's.
        const ADDR = 2;
        /// `MPOL_F_MEMS_ALLOWED`: the nodes that the task may use.
        const MEMS_ALLOWED = 4;
        const _ = !0;
    }

    /// `FALLOC_FL_*` of fallocate.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct FallocFlags: u32 {
        /// `FALLOC_FL_KEEP_SIZE`
        const KEEP_SIZE = 1;
        /// `FALLOC_FL_PUNCH_HOLE`
        const PUNCH_HOLE = 2;
        const _ = !0;
    }

    /// What may be done with a file: `O_RDONLY`, `O_WRONLY` or both.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Access: u8 {
        /// The descriptor can be read (`FMODE_READ`).
        const READ = 1;
        /// The descriptor can be written (`FMODE_WRITE`).
        const WRITE = 2;
    }

    /// `VM_*`: what an area is. Values are the project's own; names are the kernel's.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct VmFlags: u32 {
        /// May be read.
        const READ = 1;
        /// May be written.
        const WRITE = 1 << 1;
        /// May be executed.
        const EXEC = 1 << 2;
        /// Stores are seen by others: shared, and the file is writable.
        const SHARED = 1 << 3;
        /// mprotect may allow reading.
        const MAYREAD = 1 << 4;
        /// mprotect may allow writing.
        const MAYWRITE = 1 << 5;
        /// mprotect may allow executing.
        const MAYEXEC = 1 << 6;
        /// Mapped with MAP_SHARED, writable file or not.
        const MAYSHARE = 1 << 7;
        /// A stack: grows towards lower addresses at a fault.
        const GROWSDOWN = 1 << 8;
        /// Missing pages are userfaultfd's.
        const UFFD_MISSING = 1 << 9;
        /// Pages are locked.
        const LOCKED = 1 << 10;
        /// Sequential reads are expected.
        const SEQ_READ = 1 << 11;
        /// Random reads are expected.
        const RAND_READ = 1 << 12;
        /// Not copied by fork.
        const DONTCOPY = 1 << 13;
        /// Locked as pages are touched.
        const LOCKONFAULT = 1 << 14;
        /// Counted in the committed memory.
        const ACCOUNT = 1 << 15;
        /// Commit accounting was refused by MAP_NORESERVE.
        const NORESERVE = 1 << 16;
        /// Empty in a forked child.
        const WIPEONFORK = 1 << 17;
        /// Left out of core dumps.
        const DONTDUMP = 1 << 18;
        /// Pages of equal contents may become one (`MADV_MERGEABLE`).
        const MERGEABLE = 1 << 19;
        /// Huge pages are wanted (`MADV_HUGEPAGE`).
        const HUGEPAGE = 1 << 20;
        /// No huge pages are wanted (`MADV_NOHUGEPAGE`).
        const NOHUGEPAGE = 1 << 21;
    }
}

impl Prot {
    /// `PROT_NONE`
    pub const NONE: Self = Self::empty();
}

macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident: $prefix:literal { $($(#[$vdoc:meta])* $variant:ident = $number:literal $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$vdoc])* $variant,)*
            /// A number that Linux 5.1 does not know, or the model.
            Other(u32),
        }

        impl Ord for $name {
            fn cmp(&self, other: &Self) -> std::cmp::Ordering {
                self.number().cmp(&other.number())
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }

        impl $name {
            /// Those that have a name here.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// From Linux's number.
            pub fn from_number(number: u32) -> Self {
                match number { $($number => Self::$variant,)* other => Self::Other(other) }
            }

            /// Linux's number.
            pub fn number(self) -> u32 {
                match self { $(Self::$variant => $number,)* Self::Other(other) => other }
            }

            /// Linux's name; none for `Other`.
            pub fn name(self) -> Option<&'static str> {
                match self { $(Self::$variant => Some(concat!($prefix, $text)),)* Self::Other(_) => None }
            }
        }
    };
}

numbered! {
    /// `MADV_*`. A number outside the model is `Other` and gets `EINVAL`.
    Advice: "MADV_" {
        /// Back to no advice.
        Normal = 0 "NORMAL",
        /// Expect random reads.
        Random = 1 "RANDOM",
        /// Expect sequential reads.
        Sequential = 2 "SEQUENTIAL",
        /// Read what is missing ahead.
        WillNeed = 3 "WILLNEED",
        /// Throw the pages away.
        DontNeed = 4 "DONTNEED",
        /// The pages may be thrown away, later.
        Free = 8 "FREE",
        /// Punch a hole in the file.
        Remove = 9 "REMOVE",
        /// Do not copy at fork.
        DontFork = 10 "DONTFORK",
        /// Copy at fork again.
        DoFork = 11 "DOFORK",
        /// Pages of equal contents may become one.
        Mergeable = 12 "MERGEABLE",
        /// Pages stay apart again.
        Unmergeable = 13 "UNMERGEABLE",
        /// Huge pages are wanted.
        HugePage = 14 "HUGEPAGE",
        /// No huge pages are wanted.
        NoHugePage = 15 "NOHUGEPAGE",
        /// Leave out of core dumps.
        DontDump = 16 "DONTDUMP",
        /// Into core dumps again.
        DoDump = 17 "DODUMP",
        /// Empty in a forked child.
        WipeOnFork = 18 "WIPEONFORK",
        /// Keep in a forked child again.
        KeepOnFork = 19 "KEEPONFORK",
    }
}

numbered! {
    /// `MPOL_*` modes.
    Mode: "MPOL_" {
        /// Fall back to the surrounding policy.
        Default = 0 "DEFAULT",
        /// Prefer one node.
        Preferred = 1 "PREFERRED",
        /// Only these nodes.
        Bind = 2 "BIND",
        /// Round robin over these nodes.
        Interleave = 3 "INTERLEAVE",
        /// The local node.
        Local = 4 "LOCAL",
    }
}

numbered! {
    /// `RLIMIT_*`: what can be limited. The model asks for five of them; `Other` is a resource that
    /// it does not have, or no resource at all (16 and above).
    Resource: "RLIMIT_" {
        /// Private, writable memory and the heap, bytes.
        Data = 2 "DATA",
        /// A stack, bytes.
        Stack = 3 "STACK",
        /// Descriptors are below it.
        NoFile = 7 "NOFILE",
        /// Locked memory, bytes.
        MemLock = 8 "MEMLOCK",
        /// The address space, bytes.
        As = 9 "AS",
    }
}

/// The kinds of file that the model has. All live in memory, like tmpfs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// An ordinary file: faults are served, areas have no `vm_ops->close`.
    Plain,
    /// As plain, and its areas have `vm_ops->open` and `vm_ops->close`.
    WithClose,
    /// Its areas have `vm_ops` without `fault`: every fault is SIGBUS.
    NoFault,
}

impl FileKind {
    /// Every kind.
    pub const ALL: &[Self] = &[Self::Plain, Self::WithClose, Self::NoFault];

    /// The name in program text.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::WithClose => "close",
            Self::NoFault => "nofault",
        }
    }
}
