//! `vmadiff corpus distill`: the few texts that are worth keeping of a campaign's inputs.

use std::path::PathBuf;

use anyhow::{Context, Result};
use vmadiff::coverage::{Coverage, NAMED_COUNTERS, Stats, WOVEN_COUNTERS};
use vmadiff::designs::Planted;
use vmadiff::distill::{Kept, Reach, distill};
use vmadiff::judge::Verdict;
use vmadiff::pair::{Pair, Ran, pair};
use vmadiff::program::{Case, Program};

use super::{From, name, read_all};
use crate::cli::input;
use crate::cli::interrupt::Interrupt;
use crate::cli::output::{print, refuse_file, write_file};
use crate::counted::counted;
use crate::status::Status;

/// Writes few short programs, as text, that together reach all that the many reach.
///
/// What is reached is what happened in the managers, not in their code: outcomes of calls, merge
/// cases, splits, reasons not to speculate, error exits, calls that meet on the same bytes.
/// Programs that diverge are left out and named. After Ctrl-C the rest is kept as long as it is.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    vmadiff corpus distill fuzz/corpus/serial -o distilled\n  \
    vmadiff corpus distill campaign --beyond corpus -o corpus/campaign\n  \
    vmadiff corpus distill afl/main/queue afl/s1/queue -o distilled")]
pub struct Args {
    #[command(flatten)]
    from: From,
    /// The folder to write to, which must be empty; made if it is not there.
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Programs that are kept already, files or folders: keeps only what reaches more than they do;
    /// repeatable.
    #[arg(long, value_name = "FILE|DIR")]
    beyond: Vec<PathBuf>,
}

pub fn run(args: &Args, planted: &Planted) -> Result<Status> {
    let all = read_all(args.from.files()?)?;
    let folder = &args.output;
    refuse_file(folder)?;
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let is_empty = std::fs::read_dir(folder)?.next().is_none();
    anyhow::ensure!(is_empty, "{}: expected an empty folder", folder.display());
    let mut pair = pair(planted);
    let mut already = Reach::default();
    if !args.beyond.is_empty() {
        let from = args.beyond.clone();
        for (_, program) in &read_all((From { from }).files()?)? {
            already.add(&reach(&mut pair, program).unwrap_or_default());
        }
    }
    let mut programs = Vec::new();
    let (mut diverging, mut unjudged) = (Vec::new(), 0);
    for (file, program) in all {
        match reach(&mut pair, &program) {
            Ok(_) => programs.push(program),
            Err(ran) if matches!(ran.verdict, Verdict::Diverge(_)) => diverging.push(file),
            Err(_) => unjudged += 1,
        }
    }
    let interrupt = Interrupt::catch()?;
    let agreeing = programs.len();
    let kept = distill(
        programs,
        &already,
        |program| reach(&mut pair, program).ok(),
        || !interrupt.came(),
    );
    let mut all = Reach::default();
    for one in &kept {
        all.add(&one.reach);
        let text = text(one);
        let path = folder.join(format!("{}.vma", stem(&one.program, &text)));
        write_file(&path, false, text.as_bytes())?;
    }
    print(&format!(
        "{}: {} of {agreeing}, {}, {}\n",
        folder.display(),
        counted(kept.len(), "program"),
        counted(all.len(), "feature"),
        match args.beyond.is_empty() {
            true => "all that they reach".to_owned(),
            false => format!("{} of them new", all.without(&already).len()),
        },
    ))?;
    if unjudged != 0 {
        let programs = counted(unjudged, "program");
        print(&format!("left out, not compared: {programs}\n"))?;
    }
    for file in &diverging {
        print(&format!(
            "left out, the managers diverge: {}\n",
            input::name(file)
        ))?;
    }
    Ok(if diverging.is_empty() {
        Status::Agreed
    } else {
        Status::Diverged
    })
}

/// What a program reaches; else why it is no program to keep.
fn reach(pair: &mut Pair, program: &Program) -> Result<Reach, Box<Ran>> {
    let mut counters = vec![0; WOVEN_COUNTERS];
    let mut stats = Stats::default();
    let ran = pair.run(program, &mut Coverage::new(&mut counters, &mut stats));
    // Not the pairs of accesses, which are told apart by a hash: each woven program has its own.
    match ran {
        None => Ok(Reach::of(&counters[..NAMED_COUNTERS])),
        Some(ran) => Err(ran),
    }
}

/// How a text begins that holds what a campaign has found.
pub const DISTILLED: &str = "Distilled from a campaign.";

fn text(kept: &Kept) -> String {
    let case = Case {
        program: kept.program.clone(),
        comments: vec![(0, DISTILLED.to_owned())],
        ..Case::default()
    };
    case.to_string()
}

/// The call that it ends with, and what tells it from others that do.
fn stem(program: &Program, text: &str) -> String {
    let last = program.calls.last();
    let call = last.map_or("none", |step| step.call.kind().name());
    format!("{call}-{}", &name(text.as_bytes())[..8])
}
