//! `vmadiff show`: a run explained, as text or as a picture.

use std::path::PathBuf;

use anyhow::Result;
use vmadiff::expect::looks;
use vmadiff::judge::Verdict;
use vmadiff::pair::pair;
use vmadiff::picture::{self, Subject};
use vmadiff::report::walk;

use super::designs::Asked;
use super::explain;
use super::input::{name, read_input};
use super::output::{is_stdout, print, warn_of, write_file};
use super::run::{warn_of_differences, warn_of_missed};
use crate::status::Status;

/// Explains a run: the areas after each call, and how the managers diverge, if they do.
///
/// `--html` draws the address space over time for both managers side by side, and a timeline with
/// a lane for each thread and each object, as one file that needs nothing else; `--svg` draws the
/// timeline alone.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    vmadiff show corpus/conformance/munmap/middle.vma\n  \
    vmadiff show --html --defect NAME found.vma -o found.html\n  \
    vmadiff show --svg found.vma > found.svg")]
pub struct Args {
    /// The program; `-` is standard input.
    file: PathBuf,
    /// Draws a page.
    #[arg(long, conflicts_with = "svg")]
    html: bool,
    /// Draws the timeline.
    #[arg(long)]
    svg: bool,
    /// Where to write; standard output otherwise, or as `-`. A file that exists is left alone.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replaces the output if it exists.
    #[arg(long, requires = "output")]
    force: bool,
}

pub fn run(args: &Args, asked: &Asked) -> Result<Status> {
    let input = read_input(&args.file)?;
    warn_of(&input.warnings);
    let case = input.case;
    let planted = asked.for_case(&case)?;
    warn_of_differences(&args.file, &case, &planted);
    let mut pair = pair(&planted);
    let ran = pair.observe_twice_at(&case.program, &looks(&case));
    warn_of_missed(&args.file, &case, &ran);
    let scenes = if args.html {
        pair.scenes(&case.program)
    } else {
        Vec::new()
    };
    let subject = Subject {
        name: &name(&args.file),
        program: &case.program,
        ran: &ran,
        scenes: &scenes,
        replay: &explain::replay(&args.file, &planted),
    };
    let text = if args.html {
        picture::html(&subject)
    } else if args.svg {
        picture::svg(&subject)
    } else {
        let walk = explain::painted(&walk::walk(&case.program, &ran, explain::width()));
        match &ran.verdict {
            Verdict::Diverge(divergence) => {
                let report = explain::text(&args.file, &case.program, divergence, &ran, &planted);
                // A race's report has its threads already.
                let walk = if ran.woven.is_some() {
                    String::new()
                } else {
                    walk + "\n"
                };
                walk + &report
            }
            Verdict::Agree | Verdict::Skip(_) => walk,
        }
    };
    match &args.output {
        Some(path) if !is_stdout(path) => write_file(
            path,
            args.force,
            anstream::adapter::strip_str(&text).to_string().as_bytes(),
        )?,
        _ => print(&text)?,
    }
    Ok(match ran.verdict {
        Verdict::Diverge(_) => Status::Diverged,
        Verdict::Agree | Verdict::Skip(_) => Status::Agreed,
    })
}
