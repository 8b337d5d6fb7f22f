//! The `vmadiff` command.

mod cli;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Status};

fn main() -> ExitCode {
    let cli = Cli::parse();
    // A panic is the harness's failure; its message is on standard error already.
    let status = match std::panic::catch_unwind(|| cli::run(cli)) {
        Ok(Ok(status)) => status,
        Ok(Err(error)) => {
            anstream::eprintln!("{}: {error:#}", cli::paint::bad("error"));
            Status::BadInput
        }
        Err(_) => Status::HarnessFailed,
    };
    status.into()
}
