//! `vmadiff run`: programs on both managers, and the verdict.

mod folder;
mod groups;
mod junit;

pub use folder::{Found, may_be_program, programs};

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, bail};
use serde::Serialize;
use vmadiff::compare::Passed;
use vmadiff::designs::Planted;
use vmadiff::expect::{Of, looks, unasked_in, unmet_in};
use vmadiff::judge::Verdict;
use vmadiff::missed::{is_expected, never_came};
use vmadiff::pair::{Pair, Ran, pair};
use vmadiff::program::Case;

use super::designs::Asked;
use super::explain;
use super::input::{Input, NO_CALLS, name, read_one_of_many};
use super::lost::{self, Lost};
use super::output::{complain, print, print_bytes, warn_of};
use super::paint;
use crate::artifacts::Provenance;
use crate::counted::counted;
use crate::status::Status;

/// What is said of programs behind one at which the candidate hangs, or dies.
const NOT_RUN: &str = "not run, since one before it ended the command";

/// Runs programs, text or bytes, on both managers and prints the verdict.
///
/// What a text program expects is checked on each manager. Calls that the candidate does not have are not
/// made, and are told; what is expected of them cannot be asked, and the status is 2. A name that ends in .vma is read as text, one
/// that ends in .bytes as bytes; other files by what they look like.
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

/// What came of one file, as `--json` prints it.
#[derive(Clone, Debug, Serialize)]
struct Outcome {
    file: PathBuf,
    /// What the file was taken for: `text` or `bytes`; none if it could not be read.
    form: Option<&'static str>,
    verdict: &'static str,
    calls: usize,
    skipped: Option<String>,
    signature: Option<String>,
    at_call: Option<usize>,
    what: Option<String>,
    /// Differences that are no news, each with its place and what became of the run.
    known: Vec<String>,
    /// Calls that were not made, since the candidate has them not or its world leaves them out; counted
    /// from 1.
    not_made: Vec<usize>,
    /// Expectations that were not met, each with its place.
    unmet: Vec<String>,
    /// Expectations that were not asked, each with its place, and why.
    unasked: Vec<String>,
    /// What else there is to say of the program: what in its text does nothing, switches that never
    /// came.
    warnings: Vec<String>,
    /// It has no calls.
    #[serde(skip)]
    is_empty: bool,
    /// Its race may not have been run: a switch never came, and nothing expects that it does.
    #[serde(skip)]
    never_came: bool,
    /// What it expects was not checked.
    #[serde(skip)]
    of_another_design: bool,
    /// Why there is no verdict.
    error: Option<String>,
    /// The report on its divergence, in colour.
    #[serde(skip)]
    report: Option<String>,
}

impl Outcome {
    /// Whether the managers did what is expected of them: the same, and what the text says.
    fn is_fine(&self) -> bool {
        let asked_and_met = self.unmet.is_empty() && self.unasked.is_empty();
        self.signature.is_none() && asked_and_met && self.error.is_none()
    }

    fn unreadable(file: &Path, error: &anyhow::Error) -> Self {
        Self {
            error: Some(format!("{error:#}")),
            ..Self::of(file, "unreadable")
        }
    }

    /// Of a program at which the candidate hangs, or dies.
    fn lost(file: &Path, planned: &Planned, lost: Lost) -> Self {
        let Planned { input, planted } = planned;
        let program = &input.case.program;
        let report = explain::lost(file, program, &lost, planted);
        let Lost {
            signature,
            what,
            at,
        } = lost;
        Self {
            form: Some(input.form.name()),
            calls: program.calls.len(),
            signature: Some(signature),
            at_call: at.map(|at| at + 1),
            what: Some(what),
            report: Some(report),
            ..Self::of(file, "diverge")
        }
    }

    /// Of a program that stands behind one that ended the command.
    fn not_run(file: &Path, planned: &Result<Planned>) -> Self {
        let Planned { input, .. } = match planned {
            Ok(planned) => planned,
            Err(error) => return Self::unreadable(file, error),
        };
        Self {
            form: Some(input.form.name()),
            calls: input.case.program.calls.len(),
            skipped: Some(NOT_RUN.to_owned()),
            ..Self::of(file, "skip")
        }
    }

