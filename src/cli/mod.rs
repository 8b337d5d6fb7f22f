//! The command line: what can be asked for, and which module answers.

mod bisect;
mod completions;
mod convert;
mod corpus;
mod defects;
mod designs;
mod explain;
#[cfg(feature = "engine")]
mod findings;
mod folder;
#[cfg(feature = "engine")]
mod fuzz;
mod glossary;
#[cfg(feature = "engine")]
mod hunt;
mod input;
mod interrupt;
mod linux;
#[cfg(feature = "engine")]
mod live;
mod lost;
mod minimize;
mod names;
mod near;
pub mod output;
pub mod paint;
pub mod panics;
mod paste;
mod run;
mod show;
mod shrinking;
mod start;
#[cfg(feature = "engine")]
mod summary;
mod trial;
#[cfg(feature = "engine")]
mod upkeep;

use anyhow::Result;
use clap::{Parser, Subcommand};

use designs::Asked;
use names::Names;
pub use output::complain;
pub use start::command;

#[cfg(feature = "engine")]
use crate::status::HarnessFailed;
use crate::status::Status;

/// The subcommand that a guest's first process starts.
#[cfg(all(feature = "engine", target_os = "linux", target_arch = "x86_64"))]
pub const GUEST: &str = "guest";

const EXIT_STATUS: &str = "Exit status: 0 the managers agree, 1 they diverge, 2 wrong usage or \
                           input, 3 the harness itself failed.";

/// Fuzzes managers of Linux virtual memory areas against a one-lock reference, and explains what
/// differs.
#[derive(Debug, Parser)]
#[command(name = "vmadiff", version, after_help = EXIT_STATUS)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,

    /// Plants a named defect in the candidate; can be given again. `vmadiff defects` lists them.
    #[arg(long = "defect", value_name = "NAME", global = true, value_parser = Names::Defects,
          hide_possible_values = true)]
    defects: Vec<String>,

    /// Runs this design as the candidate: else the one that a program names, or the first that
    /// `vmadiff designs` lists.
    #[arg(long, value_name = "NAME", global = true, value_parser = Names::Designs,
          hide_possible_values = true)]
    design: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[cfg(feature = "engine")]
    Fuzz(fuzz::Args),
    #[cfg(feature = "engine")]
    Hunt(hunt::Args),
    Run(run::Args),
    Bisect(bisect::Args),
    Minimize(minimize::Args),
    Show(show::Args),
    Convert(convert::Args),
    Corpus(corpus::Args),
    Defects(defects::Args),
    Designs(designs::Args),
    Explain(glossary::Args),
    Linux(linux::Args),
    Completions(completions::Args),
    /// The command in a guest that `--kernel` booted; it talks to the one that booted it.
    #[cfg(all(feature = "engine", target_os = "linux", target_arch = "x86_64"))]
    #[command(hide = true, name = GUEST)]
    Guest,
    /// Runs programs that another process makes smaller; it talks to that one, not to people.
    #[command(hide = true, name = trial::NAME)]
    Trial {
        /// Seconds that a call may take.
        seconds: u64,
    },
    /// One job of `fuzz`; it talks to its parent, not to people.
    #[cfg(feature = "engine")]
    #[command(hide = true)]
    Engine {
        /// JSON.
        settings: String,
    },
}

/// Does what the command line asks for.
pub fn run(cli: Cli) -> Result<Status> {
    let asked = Asked::new(cli.design.as_deref(), cli.defects)?;
    let planted = || asked.planted();
    match cli.command {
        #[cfg(feature = "engine")]
        Command::Fuzz(args) => lost::guarded(|| fuzz::run(&args, &asked)),
        #[cfg(feature = "engine")]
        Command::Hunt(args) => hunt::run(&args, &planted()?),
        Command::Run(args) => run::run(&args, &asked),
        Command::Bisect(args) => Ok(lost::guarded(|| bisect::run(&args, asked))),
        Command::Minimize(args) => lost::guarded(|| minimize::run(&args, &asked)),
        Command::Show(args) => lost::guarded(|| show::run(&args, &asked)),
        Command::Convert(args) => convert::run(&args, &asked),
        Command::Corpus(args) => lost::guarded(|| corpus::run(&args, &planted()?)),
        Command::Defects(args) => defects::run(&args, &asked),
        Command::Designs(args) => designs::run(&args, &asked),
        Command::Explain(args) => glossary::run(&args, &asked),
        Command::Linux(args) => {
            asked.refuse("linux")?;
            linux::run(&args)
        }
        #[cfg(all(feature = "engine", target_os = "linux", target_arch = "x86_64"))]
        Command::Guest => linux::guest::run(),
        Command::Completions(args) => completions::run(&args, &asked),
        Command::Trial { seconds } => trial::serve(seconds, &planted()?),
        #[cfg(feature = "engine")]
        Command::Engine { settings } => {
            let status = crate::engine::run_child(&settings)?;
            Err(HarnessFailed(format!("libFuzzer came back with {status}")).into())
        }
    }
}
