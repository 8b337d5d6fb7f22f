//! The text of a program: strace's own notation, so that a log can become a program and a program
//! reads like a log.
//!
//! ```text
//! # A comment, kept with the call that it stands before.
//! config max_map_count=64 rlimit_as=1MiB
//! mmap(0x10000, 4p, PROT_READ, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0) = 0x10000
//! status: size=4
//! [2] load(0x10000) = 0                       # by task 2
//! munmap(0x12000, 0x1000) (fail 1) = -1 ENOMEM
//! munmap(0x10000, 0x1000) = 0 frees #2
//! maps:
//!   00011000-00014000 rw-p 00000000 anon
//! design: spf
//! policy: pct seed=7
//! switch: 1@munmap.unlink#1 -> 2
//! switch: +12 -> 1
//! ```
//!
//! docs/text.md has the notation whole, and every example of it is run.
//!
//! Printing has one form: comments, configuration, calls with the checks between them, schedule;
//! numbers are plain, repeats are calls, blank lines go. Reading what was printed gives the same case,
//! and printing that the same text.

mod checks;
mod config;
pub(in crate::program) mod cursor;
pub(in crate::program) mod error;
mod nothing;
mod outcome;
mod parse;
mod print;
mod repeat;
mod schedule;
mod step;
pub(in crate::program) mod value;
pub(in crate::program) mod younger;

pub use checks::{maps_line, maps_lines};
pub use error::{Others, TextError, Warning};
pub use outcome::{answer_text, outcome_text};
pub use parse::Read;
pub use schedule::renamed;
