//! The `vmadiff` command.

mod artifacts;
mod cli;
#[cfg(feature = "engine")]
mod engine;
mod status;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, paint, panics};
use status::{HarnessFailed, Status};

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
