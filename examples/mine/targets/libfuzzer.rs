//! The map of ranges for libFuzzer.
//!
//! ```text
//! cargo fuzz run --fuzz-dir examples/mine/targets -s none mine
//! ```
#![no_main]

use vmadiff::{Placement, View};

vmadiff::libfuzzer!(
    vmadiff::compare::<mine::Mine>("mine")
        .view(View::areas().joined())
        .placement(Placement::FollowReference)
);
