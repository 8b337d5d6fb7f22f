//! `vmadiff run`: programs on both managers, and the verdict.

mod groups;
mod junit;
mod outcome;
mod text;
mod warned;

pub use warned::{warn_of_differences, warn_of_missed};

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, bail};
use vmadiff::designs::Planted;
use vmadiff::expect::looks;
use vmadiff::judge::Verdict;
use vmadiff::pair::{Pair, pair};

use self::outcome::{Outcome, judged};
use self::text::text;
use self::warned::{sum_up_differences, sum_up_races, sum_up_unreadable};
use super::designs::Asked;
use super::explain;
use super::folder::{Found, programs};
use super::input::{Input, NO_CALLS, name, read_one_of_many};
use super::lost::{self, Lost};
use super::output::{complain, print, print_bytes, warn_of, warn_once};
use crate::status::Status;

/// What is said of programs behind one at which the candidate hangs, or dies.
const NOT_RUN: &str = "not run, since one before it ended the command";

/// Runs programs, text or bytes, on both managers and prints the verdict.
///
/// What a text program expects is checked on each manager. Calls that the candidate does not have are not
/// made, and are told; what is expected of them cannot be asked, and the status is 2. A name that ends in
/// .vma is read as text, one that ends in .bytes as bytes; other files by what they look like.
///
/// Of a folder, every program in it is run (files named .vma or .bytes, and those without an extension),
/// and a table has each signature with how many show it and the smallest of them, and each expectation
/// that was not met. A file that cannot be read is named there, and the status is 2.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    vmadiff run corpus/conformance/munmap/*.vma\n  \
    vmadiff run --json artifacts/*.vma\n  \
    vmadiff run artifacts\n  \
    vmadiff run --trace corpus/races/recheck-under-lock.vma\n  \
    vmadiff run --junit corpus > results.xml\n  \
    vmadiff run --defect NAME artifacts/outcome-munmap-value.vma")]
pub struct Args {
    /// The programs, or folders of them; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Prints each step of a program with a schedule: what its switches can name.
    #[arg(long, conflicts_with_all = ["json", "junit"])]
    trace: bool,
    /// Prints a list of verdicts as JSON; where a folder is given, an object with `verdicts` and
    /// `groups`.
    #[arg(long)]
    json: bool,
    /// Prints the verdicts as JUnit's XML, a test case for each program.
    #[arg(long, conflicts_with = "json")]
    junit: bool,
    /// Seconds that one call, or a race, may take: more is a hang. It is told, and programs behind it are
    /// not run, which is told, too.
    #[arg(long, value_name = "N", default_value_t = lost::SECONDS,
          value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
}

pub fn run(args: &Args, asked: &Asked) -> Result<Status> {
    let found = programs(&args.files)?;
    // All are read before the first is run: a bad one is found at once.
    let inputs: Vec<Result<Planned>> = found.files.iter().map(|file| plan(file, asked)).collect();
    let bad: Vec<_> = inputs
        .iter()
        .filter_map(|input| input.as_ref().err())
        .collect();
    for error in &bad {
        complain(error);
    }
    if bad.len() == inputs.len() && !(found.of_folder || args.json || args.junit) {
        return Ok(Status::BadInput);
    }
    if found.of_folder {
        sum_up_differences(found.files.iter().zip(&inputs));
    }
    let is_quiet = args.json || args.junit || found.of_folder;
    let told: Mutex<Vec<Outcome>> = Mutex::default();
    let lost = |what: Lost| {
        let mut outcomes = told.lock().unwrap_or_else(PoisonError::into_inner);
        let at = outcomes.len();
        let (file, Ok(planned)) = (&found.files[at], &inputs[at]) else {
            return Status::HarnessFailed;
        };
        outcomes.push(Outcome::lost(file, planned, what));
        let left = || found.files.iter().zip(&inputs).skip(at + 1);
        let files: Vec<&Path> = left().map(|(file, _)| file.as_path()).collect();
        warn_once(&files, NOT_RUN);
        let last = if is_quiet {
            Ok(())
        } else {
            show(&outcomes[at])
        };
        outcomes.extend(left().map(|(file, planned)| Outcome::not_run(file, planned)));
        let ended = last.and_then(|()| finish(args, &found, &outcomes));
        ended.unwrap_or(Status::HarnessFailed)
    };
    lost::watched(args.timeout, lost, || {
        run_each(args, &found, &inputs, &told)
    })?;
    let outcomes = told.into_inner().unwrap_or_else(PoisonError::into_inner);
    finish(args, &found, &outcomes)
}

/// Runs programs, one after another.
fn run_each(
    args: &Args,
    found: &Found,
    inputs: &[Result<Planned>],
    told: &Mutex<Vec<Outcome>>,
) -> Result<()> {
    let is_quiet = args.json || args.junit || found.of_folder;
    let push = |outcome| {
        let mut outcomes = told.lock().unwrap_or_else(PoisonError::into_inner);
        outcomes.push(outcome);
    };
    let mut pairs = Pairs::default();
    for (file, input) in found.files.iter().zip(inputs) {
        let Planned { input, planted } = match input {
            Ok(planned) => planned,
            Err(error) => {
                push(Outcome::unreadable(file, error));
                continue;
            }
        };
        let case = &input.case;
        if found.of_folder || args.junit {
            warn_of(&input.warnings);
        }
        if !found.of_folder {
            warn_of_differences(file, case, planted);
        }
        let ran = pairs
            .of(planted)
            .observe_twice_at(&case.program, &looks(case));
        let mut outcome = judged(file, input, &ran);
        if let Verdict::Diverge(divergence) = &ran.verdict {
            let report = explain::text(file, &case.program, divergence, &ran, planted);
            outcome.report = Some(report);
        }
        if !is_quiet {
            if let (true, Some(woven)) = (args.trace, &ran.woven) {
                print(&format!("{}\n", woven.trace))?;
            }
            show(&outcome)?;
        }
        push(outcome);
    }
    Ok(())
}

/// Prints what came of a program.
fn show(outcome: &Outcome) -> Result<()> {
    print(&text(outcome))?;
    print(outcome.report.as_deref().unwrap_or_default())
}

/// Prints what is printed at the end.
fn finish(args: &Args, found: &Found, outcomes: &[Outcome]) -> Result<Status> {
    if args.junit {
        print_bytes(&junit::report(outcomes)?)?;
    } else if args.json {
        print(&json(outcomes, found.of_folder)?)?;
    } else if found.of_folder {
        print(&groups::text(outcomes))?;
    } else {
        sum_up_unreadable(outcomes);
    }
    if !args.json && (args.junit || found.of_folder) {
        sum_up_races(outcomes);
    }
    let nothing = |outcome: &Outcome| outcome.is_empty && outcome.is_fine();
    if outcomes.iter().all(nothing) {
        bail!("{}: {NO_CALLS}", name(&found.files[0]));
    }
    Ok(status(outcomes))
}

/// A program, and what it is run on.
struct Planned {
    input: Input,
    planted: Planted,
}

fn plan(file: &Path, asked: &Asked) -> Result<Planned> {
    let input = read_one_of_many(file)?;
    let planted = asked.for_case(&input.case)?;
    Ok(Planned { input, planted })
}

fn status(outcomes: &[Outcome]) -> Status {
    let is_bad = |outcome: &Outcome| outcome.error.is_some() || !outcome.unasked.is_empty();
    if outcomes.iter().any(is_bad) {
        Status::BadInput
    } else if outcomes.iter().all(Outcome::is_fine) {
        Status::Agreed
    } else {
        Status::Diverged
    }
}

/// A pair for each design that programs name; they name few.
#[derive(Default)]
struct Pairs(Vec<Pair>);

impl Pairs {
    /// The defects are the same in all.
    fn of(&mut self, planted: &Planted) -> &mut Pair {
        let found = self
            .0
            .iter()
            .position(|pair| pair.design() == planted.design());
        let at = found.unwrap_or_else(|| {
            self.0.push(pair(planted));
            self.0.len() - 1
        });
        &mut self.0[at]
    }
}

fn json(outcomes: &[Outcome], of_folder: bool) -> Result<String> {
    let text = if of_folder {
        let groups = groups::groups(outcomes);
        let all = serde_json::json!({ "verdicts": outcomes, "groups": groups });
        serde_json::to_string_pretty(&all)?
    } else {
        serde_json::to_string_pretty(outcomes)?
    };
    Ok(text + "\n")
}
