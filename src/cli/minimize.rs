//! `vmadiff minimize`: the smallest program that diverges in the same way.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};
use vmadiff::judge::Verdict;
use vmadiff::pair::pair;

use super::designs::Asked;
use super::input::{self, STDIN, read_case};
use super::interrupt::Interrupt;
use super::output::{is_stdout, not_saved, output_name, print, try_place, write_file};
use super::run::warn_of_differences;
use super::shrinking;
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
    let mut pair = pair(&planted);
    let Verdict::Diverge(divergence) = pair.observe_twice(&case.program).verdict else {
        bail!(
            "{}: the managers agree, expected a program that diverges",
            input::name(&args.file)
        );
    };
    let limit = args.seconds.map(Duration::from_secs);
    let interrupt = Interrupt::catch()?;
    let signature = &divergence.signature;
    let shrunk = shrinking::shrink_to(&mut pair, &case.program, signature, limit, &interrupt);
    // In words of the small program, whose objects have other numbers.
    let what = match pair.observe(&shrunk.program).verdict {
        Verdict::Diverge(small) => small.what,
        Verdict::Agree | Verdict::Skip(_) => divergence.what.clone(),
    };
    let mut small = artifacts::case(signature, &what, &shrunk.program, Some(&planted));
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
