//! Calls one after another, on both managers, for AFL++.
//!
//! ```text
//! cargo afl build --release --bins          # in fuzz/afl
//! cargo build --release -p vmadiff-afl-mutator
//! ```

mod glue;

fn main() {
    glue::fuzz(vmadiff::target::serial);
}
