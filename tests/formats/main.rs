//! The two forms of a program, bytes and text, lose nothing and refuse nothing but by an error.

mod bytes;
mod calls;
mod corpus;
mod earlier;
mod errors;
#[path = "../shared/files.rs"]
mod files;
mod garbled;
mod logs;
mod mutate;
mod notations;
mod strace;
mod strategy;
mod syz;
mod text;
