//! Calls of several tasks at once, woven by a schedule in the input.
//!
//! ```text
//! cargo +nightly fuzz run --features asan interleaved    # with AddressSanitizer
//! cargo fuzz run -s none interleaved                     # on stable
//! cargo fuzz fmt -s none interleaved FILE                # an input as program text
//! ```
#![no_main]

#[macro_use]
mod glue;

use vmadiff::coverage::WOVEN_COUNTERS;
use vmadiff::target::{interleaved, interleaved_profile};

programs!(interleaved, interleaved_profile, WOVEN_COUNTERS);
