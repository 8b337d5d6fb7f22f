//! Calls one after another, on both managers.
//!
//! ```text
//! cargo +nightly fuzz run --features asan serial    # with AddressSanitizer
//! cargo fuzz run -s none serial                     # on stable
//! cargo fuzz fmt -s none serial FILE                # an input as program text
//! ```
#![no_main]

#[macro_use]
mod glue;
#[cfg(feature = "planted")]
mod planted;

use vmadiff::coverage::COUNTERS;
use vmadiff::target::serial_profile;

#[cfg(feature = "planted")]
use planted::serial;
#[cfg(not(feature = "planted"))]
use vmadiff::target::serial;

programs!(serial, serial_profile, COUNTERS);
