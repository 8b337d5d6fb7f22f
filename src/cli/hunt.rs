//! `vmadiff hunt`: how fast each named defect is found, from nothing.

use std::cell::RefCell;
use std::fmt::Write;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use vmadiff::designs::{Planted, defects, rules};
use vmadiff::judge::Verdict;
use vmadiff::pair::pair;
use vmadiff::program::Case;
use vmadiff_contract::{DefectInfo, DefectKind, DesignInfo};

use super::interrupt::Interrupt;
use super::output::print;
use super::paint;
use crate::engine::{self, Ended, Finding, Kind, Limits, News, Plan, Settings};
use crate::status::{HarnessFailed, Status};

/// Seconds and memory that one program may take; it needs a fraction of both.
const LIMITS: Limits = Limits {
    seconds: 10,
    memory_mib: 1024,
};

/// Measures how fast fuzzing finds each named defect, each time from an empty corpus.
///
/// Of the defects given with --defect, or of all: those that need calls to interleave are looked
/// for by `fuzz interleaved`, the others by `fuzz serial`. A finding counts if it is of a rule that
/// the defect breaks, and its program agrees without the defect.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    vmadiff hunt\n  \
    vmadiff hunt --seeds 10 --seconds 60 --json\n  \
    vmadiff hunt --defect NAME --defect NAME\n\n\
    Exit status: 0 each was found at every seed, 1 not so, 2 wrong usage, 3 the harness failed.")]
pub struct Args {
    /// Seeds for each defect, from 1.
    #[arg(long, value_name = "N", default_value_t = 3,
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    seeds: u32,
    /// Seconds of one core for each seed: what the job had on the processor, however busy the
    /// machine is.
    #[arg(long, value_name = "N", default_value_t = 60,
          value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Only defects of this kind.
    #[arg(long, value_enum, value_name = "KIND")]
    only: Option<Kind>,
    /// Prints a list as JSON.
    #[arg(long)]
    json: bool,
}

/// How a defect was looked for.
#[derive(Debug, Serialize)]
struct Hunted {
    design: &'static str,
    defect: &'static str,
    kind: &'static str,
    /// Seeds at which it was found.
    found: u32,
    seeds: u32,
    seconds_each: u64,
    tries: Vec<Try>,
}

/// One seed.
#[derive(Debug, Serialize)]
struct Try {
    seed: u32,
    /// Under what signature it was found.
    signature: Option<String>,
    executions: u64,
    /// On the processor.
    seconds: f64,
    /// Stopped by the user before its time was over.
    interrupted: bool,
}

pub fn run(args: &Args, planted: &Planted) -> Result<Status> {
    let design = planted.design();
    let wanted: Vec<_> = defects(design)
        .filter(|info| is_wanted(args, planted, info))
        .collect();
    if wanted.is_empty() {
        bail!("no defect is left to hunt: --only and --defect name none in common");
    }
    let interrupt = Interrupt::catch()?;
    let mut all = Vec::new();
    for info in wanted {
        let hunted = hunt(args, design, info, &interrupt)?;
        if !args.json {
            print(&text(&hunted))?;
        }
        all.push(hunted);
        if interrupt.came() {
            break;
        }
    }
    if args.json {
        print(&format!("{}\n", serde_json::to_string_pretty(&all)?))?;
    }
    let complete = all.iter().all(|hunted| hunted.found == args.seeds);
    Ok(if complete {
        Status::Agreed
    } else {
        Status::Diverged
    })
}

fn is_wanted(args: &Args, planted: &Planted, info: &DefectInfo) -> bool {
    let named = planted.defects().is_empty() || planted.defects().contains(&info.name);
    named
        && args
            .only
            .is_none_or(|only| only == Kind::All || only == kind(info))
}

fn kind(info: &DefectInfo) -> Kind {
    match info.kind {
        DefectKind::Serial => Kind::Serial,
        DefectKind::Interleaved => Kind::Interleaved,
    }
}

