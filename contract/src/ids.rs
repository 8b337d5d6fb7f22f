//! Names of things. An object's name is the ordinal of its allocation, so that the same program
//! gives the same names on every machine and in both managers.

use std::fmt;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident($inner:ty) as $format:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, $format, self.0)
            }
        }
    )*};
}

ids! {
    /// A task (thread). 1 to `config.tasks` are threads of the first address space; each fork
    /// makes the next number, never one that was used before. 0 is the kernel itself.
    TaskId(u8) as "{}";
    /// An address space: 1 is the first, each fork makes the next.
    MmId(u8) as "mm{}";
    /// A VMA, by the ordinal of its allocation from 1, over all address spaces.
    VmaId(u32) as "#{}";
    /// An anon_vma, by the ordinal of its allocation from 1.
    AnonId(u32) as "anon{}";
    /// An open file description with its contents, by the ordinal of its creation from 1.
    /// Shared anonymous memory has one too, from the same sequence.
    FileId(u32) as "file{}";
    /// A memory policy, by the ordinal of its allocation from 1.
    PolicyId(u32) as "policy{}";
    /// A page frame, by the ordinal of its allocation from 1.
    FrameId(u32) as "frame{}";
    /// A page table, by the ordinal of its allocation from 1.
    TableId(u32) as "table{}";
    /// A file descriptor: the lowest free number from 3, as Linux gives them.
    Fd(i32) as "{}";
}
