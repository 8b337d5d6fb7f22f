//! The harness: make a program, run it on both managers, judge, shrink, report.
//!
//! ```text
//! bytes or text ─► Program ─┬─► reference ─► Observation ─┐
//!                           └─► candidate ─► Observation ─┴─► judge ─► Agree | Skip | Diverge
//!                                                                         └─► shrink ─► report
//! ```

#![forbid(unsafe_code)]

// The command names the library as its users do.
#[cfg(feature = "command")]
extern crate self as vmadiff;

pub mod areas;
#[cfg(feature = "command")]
mod artifacts;
#[cfg(feature = "engine")]
mod children;
#[cfg(feature = "command")]
mod cli;
pub mod compare;
mod counted;
pub mod coverage;
pub mod designs;
pub mod distill;
#[cfg(feature = "engine")]
mod engine;
pub mod events;
pub mod expect;
#[cfg(feature = "command")]
mod files;
pub mod interleaved;
pub mod judge;
mod layers;
#[cfg(all(feature = "command", target_os = "linux", target_arch = "x86_64"))]
pub mod linux;
pub mod memory;
pub mod missed;
pub mod pair;
pub mod parsing;
#[cfg(feature = "picture")]
pub mod picture;
pub mod processes;
pub mod program;
pub mod reduce;
#[cfg(feature = "report")]
pub mod report;
pub mod run;
pub mod shrink;
#[cfg(feature = "command")]
mod status;
pub mod story;
pub mod survey;
pub mod target;
#[cfg(feature = "report")]
mod views;

#[cfg(feature = "command")]
pub use cli::command;
#[cfg(feature = "command")]
use cli::output::tell;
#[cfg(feature = "command")]
pub use compare::commands;
pub use compare::{Compare, Difference, Placement, Shown, View, World, check, compare};
pub use vmadiff_contract as contract;
pub use vmadiff_contract::{CallKind, Config, Errno, Prot};
pub use vmadiff_interleave as interleave;
