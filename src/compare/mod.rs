//! On what terms two managers are compared. A design of this project is compared in all that the
//! contract knows; a manager of somebody else's has less, and what cannot be had is not asked.

mod builder;
mod known;
mod narrow;
mod terms;
mod world;

#[cfg(feature = "command")]
pub use builder::commands;
pub use builder::{Compare, check, compare};
pub(crate) use known::KEPT_APART;
pub use known::{Difference, Explains, Known, Passed, Tally};
pub(crate) use narrow::narrow;
pub use terms::{Placement, Terms};
pub use vmadiff_contract::{Change, Origin, Shown, Version, View};
pub use world::World;
