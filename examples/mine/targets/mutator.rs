//! How AFL++ changes programs for the map of ranges: a library that afl-fuzz loads.
//!
//! ```text
//! cargo build --manifest-path examples/mine/targets/Cargo.toml --no-default-features --example mutator
//! ```

vmadiff::afl_mutator!(vmadiff::compare::<mine::Mine>("mine"));
