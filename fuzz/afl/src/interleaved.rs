//! Calls of several tasks at once, woven by a schedule in the input, for AFL++.

mod glue;

fn main() {
    glue::fuzz::<{ vmadiff::coverage::WOVEN_COUNTERS }>();
}
