//! The machine: what every design of a VMA manager shares. Areas with their lists and trees, page
//! tables, frames, TLBs, reverse mapping, files, policies, swap, and every call.
//!
//! It is a model for being raced, after Linux 5.1. Functions bear the kernel's names and take its
//! steps in its order, so that whoever knows mm/ finds their way. A function whose name is its own
//! says in parentheses which one of the kernel it is; one that says nothing is a part of its caller
//! there. Where Linux is wrong, or more than is modelled, the code deviates, says so under the word
//! *Deviation* with a mark of the list [`deviations`], and keeps the bug restorable by name where it
//! can ([`mod@defects`]).
//! How a fault finds and holds its area without mmap_sem, how a writer shuts faults out, and how an
//! area dies, a [`Design`] says; [`Machine`] is generic over it.
//!
//! [`core`], [`area`], [`page`] and [`call`] are its rooms.
//!
//! - Objects live in slabs behind handles ([`core::slab`]); a dangling handle is reported, never followed.
//! - Every shared word is a cell of `vmadiff-interleave` and every access names its [`sites`].
//!   Reads under a lock that keeps all writers away are no scheduling points.
//! - A call runs as [`Current`]: the task, its address space, and the allocation that fails.
//!
//! ```text
//! access ─► fault ─┬─► Design::fault ─► vmf (walk, locks) ─► memory, swapin
//!                  └─► mmap_sem ─► find ─► stack ─► memory, filemap, swapin ─► rmap
//! mmap, munmap, mremap, brk, and by pieces mprotect, mlock, madvise, mempolicy, userfaultfd
//!                                     ─► merge, split ─► adjust ─► link ─► tree    (each tells the design)
//!                                     └─► zap, pgtable ─► gather (TLBs)
//! ```

#![forbid(unsafe_code)]

pub mod aims;
pub mod area;
pub mod call;
pub mod core;
pub mod defects;
mod design;
pub mod deviations;
pub mod page;
pub mod reasons;
pub mod sites;
pub mod testing;

pub use area::ops::{Ops, PageProt};
pub use area::vma::Vma;
pub use core::current::Current;
pub use core::machine::Machine;
pub use core::mm::Mm;
pub use core::policy::Policy;
pub use core::slab::{Handle, Ref};
pub use design::{Design, Died, InTree, Why};
pub use page::pte::Need;
pub use page::pte_lock::WalkSites;
pub use page::vmf::{Copied, Fault, Found, Vmf};
