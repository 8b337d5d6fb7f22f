//! Calls one after another, for AFL++. How to build and run it is in docs/fleet.md.

mod glue;

fn main() {
    glue::fuzz::<{ vmadiff::coverage::COUNTERS }>();
}
