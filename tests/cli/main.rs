//! The command as people and scripts meet it: what it prints, where, and how it ends.
#![cfg(feature = "command")]

#[cfg(feature = "engine")]
mod alone;
mod bad_input;
mod bisect;
mod convert;
#[cfg(feature = "engine")]
mod corpus;
#[cfg(feature = "engine")]
mod designs;
#[cfg(feature = "engine")]
mod fleet;
#[cfg(feature = "engine")]
mod fuzz;
#[cfg(feature = "engine")]
mod hunt;
#[cfg(feature = "engine")]
mod keeping;
mod many;
mod minimize;
mod pasted;
mod run;
mod shell;
mod text;
mod unread;
#[cfg(feature = "command")]
mod words;
