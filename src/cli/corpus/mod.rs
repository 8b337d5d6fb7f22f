//! `vmadiff corpus`: between the texts that are kept for ever and the inputs that engines eat.

mod distill;
mod inputs;
mod reach;
pub(super) mod reduce;
mod rename;
mod seeds;

use std::path::PathBuf;

pub(super) use self::distill::DISTILLED;
pub(super) use self::inputs::inputs;

use crate::status::Status;
use anyhow::{Result, bail};
use vmadiff::designs::Planted;
use vmadiff::program::Program;

use super::folder::programs;
use super::input::{self, NO_CALLS, read_one_of_many};

/// Takes care of a corpus: makes seeds of texts, texts of a campaign, says what it reaches, and keeps
/// its names up to date.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    vmadiff corpus seeds corpus -o fuzz/corpus/serial\n  \
    vmadiff corpus distill fuzz/corpus/serial -o distilled\n  \
    vmadiff corpus reach corpus\n  \
    vmadiff corpus reduce campaign\n  \
    vmadiff corpus rename --check corpus")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Seeds(seeds::Args),
    Distill(distill::Args),
    Reach(reach::Args),
    Rename(rename::Args),
    Reduce(reduce::Args),
}

pub fn run(args: &Args, planted: &Planted) -> Result<Status> {
    match &args.command {
        Command::Seeds(args) => seeds::run(args),
        Command::Distill(args) => distill::run(args, planted),
        Command::Reach(args) => reach::run(args, planted),
        Command::Rename(args) => rename::run(args),
        Command::Reduce(args) => reduce::run(args, planted),
    }
}

/// Where programs come from.
#[derive(Debug, clap::Args)]
struct From {
    /// Programs, text or bytes; of a folder those in it, at any depth: files named .vma or .bytes, and
    /// those without an extension, whose names do not begin with a dot; `-` is standard input.
    #[arg(required = true, value_name = "FILE|DIR")]
    from: Vec<PathBuf>,
}

impl From {
    /// The files, in the order of their names. It is an error if there are none.
    fn files(&self) -> Result<Vec<PathBuf>> {
        Ok(programs(&self.from)?.files)
    }
}

/// The programs of these files, with their files; inputs without calls, of which engines keep some, are
/// left out. It is an error if that leaves none.
fn read_all(files: Vec<PathBuf>) -> Result<Vec<(PathBuf, Program)>> {
    let first = input::name(&files[0]);
    let mut programs = Vec::new();
    for file in files {
        let input = read_one_of_many(&file)?;
        if !input.is_empty() {
            programs.push((file, input.case.program));
        }
    }
    if programs.is_empty() {
        bail!("{first}: {NO_CALLS}");
    }
    Ok(programs)
}

/// A name for this content, the same for ever (FNV-1a).
fn name(content: &[u8]) -> String {
    let hash = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    format!("{:016x}", content.iter().fold(0xcbf2_9ce4_8422_2325, hash))
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_are_for_ever() {
        assert_eq!(super::name(b""), "cbf29ce484222325");
        assert_eq!(super::name(b"foobar"), "85944171f73967e8");
    }
}