    fn of(file: &Path, verdict: &'static str) -> Self {
        Self {
            file: file.to_owned(),
            form: None,
            verdict,
            calls: 0,
            skipped: None,
            signature: None,
            at_call: None,
            what: None,
            known: Vec::new(),
            not_made: Vec::new(),
            unmet: Vec::new(),
            unasked: Vec::new(),
            warnings: Vec::new(),
            is_empty: false,
            never_came: false,
            of_another_design: false,
            error: None,
            report: None,
        }
    }
}

pub fn run(args: &Args, asked: &Asked) -> Result<Status> {
    let found = folder::programs(&args.files)?;
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

/// Says on standard error how this program differs from the one that made an artifact.
pub fn warn_of_differences(file: &Path, case: &Case, planted: &Planted) {
    for difference in differences(case, &Provenance::here(Some(planted))) {
        warn(file, &difference);
    }
}

/// Says on standard error which switches of this program never came.
pub fn warn_of_missed(file: &Path, case: &Case, ran: &Ran) {
    for missed in never_came(&case.program, ran) {
        warn(file, &missed.to_string());
    }
}

/// The same for the artifacts of a folder, each difference once.
fn sum_up_differences<'a>(read: impl Iterator<Item = (&'a PathBuf, &'a Result<Planned>)>) {
    let mut all: BTreeMap<String, Vec<&Path>> = BTreeMap::new();
    for (file, planned) in read {
        let Ok(Planned { input, planted }) = planned else {
            continue;
        };
        for difference in differences(&input.case, &Provenance::here(Some(planted))) {
            all.entry(difference).or_default().push(file);
        }
    }
    for (difference, files) in all {
        warn_once(&files, &difference);
    }
}

/// Says on standard error what the table of a folder and JUnit's XML have no place for: programs that
/// agree, and whose races were not run.
fn sum_up_races(outcomes: &[Outcome]) {
    let sum_up = |is: fn(&Outcome) -> bool, what: &str| {
        let files = outcomes.iter().filter(|outcome| is(outcome));
        let files: Vec<&Path> = files.map(|outcome| outcome.file.as_path()).collect();
        warn_once(&files, what);
    };
    sum_up(
        |outcome| outcome.of_another_design,
        "what it expects is of another design, and is not checked",
    );
    sum_up(
        |outcome| outcome.never_came,
        "has a switch that never came; --json tells which, and why",
    );
}

/// One line for all files that the same is to be said of.
pub fn warn_once(files: &[&Path], what: &str) {
    match files {
        [] => {}
        [one] => warn(one, what),
        [first, more @ ..] => {
            let more = more.len();
            warn(first, &format!("and {more} more: {what}"));
        }
    }
}

/// Says at the end, where it is seen, that not all was run.
fn sum_up_unreadable(outcomes: &[Outcome]) {
    let unreadable = outcomes.iter().filter(|outcome| outcome.error.is_some());
    let unreadable: Vec<&Path> = unreadable.map(|outcome| outcome.file.as_path()).collect();
    warn_once(&unreadable, "could not be read: see above");
}

fn differences(case: &Case, here: &Provenance) -> Vec<String> {
    let mut comments = case.comments.iter();
    let made_by = comments.find_map(|(_, comment)| Provenance::parse(comment));
    made_by.map_or_else(Vec::new, |made_by| made_by.differences(here))
}

fn warn(file: &Path, what: &str) {
    let warning = paint::warning("warning:");
    crate::tell!("{warning} {}: {what}", name(file));
}

