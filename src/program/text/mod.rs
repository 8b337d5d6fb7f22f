//! The text of a program: strace's own notation, so that a log can become a program and a program
//! reads like a log.
//!
//! ```text
//! # A comment, kept with the call that it stands before.
//! config max_map_count=64 rlimit_as=1MiB
//! mmap(0x10000, 0x4000, PROT_READ, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0) = 0x10000
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
//! Lines: comments, `config` with settings by the names of [`Config`](vmadiff_contract::Config)'s
//! fields, calls, one block `maps:` of the first address space at the end, and the schedule: the
//! design that it is written for, a policy, and switches. A switch that never comes where that
//! design runs is an expectation that is not met.
//! Numbers are decimal, `0x` hexadecimal, or decimal with `KiB`, `MiB`, `GiB`; flags are names and
//! numbers joined by `|`. A call is followed by which of its allocations fails, its result, and
//! the VMAs that it frees, each where it is known. Results are numbers, `-1` and an error's name,
//! `SIGSEGV MAPERR`, `SIGSEGV ACCERR`, `SIGBUS`, or strace's `?` for what is not known.
//!
//! Printing has one form: comments, configuration, calls, `maps:`, schedule; blank lines go.
//! Reading what was printed gives the same case, and printing that the same text.

pub(in crate::program) mod cursor;
pub(in crate::program) mod error;
mod maps;
mod outcome;
mod parse;
mod print;
mod schedule;
pub(in crate::program) mod value;

pub use error::TextError;
pub use maps::{maps_line, maps_lines};
pub use outcome::outcome_text;
pub use schedule::renamed;
