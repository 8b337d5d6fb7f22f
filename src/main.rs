//! The `vmadiff` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    vmadiff::command()
}
