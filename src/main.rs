//! The `vmadiff` command.

fn main() {}
