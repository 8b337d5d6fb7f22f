//! `vmadiff hunt`: how fast each named defect is found, from nothing.

mod plot;
mod statistics;
mod table;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use plot::Curve;
use serde::{Deserialize, Serialize};
use statistics::{Median, median};
use vmadiff::designs::{Planted, defects, shows_by};
use vmadiff::judge::Verdict;
use vmadiff::pair::pair;
use vmadiff::program::Case;
use vmadiff_contract::{DefectInfo, DefectKind, DesignInfo};

use super::input;
use super::interrupt::Interrupt;
use super::output::{is_stdout, not_saved, print, tell, try_place, write_file};
use crate::engine::{self, Ended, Finding, Kind, Limits, News, Plan, Settings, Stages, Ways};
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
/// the defect breaks, and its program agrees without the defect. What a seed did not find in its time is
/// counted as longer than that; the interval is that of the median, at 95 %, from six seeds on.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    vmadiff hunt\n  \
    vmadiff hunt --seeds 10 --seconds 60 --json\n  \
    vmadiff hunt --defect NAME --defect NAME\n  \
    vmadiff hunt --stages --defect NAME --seconds 20
  \
    vmadiff hunt --guide none --json > fresh.json\n  \
    vmadiff hunt --seeds 10 --plot found.svg --beside fresh.json\n\n\
    Exit status: 0 each was found at every seed, 1 not so, 2 wrong usage, 3 the harness failed.")]
pub struct Args {
    /// Seeds for each defect.
    #[arg(long, value_name = "N", default_value_t = 3,
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    seeds: u32,
    /// The first of the seeds.
    #[arg(long, value_name = "SEED", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    from: u32,
    /// Seconds of one core for each seed: what the job had on the processor, however busy the
    /// machine is.
    #[arg(long, value_name = "N", default_value_t = 60,
          value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Only defects of this kind.
    #[arg(long, value_enum, value_name = "KIND")]
    only: Option<Kind>,
    #[command(flatten)]
    ways: Ways,
    /// Has each seed go on for all its time, and counts the programs that came to the defect's place
    /// (reached), those that callers can tell from a run without the defect (triggered), and of these
    /// those that the judge objects to (detected). It runs each reached program twice more, so that
    /// seconds are no measure.
    #[arg(long)]
    stages: bool,
    /// Prints a list as JSON.
    #[arg(long)]
    json: bool,
    /// Prints a table as Markdown.
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
    /// Draws how many tries had found nothing yet, over time, as SVG.
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// With --plot: draws an earlier hunt too, of which this is the JSON; can be given again.
    #[arg(long, value_name = "FILE", requires = "plot")]
    beside: Vec<PathBuf>,
    /// With --plot: replaces the file if it exists.
    #[arg(long, requires = "plot")]
    force: bool,
}

/// How a defect was looked for.
#[derive(Debug, Serialize, Deserialize)]
struct Hunted {
    design: String,
    defect: String,
    kind: String,
    ways: Ways,
    /// Seeds at which it was found.
    found: u32,
    /// Seeds that had all their time, or found it.
    seeds: u32,
    /// Seeds that the user stopped: they say nothing.
    interrupted: u32,
    seconds_each: u64,
    /// Until it was found.
    executions: Median,
    /// On the processor, until it was found.
    seconds: Median,
    /// Under which signatures it was found, and at how many seeds.
    signatures: BTreeMap<String, u32>,
    /// How far programs came, at all seeds together.
    #[serde(default)]
    stages: Stages,
    tries: Vec<Try>,
}

