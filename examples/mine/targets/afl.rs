//! The map of ranges for AFL++.
//!
//! ```text
//! cargo afl build --manifest-path examples/mine/targets/Cargo.toml --no-default-features --features afl
//! ```

use vmadiff::{Placement, View};

fn main() {
    let mut target = vmadiff::compare::<mine::Mine>("mine")
        .view(View::areas().joined())
        .placement(Placement::FollowReference)
        .target();
    let mut counters = vec![0; vmadiff::coverage::COUNTERS];
    afl::fuzz(false, |bytes| {
        target.bytes(bytes, &mut counters);
    });
}
