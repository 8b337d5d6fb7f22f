//! `vmadiff completions`: what a shell needs to complete the command line.

use anyhow::Result;
use clap::builder::PossibleValuesParser;
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use vmadiff::designs::defects;

use super::Cli;
use super::designs::Asked;
use super::output::print_bytes;
use crate::status::Status;

/// Prints a completion script for a shell. With --design, --defect is completed by the defects of
/// that design alone.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: vmadiff completions bash > ~/.local/share/bash-completion/\
                        completions/vmadiff"
)]
pub struct Args {
    /// The shell.
    shell: Shell,
}

pub fn run(args: &Args, asked: &Asked) -> Result<Status> {
    asked.refuse_defects("completions")?;
    let mut script = Vec::new();
    let mut command = shown(&Cli::command());
    if asked.design.is_some() {
        let of = asked.designs().into_iter().flat_map(defects);
        let names: Vec<&str> = of.map(|info| info.name).collect();
        command = command.mut_arg("defects", |arg| {
            arg.value_parser(PossibleValuesParser::new(names))
        });
    }
    clap_complete::generate(args.shell, &mut command, "vmadiff", &mut script);
    print_bytes(&script)?;
    Ok(Status::Agreed)
}

/// A command without what is hidden: the scripts would offer that, too.
fn shown(command: &Command) -> Command {
    let arguments = command
        .get_arguments()
        .filter(|argument| !argument.is_hide_set());
    let commands = command
        .get_subcommands()
        .filter(|command| !command.is_hide_set());
    let about = command.get_about().cloned().unwrap_or_default();
    Command::new(command.get_name().to_owned())
        .about(about)
        .args(arguments.cloned())
        .subcommands(commands.map(shown))
}
