//! Pages: tables and their entries, frames and their contents, TLBs, what faults do to an entry, and
//! how pages are taken out.

pub mod cache;
pub mod dropped;
pub mod filemap;
pub mod frame;
pub mod gather;
pub mod lost;
pub mod memory;
pub mod pgtable;
pub mod populate;
pub mod protect;
pub mod pte;
pub mod pte_lock;
pub mod rmap;
pub mod sparse;
pub mod swapin;
pub mod table;
pub mod vmf;
pub mod zap;