fn hunt(
    args: &Args,
    design: &'static DesignInfo,
    info: &'static DefectInfo,
    interrupt: &Interrupt,
) -> Result<Hunted> {
    let mut hunted = Hunted {
        design: design.name,
        defect: info.name,
        kind: match info.kind {
            DefectKind::Serial => "serial",
            DefectKind::Interleaved => "interleaved",
        },
        found: 0,
        seeds: args.seeds,
        seconds_each: args.seconds,
        tries: Vec::new(),
    };
    for seed in 1..=args.seeds {
        let tried = try_seed(args, design, info, seed, interrupt)?;
        hunted.found += u32::from(tried.signature.is_some());
        hunted.tries.push(tried);
        if interrupt.came() {
            break;
        }
    }
    Ok(hunted)
}

/// One campaign, which ends with its first finding.
fn try_seed(
    args: &Args,
    design: &'static DesignInfo,
    info: &DefectInfo,
    seed: u32,
    interrupt: &Interrupt,
) -> Result<Try> {
    let scratch = tempfile::tempdir().context("a folder for what is found")?;
    let plan = Plan {
        settings: Settings {
            kind: kind(info),
            design: design.name.to_owned(),
            defects: vec![info.name.to_owned()],
            runs: None,
            seed,
            corpus: None,
            shared_corpus: false,
            artifacts: scratch.path().to_owned(),
            keep_going: true,
            known: Vec::new(),
            limits: LIMITS,
            legacy: String::new(),
            fault: None,
        },
        jobs: 1,
        keeps_corpus: false,
        duration: None,
        processor: Some(Duration::from_secs(args.seconds)),
    };
    // The judge of races has false alarms: one of those says nothing of the defect.
    let innocent = RefCell::new(pair(&Planted::nothing(design)));
    let rules = rules(design, info);
    let its_own = |finding: &Finding| {
        let rule = finding.signature.split('/').next().unwrap_or_default();
        let agrees = |case: Case| innocent.borrow_mut().run(&case.program, &mut ());
        rules.contains(&rule)
            && Case::parse("what a job found", &finding.text).is_ok_and(|case| {
                agrees(case).is_none_or(|ran| !matches!(ran.verdict, Verdict::Diverge(_)))
            })
    };
    let Ended {
        progress,
        findings,
        failures,
        interrupted,
    } = engine::run(
        &plan,
        || interrupt.came(),
        |news| Ok(matches!(news, News::Found(finding) if its_own(finding))),
        |_| {},
    )?;
    if let Some(failure) = failures.first() {
        let how = format!("{}, seed {seed}: {}", info.name, failure.how);
        return Err(HarnessFailed(how).into());
    }
    let signature = findings.iter().find(|finding| its_own(finding));
    Ok(Try {
        seed,
        signature: signature.map(|finding| finding.signature.clone()),
        executions: progress.stats.executions(),
        seconds: progress.processor.as_secs_f64(),
        interrupted: interrupted && signature.is_none(),
    })
}

/// A line, and what it was found as.
fn text(hunted: &Hunted) -> String {
    let Hunted {
        defect,
        found,
        seeds,
        seconds_each,
        tries,
        ..
    } = hunted;
    let hits = || tries.iter().filter(|tried| tried.signature.is_some());
    let mut executions: Vec<u64> = hits().map(|tried| tried.executions).collect();
    let mut seconds: Vec<f64> = hits().map(|tried| tried.seconds).collect();
    executions.sort_unstable();
    seconds.sort_by(f64::total_cmp);
    let share = format!("{found}/{seeds}");
    let share = if found == seeds {
        paint::good(&share)
    } else {
        paint::bad(&share)
    };
    let interrupted = tries.last().filter(|last| last.interrupted);
    let mut line = format!("{defect:32} {share}");
    if let (Some(executions), Some(seconds), Some(worst)) =
        (median(&executions), median(&seconds), seconds.last())
    {
        let _ = write!(
            line,
            "  median {executions} executions, {seconds:.1} s; worst {worst:.1} s"
        );
    } else if interrupted.is_none() {
        let tried: u64 = tries.iter().map(|tried| tried.executions).sum();
        let _ = write!(
            line,
            "  not in {seconds_each} s ({tried} executions in all)"
        );
    }
    if let Some(last) = interrupted {
        let _ = write!(line, "  interrupted after {:.1} s", last.seconds);
    }
    line + "\n"
}

fn median<T: Copy>(sorted: &[T]) -> Option<T> {
    sorted.get(sorted.len() / 2).copied()
}