/// One seed.
#[derive(Debug, Serialize, Deserialize)]
struct Try {
    seed: u32,
    /// Under what signature it was found.
    signature: Option<String>,
    /// Other signatures that fired on the way: of rules that the defect does not say it breaks, or of
    /// programs that diverge without it, too.
    others: Vec<String>,
    executions: u64,
    /// On the processor.
    seconds: f64,
    /// How far programs came by then.
    #[serde(default)]
    stages: Stages,
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
    // Before hours of work, not after.
    let beside = earlier(&args.beside)?;
    if let Some(file) = &args.plot {
        ensure!(!is_stdout(file), "--plot: standard output has the table");
        try_place(file, args.force)?;
    }
    let interrupt = Interrupt::catch()?;
    let (mut all, planned) = (Vec::new(), wanted.len());
    if args.markdown {
        print(table::HEAD)?;
    }
    for info in wanted {
        let hunted = hunt(args, design, info, &interrupt)?;
        if args.markdown {
            print(&table::row(&hunted))?;
        } else if !args.json {
            print(&table::line(&hunted))?;
        }
        all.push(hunted);
        if interrupt.came() {
            break;
        }
    }
    if args.json {
        print(&format!("{}\n", serde_json::to_string_pretty(&all)?))?;
    }
    if let Some(last) = all.last().filter(|_| interrupt.came()) {
        tell!("{}", left_out(args, last, all.len(), planned));
    }
    if let Some(file) = &args.plot {
        let this = Curve {
            name: "this hunt".to_owned(),
            hunted: &all,
        };
        let others = beside.iter().map(|(name, hunted)| Curve {
            name: name.clone(),
            hunted,
        });
        let curves: Vec<Curve> = std::iter::once(this).chain(others).collect();
        let plot = plot::svg(&curves);
        write_file(file, args.force, plot.as_bytes())
            .inspect_err(|_| not_saved("the plot", &plot))?;
    }
    let complete = all.len() == planned && all.iter().all(|hunted| hunted.found == args.seeds);
    Ok(if complete {
        Status::Agreed
    } else {
        Status::Diverged
    })
}

/// How far an interrupted hunt came: the line of its last defect is of the seeds before.
fn left_out(args: &Args, last: &Hunted, begun: usize, planned: usize) -> String {
    let (defect, tried, seeds) = (&last.defect, last.tries.len(), args.seeds);
    format!("interrupted: defect {begun} of {planned}, {defect}, at seed {tried} of {seeds}")
}

/// Earlier hunts, each by its file's name.
fn earlier(files: &[PathBuf]) -> Result<Vec<(String, Vec<Hunted>)>> {
    let read = |file: &PathBuf| {
        let name = file.file_stem().unwrap_or_default().display().to_string();
        let bytes = input::read(file)?;
        let hunted: Vec<Hunted> = serde_json::from_slice(&bytes)
            .with_context(|| format!("{}: expected what `hunt --json` printed", file.display()))?;
        ensure!(
            !hunted.is_empty(),
            "{}: found no defect, expected what `hunt --json` printed",
            file.display()
        );
        Ok((name, hunted))
    };
    files.iter().map(read).collect()
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
    let mut tries = Vec::new();
    for seed in args.from..args.from + args.seeds {
        tries.push(try_seed(args, design, info, seed, interrupt)?);
        if interrupt.came() {
            break;
        }
    }
    let kind = match info.kind {
        DefectKind::Serial => "serial",
        DefectKind::Interleaved => "interleaved",
    };
    Ok(Hunted::of(args, [design.name, info.name, kind], tries))
}

