//! A map of ranges, and all of vmadiff for it: the first step of `docs/your-manager.md`, with a bug.
//!
//! ```text
//! cargo run --example areas -- fuzz --seconds 5
//! ```

mod ranges;

use std::process::ExitCode;

use ranges::Mine;
use vmadiff::{Placement, View, World};

fn main() -> ExitCode {
    vmadiff::compare::<Mine>("mine")
        .view(View::areas().joined())
        .world(World::plain())
        .placement(Placement::FollowReference)
        .command()
}
