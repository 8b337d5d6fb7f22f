//! Calls one after another, for AFL++. How to build and run it is in docs/fleet.md.

mod glue;

use vmadiff::coverage::COUNTERS;
use vmadiff::target::{serial, serial_profile};

fn main() {
    glue::fuzz::<COUNTERS>(serial, &serial_profile());
}