impl Hunted {
    fn of(args: &Args, [design, defect, kind]: [&str; 3], tries: Vec<Try>) -> Self {
        let whole = || tries.iter().filter(|tried| !tried.interrupted);
        let found = |took: fn(&Try) -> f64| {
            median(whole().map(|tried| tried.signature.as_ref().map(|_| took(tried))))
        };
        let mut signatures = BTreeMap::new();
        for signature in whole().filter_map(|tried| tried.signature.clone()) {
            *signatures.entry(signature).or_default() += 1;
        }
        let mut stages = Stages::default();
        tries.iter().for_each(|tried| stages.add(&tried.stages));
        let count = |tries: usize| u32::try_from(tries).unwrap_or(u32::MAX);
        Self {
            design: design.to_owned(),
            defect: defect.to_owned(),
            kind: kind.to_owned(),
            ways: args.ways,
            found: signatures.values().sum(),
            seeds: count(whole().count()),
            interrupted: count(tries.len() - whole().count()),
            seconds_each: args.seconds,
            executions: found(|tried| tried.executions as f64),
            seconds: found(|tried| tried.seconds),
            signatures,
            stages,
            tries,
        }
    }
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
            ways: args.ways,
            runs: None,
            seed,
            corpus: None,
            shared_corpus: false,
            artifacts: scratch.path().to_owned(),
            keep_going: true,
            known: Vec::new(),
            stages: args.stages,
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
    let its_own = |finding: &Finding| {
        let rule = finding.signature.split('/').next().unwrap_or_default();
        let agrees = |case: Case| innocent.borrow_mut().run(&case.program, &mut ());
        shows_by(design, info, rule)
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
        |news| Ok(!args.stages && matches!(news, News::Found(finding) if its_own(finding))),
        |_| {},
    )?;
    if let Some(failure) = failures.first() {
        let how = format!("{}, seed {seed}: {}", info.name, failure.how);
        return Err(HarnessFailed(how).into());
    }
    let own = findings.iter().filter(|finding| its_own(finding));
    let own = own.min_by_key(|finding| finding.executions);
    let signature = own.map(|finding| finding.signature.clone());
    let others = findings.iter().map(|finding| finding.signature.clone());
    let mut others: Vec<String> = others
        .filter(|other| Some(other) != signature.as_ref())
        .collect();
    others.sort_unstable();
    others.dedup();
    Ok(Try {
        seed,
        // Its job may have run on until it was told to stop.
        executions: own.map_or(progress.stats.executions(), |own| own.executions),
        seconds: own
            .map_or(progress.processor, |own| {
                Duration::from_millis(own.processor_ms)
            })
            .as_secs_f64(),
        stages: progress.stages,
        interrupted: interrupted && signature.is_none(),
        signature,
        others,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What came of such tries of ten seconds.
    pub fn hunted(tries: Vec<Try>) -> Hunted {
        let args = Args {
            seeds: 4,
            from: 1,
            seconds: 10,
            only: None,
            ways: Ways::default(),
            stages: false,
            json: false,
            markdown: false,
            plot: None,
            beside: Vec::new(),
            force: false,
        };
        Hunted::of(&args, ["some-design", "some-defect", "interleaved"], tries)
    }

    fn tried(seconds: f64, signature: Option<&str>, interrupted: bool) -> Try {
        Try {
            seed: 1,
            signature: signature.map(str::to_owned),
            others: Vec::new(),
            executions: 100,
            seconds,
            stages: Stages::default(),
            interrupted,
        }
    }

    #[test]
    fn a_seed_that_found_nothing_counts_and_one_that_was_stopped_does_not() {
        let leaked = Some("vma-leaked/munmap/vma");
        let all = hunted(vec![
            tried(1.0, leaked, false),
            tried(10.0, None, false),
            tried(2.0, leaked, false),
            tried(0.5, None, true),
        ]);
        assert_eq!((all.found, all.seeds, all.interrupted), (2, 3, 1));
        assert_eq!(all.seconds.median, Some(2.0));
        assert_eq!(
            table::row(&all),
            "| some-defect | 2 of 3 | 100 | 2.0 | too few seeds | `vma-leaked/munmap/vma` 2 |\n"
        );
        let line = table::line(&all);
        assert!(
            line.contains("2/3") && line.ends_with("interrupted after 0.5 s\n"),
            "{line}"
        );
        let none = hunted(vec![tried(0.5, None, true)]);
        assert!(
            !table::line(&none).contains("not in"),
            "{}",
            table::line(&none)
        );
        let read: Hunted = serde_json::from_str(&serde_json::to_string(&all).unwrap()).unwrap();
        assert_eq!(table::row(&read), table::row(&all));
    }
}