fn judged(file: &Path, input: &Input, ran: &Ran) -> Outcome {
    let case = &input.case;
    let mut warnings: Vec<String> = input.warnings.iter().map(ToString::to_string).collect();
    let mut unmet: Vec<String> = unmet_in(case, ran)
        .iter()
        .map(|unmet| placed(file, input, unmet.of, unmet))
        .collect();
    let mut unasked: Vec<String> = unasked_in(case, ran)
        .iter()
        .map(|unasked| placed(file, input, unasked.of, unasked))
        .collect();
    let other = case.design.filter(|design| *design != ran.design);
    if let Some(design) = other {
        // Its schedule makes other races, or none.
        unmet.clear();
        unasked.clear();
        warnings.push(format!(
            "what it expects is of the design {}, and is not checked",
            design.name
        ));
    }
    let missed = never_came(&case.program, ran);
    let never_came = !missed.is_empty() && !is_expected(case, ran);
    let missed = missed.iter().map(ToString::to_string);
    if never_came {
        warnings.extend(missed);
    } else {
        unmet.extend(missed);
    }
    let mut outcome = Outcome {
        file: file.to_owned(),
        form: Some(input.form.name()),
        verdict: "agree",
        calls: case.program.calls.len(),
        skipped: None,
        signature: None,
        at_call: None,
        what: None,
        known: ran.known.iter().map(known).collect(),
        not_made: ran.unmade().iter().map(|at| at + 1).collect(),
        unmet,
        unasked,
        warnings,
        is_empty: input.is_empty(),
        never_came,
        of_another_design: other.is_some(),
        error: None,
        report: None,
    };
    match &ran.verdict {
        Verdict::Agree if input.is_empty() => {
            outcome.verdict = "skip";
            outcome.skipped = Some("it has no calls".to_owned());
        }
        Verdict::Agree if outcome.not_made.len() == outcome.calls => {
            outcome.verdict = "skip";
            let name = ran.design.name;
            outcome.skipped = Some(format!("{name} has none of its calls, and none was made"));
        }
        Verdict::Agree => {}
        Verdict::Skip(why) => {
            outcome.verdict = "skip";
            outcome.skipped = Some(why.clone());
        }
        Verdict::Diverge(divergence) => {
            outcome.verdict = "diverge";
            outcome.signature = Some(divergence.signature.to_string());
            outcome.at_call = divergence.at.map(|index| index + 1);
            outcome.what = Some(divergence.what.clone());
        }
    }
    outcome
}

fn known(passed: &Passed) -> String {
    let Passed { at, name, went_on } = passed;
    let then = if *went_on {
        "the run went on"
    } else {
        "the run ended there"
    };
    format!("known: {name}, at call {}; {then}", at + 1)
}

/// An expectation, and what came of it, with its line as editors read it.
fn placed(file: &Path, input: &Input, of: Of, what: &dyn Display) -> String {
    let line = match of {
        Of::Call(call) => input.calls.get(call),
        Of::Check(check) => input.checks.get(check),
    };
    let line = line.map_or_else(String::new, |line| format!(":{line}"));
    format!("{}{line}: {what}", name(file))
}

fn text(outcome: &Outcome) -> String {
    let Outcome { file, calls, .. } = outcome;
    let file = name(file);
    let taken = match outcome.form {
        Some("bytes") => ", read as bytes",
        _ => "",
    };
    let verdict = match outcome {
        Outcome {
            signature: Some(signature),
            ..
        } => {
            format!("{} {file}: {signature}", paint::bad("diverge"))
        }
        Outcome {
            skipped: Some(why), ..
        } => {
            format!("{} {file}: {why}", paint::warning("skip   "))
        }
        _ if outcome.is_fine() => {
            format!(
                "{} {file}: {}{taken}",
                paint::good("agree  "),
                made(*calls, outcome.not_made.len())
            )
        }
        _ if outcome.unmet.is_empty() => {
            format!("{} {file}: the managers agree", paint::bad("unasked"))
        }
        _ => format!("{} {file}: the managers agree", paint::bad("unmet  ")),
    };
    let not_made = not_made(outcome);
    let more = not_made.iter().chain(&outcome.known);
    let more = more.chain(&outcome.unmet).chain(&outcome.unasked);
    let more = more.chain(&outcome.warnings);
    std::iter::once(verdict)
        .chain(more.map(|line| format!("  {line}")))
        .map(|line| line + "\n")
        .collect()
}

/// How many calls a program has, and how many of them were made, if not all.
fn made(calls: usize, left_out: usize) -> String {
    let all = counted(calls, "call");
    match left_out {
        0 => all,
        some => format!("{} of {all}", calls - some),
    }
}

/// Calls that are named one by one where some were not made.
const NAMED: usize = 8;

/// Which calls were not made, of a program of which others were.
fn not_made(outcome: &Outcome) -> Option<String> {
    let calls = &outcome.not_made;
    if calls.is_empty() || calls.len() == outcome.calls {
        return None;
    }
    let mut named: Vec<String> = calls.iter().take(NAMED).map(usize::to_string).collect();
    if calls.len() > NAMED {
        named.push(format!("and {} more", calls.len() - NAMED));
    }
    Some(format!(
        "not made, since the candidate has not what they ask: {} {}",
        if calls.len() == 1 { "call" } else { "calls" },
        named.join(", ")
    ))
}
