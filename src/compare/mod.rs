//! On what terms two managers are compared. A design of this project is compared in all that the
//! contract knows; a manager of somebody else's has less, and what cannot be had is not asked.

mod builder;
mod known;
mod terms;
mod view;
mod world;

#[cfg(feature = "command")]
pub use builder::commands;
pub use builder::{Compare, check, compare};
pub use known::{Difference, Known, Passed, Tally};
pub use terms::{Placement, Terms};
pub use view::{Shown, View};
pub use world::World;
