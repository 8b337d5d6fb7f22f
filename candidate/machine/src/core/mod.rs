//! What everything stands on: the machine itself, slabs, tasks, address spaces with their accounts,
//! policies, files, mmap_sem's sections, and what can be seen of it all.

pub mod account;
pub mod current;
pub mod file;
pub mod machine;
pub mod marks;
pub mod mm;
pub mod moves;
pub mod notifier;
pub mod policy;
pub mod rlimit;
pub mod section;
pub mod slab;
pub mod snapshot;
pub mod task;
