//! The candidate: page faults without mmap_sem over reference-counted VMAs, as the speculative page
//! fault series has them in its twelfth version (L. Dufour, April 2019), on Linux 5.1.
//!
//! It is a model for being raced. Functions bear the kernel's names and take its steps in its
//! order, so that whoever knows the series finds their way; where v12 is wrong the code deviates,
//! says so under the word *Deviation*, and keeps the bug restorable by name ([`DEFECTS`]).
//!
//! - Objects live in slabs behind handles ([`slab`]); a dangling handle is reported, never followed.
//! - Every shared word is a cell of `vmadiff-interleave` and every access names its [`sites`].
//!   Reads under a lock that keeps all writers away are no scheduling points.
//! - A call runs as [`current::Current`]: the task, its address space, and the allocation that fails.
//!
//! ```text
//! access ─► fault ─► spf ──────────► find (under RCU) ─► vmf (locks) ─► memory, swapin
//!              └───► mmap_sem ─► find ─► stack ─► memory, filemap, swapin ─► rmap
//! mmap, munmap, mremap, brk, and by pieces mprotect, mlock, madvise, mempolicy, userfaultfd
//!                                     ─► merge, split ─► adjust ─► link ─► tree
//!                                     └─► zap, pgtable ─► gather (TLBs)
//! ```

#![forbid(unsafe_code)]

mod access;
mod account;
mod adjust;
mod anon;
mod brk;
mod call;
mod candidate;
mod current;
mod defects;
mod design;
mod exit;
mod fault;
mod file;
mod filemap;
mod find;
mod fork;
mod frame;
mod gather;
mod info;
mod khugepaged;
mod link;
mod madvise;
mod memory;
mod mempolicy;
mod merge;
mod mincore;
mod mlock;
mod mm;
mod mmap;
mod movetables;
mod mprotect;
mod mremap;
mod munmap;
mod numa;
mod pgtable;
mod pieces;
mod place;
mod policy;
mod populate;
mod pte;
mod reason;
mod reclaim;
mod rmap;
mod section;
pub mod sites;
mod slab;
mod snapshot;
mod sparse;
mod spf;
mod split;
mod stack;
mod swapin;
mod table;
mod task;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod tree;
mod truncate;
mod userfaultfd;
mod vma;
mod vmf;
mod zap;

pub use candidate::Machine;
pub use spf::Spf;

/// The speculative, reference-counted manager.
pub type Candidate = Machine<Spf>;
pub use defects::{DEFECTS, Defect, Defects, UnknownDefect};
pub use info::SPF;
