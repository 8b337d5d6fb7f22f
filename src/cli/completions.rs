//! `vmadiff completions`: what a shell needs to complete the command line.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::builder::PossibleValuesParser;
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use vmadiff::designs::{self, defects};

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
    clap_complete::generate(args.shell, &mut command, name(), &mut script);
    print_bytes(&script)?;
    Ok(Status::Agreed)
}

/// What shells know this program by.
fn name() -> String {
    let started = std::env::args_os().next().map(PathBuf::from);
    let name = started.as_deref().and_then(Path::file_name);
    let name = name.filter(|_| !designs::are_own());
    name.map_or("vmadiff".into(), |name| name.to_string_lossy().into_owned())
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
