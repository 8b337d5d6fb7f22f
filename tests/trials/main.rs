//! The command under faults, kills and load: whatever happens to it, what is in its folders is
//! whole, what was there before is there still, and an end that looks good was one.
//!
//! Each trial has a share that runs with all tests, and a whole that `.ci/weekly` runs:
//! `cargo test --test trials -- --ignored`.
#![cfg(all(feature = "engine", target_os = "linux"))]

mod faults;
mod kills;
mod load;
mod scene;
