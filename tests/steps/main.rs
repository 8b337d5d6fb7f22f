//! The judge of steps, with the driven reference itself as the source of marks, and on the
//! candidate's.

mod beside;
mod forged;
mod hidden;
mod source;
mod tests;

pub use vmadiff::judge;
