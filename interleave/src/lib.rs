//! The shared memory that a concurrent manager stands on: cells, the kernel's locks, sequence
//! counts, reference counts and RCU.
//!
//! Every shared access goes through one of these types and names its [`Site`]. Inside a simulation
//! each access is a scheduling point: *before* it happens, another logical thread may be chosen to
//! run. Outside a simulation the same types are plain atomics and real locks on real threads, at
//! the cost of one predictable branch.
//!
//! An access without a scheduling point exists too, under the names `peek` and `init`: for
//! snapshots between calls and for objects that nobody else can see yet.

#![deny(unsafe_code)]

pub mod at;
mod cell;
mod irq;
mod kref;
mod lock;
mod lock_count;
mod point;
pub mod policy;
mod rcu;
mod refcount;
mod seq;
pub mod sim;
mod site;
mod value;

pub use cell::{Cell, Word};
pub use irq::{IrqGuard, Irqs};
pub use kref::{Kref, KrefError};
pub use lock::{ReadGuard, RwSem, SpinGuard, SpinLock, WriteGuard};
pub use lock_count::{BelowZero, LockCount, NotTaken};
pub use point::{Kind, mark};
pub use rcu::{Rcu, RcuReadGuard};
pub use refcount::{RefCount, RefError};
pub use seq::{SeqCount, SeqError, SeqLock, SeqWriteGuard};
pub use site::{Site, SiteInfo};
pub use value::{Owner, Value};
