//! Starts the command, and says how it ended.

use std::io::{Error, ErrorKind, Write};
use std::process::ExitCode;

use clap::builder::StyledStr;
use clap::{Command, CommandFactory, FromArgMatches};
use vmadiff::designs;

#[cfg(all(feature = "engine", target_os = "linux", target_arch = "x86_64"))]
use super::GUEST;
use super::output::take_stdout;
use super::{Cli, complain, explain, paint, panics, run};
use crate::status::{HarnessFailed, Status};

/// How examples in help begin.
const OURS: &str = "vmadiff ";

/// The command line, from its words to the exit status that they come to.
pub fn command() -> ExitCode {
    #[cfg(all(feature = "engine", target_os = "linux", target_arch = "x86_64"))]
    if vmadiff_linux::boot::init::is_init() {
        vmadiff_linux::boot::init::run(GUEST);
    }
    let said = named().try_get_matches();
    let cli = match said.and_then(|said| Cli::from_arg_matches(&said)) {
        Ok(cli) => cli,
        Err(said) => return say(&said).into(),
    };
    panics::keep();
    let status = match std::panic::catch_unwind(|| take_stdout().and_then(|()| run(cli))) {
        Ok(Ok(status)) => status,
        Ok(Err(error)) => {
            complain(&error);
            if error.is::<HarnessFailed>() || is_the_machines(&error) {
                Status::HarnessFailed
            } else {
                Status::BadInput
            }
        }
        Err(_) => {
            crate::tell!("{}: {}", paint::bad("harness failure"), panics::last());
            Status::HarnessFailed
        }
    };
    status.into()
}

/// The command, whose help names this program as it was started.
fn named() -> Command {
    let command = Cli::command();
    if designs::are_own() {
        return command;
    }
    hinting(command, &explain::hinted())
}

/// A command in whose help another program's name stands for ours.
fn hinting(command: Command, name: &str) -> Command {
    let told = |text: Option<&StyledStr>| {
        let text = text.map(ToString::to_string)?;
        text.contains(OURS)
            .then(|| text.replace(OURS, &format!("{name} ")))
    };
    let mut named = command.clone();
    if let Some(about) = told(command.get_long_about()) {
        named = named.long_about(about);
    }
    if let Some(help) = told(command.get_after_help()) {
        named = named.after_help(help);
    }
    named = named.mut_args(|arg| {
        let (help, long) = (told(arg.get_help()), told(arg.get_long_help()));
        let arg = match help {
            Some(help) => arg.help(help),
            None => arg,
        };
        match long {
            Some(long) => arg.long_help(long),
            None => arg,
        }
    });
    named.mut_subcommands(|command| hinting(command, name))
}

/// Prints help on standard output, or what is wrong with the arguments on standard error.
fn say(said: &clap::Error) -> Status {
    let printed = said.print().and_then(|()| std::io::stdout().flush());
    match printed {
        _ if said.use_stderr() => Status::BadInput,
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            complain(&anyhow::Error::new(error).context("standard output"));
            Status::HarnessFailed
        }
        _ => Status::Agreed,
    }
}

/// Whether the machine is to blame for an error, and not what was asked for: a full disk, a broken
/// one, no memory, no descriptor or process left.
fn is_the_machines(error: &anyhow::Error) -> bool {
    use ErrorKind::{OutOfMemory, QuotaExceeded, StorageFull, WouldBlock};
    // Without a stable `ErrorKind`; the same numbers on every Unix.
    const EIO: i32 = 5;
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    let mut causes = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<Error>());
    causes.any(|error| {
        let kind = error.kind();
        matches!(kind, OutOfMemory | QuotaExceeded | StorageFull | WouldBlock)
            || matches!(error.raw_os_error(), Some(EIO | ENFILE | EMFILE))
    })
}
