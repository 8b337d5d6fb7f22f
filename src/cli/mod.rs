//! The command line: what can be asked for, and which module answers.

mod completions;
mod convert;
mod input;
mod linux;
mod output;
pub mod paint;
mod status;

use anyhow::Result;
use clap::{Parser, Subcommand};

pub use status::Status;

const EXIT_STATUS: &str = "Exit status: 0 the managers agree, 1 they diverge, 2 wrong usage or \
                           input, 3 the harness itself failed.";

/// Fuzzes managers of Linux virtual memory areas against a one-lock reference, and explains what
/// differs.
#[derive(Debug, Parser)]
#[command(name = "vmadiff", version, after_help = EXIT_STATUS)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Convert(convert::Args),
    Linux(linux::Args),
    Completions(completions::Args),
}

/// Does what the command line asks for.
pub fn run(cli: Cli) -> Result<Status> {
    match cli.command {
        Command::Convert(args) => convert::run(&args),
        Command::Linux(args) => linux::run(&args),
        Command::Completions(args) => completions::run(&args),
    }
}
