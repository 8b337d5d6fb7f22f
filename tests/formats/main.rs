//! The two forms of a program, bytes and text, lose nothing and refuse nothing but by an error.

mod bytes;
mod corpus;
mod earlier;
mod garbled;
mod mutate;
mod strace;
mod strategy;
mod text;
