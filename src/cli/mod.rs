//! The command line: what can be asked for, and which module answers.

mod artifact;
mod completions;
mod convert;
mod corpus;
pub mod defects;
mod explain;
#[cfg(feature = "engine")]
mod findings;
#[cfg(feature = "engine")]
pub mod found;
#[cfg(feature = "engine")]
mod fuzz;
#[cfg(feature = "engine")]
mod hunt;
mod input;
mod interrupt;
mod linux;
#[cfg(feature = "engine")]
mod live;
mod minimize;
mod output;
pub mod paint;
pub mod panics;
mod paste;
mod provenance;
mod run;
mod show;
mod shrinking;
mod status;
#[cfg(feature = "engine")]
mod summary;

use anyhow::Result;
use clap::{Parser, Subcommand};

use defects::Planted;
pub use status::{HarnessFailed, Status};

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
    #[arg(long = "defect", value_name = "NAME", global = true)]
    defects: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[cfg(feature = "engine")]
    Fuzz(fuzz::Args),
    #[cfg(feature = "engine")]
    Hunt(hunt::Args),
    Run(run::Args),
    Minimize(minimize::Args),
    Show(show::Args),
    Convert(convert::Args),
    Corpus(corpus::Args),
    Defects(defects::Args),
    Linux(linux::Args),
    Completions(completions::Args),
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
    let planted = Planted::parse(&cli.defects)?;
    match cli.command {
        #[cfg(feature = "engine")]
        Command::Fuzz(args) => fuzz::run(&args, &planted),
        #[cfg(feature = "engine")]
        Command::Hunt(args) => hunt::run(&args, &planted),
        Command::Run(args) => run::run(&args, &planted),
        Command::Minimize(args) => minimize::run(&args, &planted),
        Command::Show(args) => show::run(&args, &planted),
        Command::Convert(args) => convert::run(&args, &planted),
        Command::Corpus(args) => corpus::run(&args, &planted),
        Command::Defects(args) => defects::run(&args),
        Command::Linux(args) => linux::run(&args),
        Command::Completions(args) => completions::run(&args),
        #[cfg(feature = "engine")]
        Command::Engine { settings } => {
            let status = crate::engine::run_child(&settings)?;
            Err(HarnessFailed(format!("libFuzzer came back with {status}")).into())
        }
    }
}
