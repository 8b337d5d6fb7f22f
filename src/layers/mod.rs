//! Adapters: one makes the one boxed [`Manager`](vmadiff_contract::Manager) of what any layer has, so
//! that there is one harness for all.

mod adapter;
mod calls;
mod layer;
mod lens;
mod open;
mod scale;
mod taken;

pub use adapter::boot;
pub use layer::{OfAreas, OfEvents, OfMemory, OfProcesses};
pub use open::Open;
