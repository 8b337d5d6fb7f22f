//! What designs come to, measured by runs that are the same on every machine: how many faults go
//! without mmap_sem, what the way of one costs, and how soon a defect shows.

mod bugs;
mod fast_path;
mod faults;
mod signatures;

pub use bugs::{FirstFound, first_found};
pub use fast_path::{FastPath, Stretch, fast_path};
pub use faults::{CAMPAIGN, faults};
pub use signatures::{Shown, signatures};
