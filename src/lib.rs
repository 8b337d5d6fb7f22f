//! The harness: make a program, run it on both managers, judge, shrink, report.
//!
//! ```text
//! bytes or text ─► Program ─┬─► reference ─► Observation ─┐
//!                           └─► candidate ─► Observation ─┴─► judge ─► Agree | Skip | Diverge
//!                                                                         └─► shrink ─► report
//! ```

#![forbid(unsafe_code)]

pub mod coverage;
pub mod designs;
pub mod distill;
pub mod expect;
pub mod judge;
#[cfg(all(feature = "command", target_os = "linux", target_arch = "x86_64"))]
pub mod linux;
pub mod missed;
pub mod pair;
pub mod parsing;
#[cfg(feature = "command")]
pub mod picture;
pub mod program;
pub mod reduce;
#[cfg(feature = "command")]
pub mod report;
pub mod run;
pub mod shrink;
pub mod story;
pub mod survey;
pub mod target;
#[cfg(feature = "command")]
mod views;
