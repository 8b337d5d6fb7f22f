//! `vmadiff completions`: what a shell needs to complete the command line.

use anyhow::Result;
use clap::CommandFactory;
use clap_complete::Shell;

use super::Cli;
use super::output::print_bytes;
use crate::status::Status;

/// Prints a completion script for a shell.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: vmadiff completions bash > ~/.local/share/bash-completion/\
                        completions/vmadiff"
)]
pub struct Args {
    /// The shell.
    shell: Shell,
}

pub fn run(args: &Args) -> Result<Status> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "vmadiff", &mut script);
    print_bytes(&script)?;
    Ok(Status::Agreed)
}
