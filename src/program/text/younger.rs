//! Names that Linux's headers have and the rules do not: old ones that change nothing, and younger
//! ones, which 5.1 answers as it answers any number that it does not know.

use crate::program::shape::Param;

/// A name beside those that flags and numbers have in the contract.
pub(in crate::program) struct Also {
    pub param: Param,
    pub name: &'static str,
    pub bits: u64,
    /// The version of Linux that brought it; empty: 5.1 has it.
    pub since: &'static str,
}

const fn also(param: Param, name: &'static str, bits: u64, since: &'static str) -> Also {
    Also {
        param,
        name,
        bits,
        since,
    }
}

/// All of them. Where two names are of the same bits, the first one is printed.
pub(in crate::program) const ALSO: &[Also] = &[
    also(Param::MapFlags, "MAP_ANON", 0x20, ""),
    also(Param::MapFlags, "MAP_FILE", 0, ""),
    also(Param::MapFlags, "MAP_32BIT", 0x40, ""),
    also(Param::MapFlags, "MAP_EXECUTABLE", 0x1000, ""),
    also(Param::MapFlags, "MAP_SYNC", 0x8_0000, ""),
    also(Param::MapFlags, "MAP_UNINITIALIZED", 0x400_0000, ""),
    also(Param::MapFlags, "MAP_HUGE_2MB", 21 << 26, ""),
    also(Param::MapFlags, "MAP_HUGE_1GB", 30 << 26, ""),
    also(Param::MapFlags, "MAP_ABOVE4G", 0x80, "6.6"),
    also(Param::MapFlags, "MAP_DROPPABLE", 0x08, "6.11"),
    also(Param::MoveFlags, "MREMAP_DONTUNMAP", 4, "5.7"),
    also(Param::PolicyFlags, "MPOL_F_NUMA_BALANCING", 1 << 13, "5.12"),
    also(Param::Advice, "MADV_HWPOISON", 100, ""),
    also(Param::Advice, "MADV_SOFT_OFFLINE", 101, ""),
    also(Param::Advice, "MADV_COLD", 20, "5.4"),
    also(Param::Advice, "MADV_PAGEOUT", 21, "5.4"),
    also(Param::Advice, "MADV_POPULATE_READ", 22, "5.14"),
    also(Param::Advice, "MADV_POPULATE_WRITE", 23, "5.14"),
    also(Param::Advice, "MADV_DONTNEED_LOCKED", 24, "5.18"),
    also(Param::Advice, "MADV_COLLAPSE", 25, "6.1"),
    also(Param::Advice, "MADV_GUARD_INSTALL", 102, "6.13"),
    also(Param::Advice, "MADV_GUARD_REMOVE", 103, "6.13"),
    also(Param::Mode, "MPOL_PREFERRED_MANY", 5, "5.15"),
    also(Param::Mode, "MPOL_WEIGHTED_INTERLEAVE", 6, "6.9"),
    also(Param::Resource, "RLIMIT_CPU", 0, ""),
    also(Param::Resource, "RLIMIT_FSIZE", 1, ""),
    also(Param::Resource, "RLIMIT_CORE", 4, ""),
    also(Param::Resource, "RLIMIT_RSS", 5, ""),
    also(Param::Resource, "RLIMIT_NPROC", 6, ""),
    also(Param::Resource, "RLIMIT_LOCKS", 10, ""),
    also(Param::Resource, "RLIMIT_SIGPENDING", 11, ""),
    also(Param::Resource, "RLIMIT_MSGQUEUE", 12, ""),
    also(Param::Resource, "RLIMIT_NICE", 13, ""),
    also(Param::Resource, "RLIMIT_RTPRIO", 14, ""),
    also(Param::Resource, "RLIMIT_RTTIME", 15, ""),
];

/// The names of a parameter.
pub(in crate::program) fn of(param: Param) -> impl Iterator<Item = &'static Also> {
    ALSO.iter().filter(move |also| also.param == param)
}

/// What the words of a call have that is younger than 5.1, with the version that brought it.
pub(in crate::program) fn younger(param: Param, word: u64) -> Option<&'static Also> {
    let has = |also: &&Also| match param {
        Param::Advice | Param::Mode | Param::Resource => also.bits == word,
        _ => also.bits & word == also.bits,
    };
    of(param).filter(|also| !also.since.is_empty()).find(has)
}
