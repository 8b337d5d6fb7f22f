//! The `vmadiff` command.

mod cli;
#[cfg(feature = "engine")]
mod engine;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, HarnessFailed, Status, paint, panics};

fn main() -> ExitCode {
    let cli = Cli::parse();
    panics::keep();
    let status = match std::panic::catch_unwind(|| cli::run(cli)) {
        Ok(Ok(status)) => status,
        Ok(Err(error)) => {
            anstream::eprintln!("{}: {error:#}", paint::bad("error"));
            if error.is::<HarnessFailed>() {
                Status::HarnessFailed
            } else {
                Status::BadInput
            }
        }
        Err(_) => {
            anstream::eprintln!("{}: {}", paint::bad("harness failure"), panics::last());
            Status::HarnessFailed
        }
    };
    status.into()
}
