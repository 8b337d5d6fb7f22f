//! What a manager of Linux virtual memory areas (VMAs) promises. Types and one trait, no logic.
//!
//! Two managers stand behind [`Manager`]: a reference that takes one lock for everything and a
//! candidate of one design or another, whose faults may do without it. They see this crate and not
//! each other. What a call does is not said here but in `docs/rules.md`; here is only how it is
//! asked for ([`Call`]), what it answers ([`Outcome`]), what it raises while it runs ([`Event`]),
//! what can be seen afterwards ([`Snapshot`]), and what a design says of itself ([`DesignInfo`]).
//!
//! Units: addresses and lengths are bytes unless a name says pages; a page has [`PAGE_SIZE`] bytes.

mod call;
mod config;
mod design;
mod event;
mod flags;
mod ids;
mod known;
mod manager;
mod outcome;
mod parts;
mod snapshot;
mod step;
mod view;

pub use call::{Call, CallKind};
pub use config::Config;
pub use design::{
    Aim, AtRest, Boot, Breach, Count, DefectInfo, DefectKind, DesignInfo, Deviation, Frees, Lane,
    Point, Reason,
};
pub use event::{Event, EventSink, Misuse, Note};
pub use flags::{
    Access, Advice, FallocFlags, FileKind, LockAllFlags, LockFlags, MapFlags, Mode, MoveFlags,
    PolicyFlags, Prot, QueryFlags, Resource, SyncFlags, VmFlags,
};
pub use ids::{AnonId, Fd, FileId, FrameId, MmId, PolicyId, TableId, TaskId, VmaId};
pub use known::{Change, Known, Origin, Version};
pub use manager::{Attribute, Capabilities, Fail, Manager};
pub use outcome::{Errno, Outcome, SegvCode};
pub use parts::{Moves, Parts};
pub use snapshot::{
    AbsentPage, ByteState, COUNTS, FdState, FileByte, FileState, LimitState, MmState, PageState,
    Protocol, Snapshot, TaskState, VmaState,
};
pub use step::{About, Choice, Mark, Offer, Refusal, StepKind, Stepped, Taken, Told};
pub use view::{Shown, View};

/// Bytes in a page, as on x86-64.
pub const PAGE_SIZE: u64 = 4096;

/// Tasks that can exist at once, dead ones included: a fork beyond it fails with `EAGAIN`.
pub const MAX_TASKS: u8 = 16;

/// Pages that one populate looks at, in address order over the areas of its range (those that it
/// skips as a whole not counted); the rest is left to faults, without an error. Linux would go on
/// until memory runs out, and a random length would stop the harness. Also the most pages that a
/// collapse takes in: a longer range answers 0. As many as a page table has entries.
pub const POPULATE_MAX_PAGES: u64 = 512;
