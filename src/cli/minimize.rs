//! `vmadiff minimize`: the smallest program that diverges in the same way.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};
use vmadiff::designs;
use vmadiff::judge::Verdict;
use vmadiff::program::Program;
use vmadiff::shrink::Shrunk;

use super::designs::Asked;
use super::input::{self, STDIN, read_case};
use super::interrupt::Interrupt;
use super::lost;
use super::output::{is_stdout, not_saved, output_name, print, try_place, write_file};
use super::run::warn_of_differences;
use super::shrinking::{Later, Shrinking};
use super::trial::Trials;
use crate::artifacts;
use crate::counted::counted;
use crate::status::Status;

/// Shrinks a program that diverges, keeping the signature of its divergence.
///
/// Calls, tasks, switches and settings are left out, arguments made plain, until nothing more can
/// go.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    vmadiff minimize artifacts/outcome-munmap-value.vma\n  \
    vmadiff minimize --defect NAME big.vma -o small.vma")]
pub struct Args {
    /// The program; `-` is standard input.
    file: PathBuf,
    /// Where to write the small one, as text, `-` for standard output; beside the input as NAME.min.vma
    /// otherwise.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replaces the output if it exists.
    #[arg(long)]
    force: bool,
    /// Stops after this many seconds with the best so far.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    seconds: Option<u64>,
    /// Seconds that one call, or a race, may take: more is a hang, which is kept like any other divergence.
    #[arg(long, value_name = "N", default_value_t = lost::SECONDS,
          value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
}

pub fn run(args: &Args, asked: &Asked) -> Result<Status> {
    if args.file == Path::new(STDIN) && args.output.is_none() {
        bail!("standard input has no file beside it: name one with --output");
    }
    let (case, _) = read_case(&args.file)?;
    let planted = asked.for_case(&case)?;
    let output = args
        .output
        .clone()
        .unwrap_or_else(|| args.file.with_extension("min.vma"));
    try_place(&output, args.force)?;
    warn_of_differences(&args.file, &case, &planted);
    let mut pair = Later::new(&planted);
    let interrupt = Interrupt::catch()?;
    let shrinking = Shrinking {
        planted: &planted,
        limit: args.seconds.map(Duration::from_secs),
        interrupt: &interrupt,
    };
    let small = smaller(args, &shrinking, &mut pair, &case.program)?;
    let Small {
        signature,
        what,
        shrunk,
    } = small;
    let mut small = artifacts::case(&signature, &what, &shrunk.program, Some(&planted));
    // Its switches are still meant for the design that the program names, if that is what ran.
    small.design = case.design.filter(|design| *design == planted.design());
    let text = small.to_string();
    if let Err(error) = write_file(&output, args.force, text.as_bytes()) {
        not_saved("the smaller program", &text);
        return Err(error);
    }
    let told = format!(
        "{}: {}, {} before; {signature}{}",
        output_name(&output),
        counted(shrunk.program.calls.len(), "call"),
        case.program.calls.len(),
        if shrunk.finished {
            ""
        } else {
            "; stopped before the end"
        },
    );
    if is_stdout(&output) {
        crate::tell!("{told}");
    } else {
        print(&format!("{told}\n"))?;
    }
    Ok(Status::Diverged)
}

/// A program that was made smaller, and how it diverges.
struct Small {
    signature: String,
    /// In words of the small program, whose objects have other numbers.
    what: String,
    shrunk: Shrunk,
}

fn smaller(
    args: &Args,
    shrinking: &Shrinking<'_>,
    pair: &mut Later<'_>,
    program: &Program,
) -> Result<Small> {
    let first = if designs::are_own() {
        None
    } else {
        Trials::new(shrinking.planted, args.timeout).lost(program)?
    };
    if let Some(lost) = first {
        let signature = lost.signature;
        let (shrunk, small) = shrinking.shrink_lost(pair, program, &signature, args.timeout)?;
        return Ok(Small {
            signature,
            what: small.map_or(lost.what, |small| small.what),
            shrunk,
        });
    }
    let Verdict::Diverge(divergence) = pair.get().observe_twice(program).verdict else {
        bail!(
            "{}: the managers agree, expected a program that diverges",
            input::name(&args.file)
        );
    };
    let signature = divergence.signature.to_string();
    let shrunk = shrinking.shrink(pair, program, &signature);
    let what = match pair.get().observe(&shrunk.program).verdict {
        Verdict::Diverge(small) => small.what,
        Verdict::Agree | Verdict::Skip(_) => divergence.what,
    };
    Ok(Small {
        signature,
        what,
        shrunk,
    })
}
