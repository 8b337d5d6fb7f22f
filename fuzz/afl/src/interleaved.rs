//! Calls of several tasks at once, woven by a schedule in the input, for AFL++.

mod glue;

use vmadiff::coverage::WOVEN_COUNTERS;
use vmadiff::target::{interleaved, interleaved_profile};

fn main() {
    glue::fuzz::<WOVEN_COUNTERS>(interleaved, &interleaved_profile());
}
