//! `vmadiff fuzz`: a campaign, from its options to its summary.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use vmadiff::designs;
use vmadiff::designs::Planted;
use vmadiff::target::known;

use super::corpus::inputs;
use super::designs::Asked;
use super::input;
use super::interrupt::Interrupt;
use super::live;
use super::output::{print, refuse_file};
use super::summary::Summary;
use super::{explain, paint, upkeep};
use crate::engine::{self, Failure, Fault, Limits, Plan, Settings, Ways};
use crate::files;
use crate::status::Status;

/// Fuzzes: makes programs, runs each on both managers, and keeps what makes them differ.
///
/// Runs until something is found, the limits given are reached, or Ctrl-C.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    vmadiff fuzz --seconds 60\n  \
    vmadiff fuzz interleaved --seconds 600 --keep-going\n  \
    vmadiff fuzz --jobs 8 --corpus campaign --keep-going --known known.txt\n  \
    vmadiff fuzz --runs 100000 --seed 1 --defect NAME --json\n  \
    vmadiff fuzz linux --seconds 60 --boundaries\n  \
    vmadiff fuzz linux --kernel arch/x86/boot/bzImage --seconds 600")]
pub struct Args {
    /// What is fuzzed.
    #[arg(value_enum, default_value_t)]
    kind: Kind,
    /// Stops after this many seconds.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    seconds: Option<u64>,
    /// Stops after this many executions, over all jobs.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    runs: Option<u64>,
    /// Seed of all that is drawn: one job with the same seed, empty corpus and `--runs` does the
    /// same again. Drawn if not given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    seed: Option<u32>,
    /// Processes at once, on one corpus.
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=256))]
    jobs: u32,
    /// Folder of inputs (bytes): read at the start, written as new ones are found.
    #[arg(long, value_name = "DIR")]
    corpus: Option<PathBuf>,
    /// Inputs in the corpus above which the start takes out what others make needless; 0: never.
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    corpus_limit: u64,
    /// Folder for the programs that are found.
    #[arg(long, value_name = "DIR", default_value = "artifacts")]
    artifacts: PathBuf,
    /// Goes on after a finding, and groups findings by signature; starts another job where one died.
    #[arg(long)]
    keep_going: bool,
    /// File of signatures that are not news, one a line; `#` starts a comment, `-` is standard input.
    #[arg(long, value_name = "FILE")]
    known: Option<PathBuf>,
    /// Seconds that one call, or a race, may take, without those in which it waits for a processor: more is a
    /// hang, which is told and ends its job. What is done between calls may take as long.
    #[arg(long, value_name = "N", default_value_t = 10,
          value_parser = clap::value_parser!(u32).range(1..))]
    timeout: u32,
    /// Memory that a job may take, MiB: more ends it. One needs a tenth of the default, 1024. With
    /// --kernel: memory of the guest, 2048 unless said.
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(64..))]
    memory: Option<u32>,
    #[command(flatten)]
    ways: Ways,
    /// Lets the harness fail in the first job, to see what is kept.
    #[arg(long, value_enum, hide = true)]
    harness_fault: Option<Fault>,
    /// With `linux`: also compares where one area ends and the next one starts.
    #[arg(long)]
    boundaries: bool,
    /// With `linux`: which kernel, if not the running one.
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    #[command(flatten)]
    boot: super::linux::boot::Args,
    /// Prints the summary as JSON, and nothing else.
    #[arg(long)]
    json: bool,
}

/// Memory that a job may take, MiB, if nothing is said.
const JOB_MEMORY: u32 = 1024;
/// Reports printed at the end; of more findings there are only lines in the summary.
const REPORTS: usize = 3;

/// What can be fuzzed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    /// Both managers: programs of both kinds.
    #[default]
    All,
    /// Both managers: calls one after another.
    Serial,
    /// Both managers: calls of several tasks at once, woven by schedules.
    Interleaved,
    /// The reference and the kernel of this machine: calls one after another.
    Linux,
}

impl Kind {
    /// What programs jobs make; the kernel has a loop of its own.
    fn of_jobs(self) -> engine::Kind {
        match self {
            Self::All => engine::Kind::All,
            Self::Serial | Self::Linux => engine::Kind::Serial,
            Self::Interleaved => engine::Kind::Interleaved,
        }
    }
}

pub fn run(args: &Args, asked: &Asked) -> Result<Status> {
    if args.kind == Kind::Linux {
        asked.refuse("fuzz linux")?;
        return linux(args);
    }
    if args.boundaries {
        bail!("--boundaries is for `fuzz linux`");
    }
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    if args.boot.kernel.is_some() {
        bail!("--kernel is for `fuzz linux`");
    }
    let planted = &asked.planted()?;
    if args.kind == Kind::Interleaved && !designs::interleaves(planted.design()) {
        bail!(
            "{} has no points at which another task can run: nothing of it would race; fuzz it \
             with `fuzz serial`",
            planted.design().name
        );
    }
    // Jobs on one corpus, and one that takes another's place, need a folder even if nobody wants to
    // keep it.
    let shared = args.jobs > 1;
    let scratch = ((shared || args.keep_going) && args.corpus.is_none())
        .then(tempfile::tempdir)
        .transpose()?;
    let corpus = args
        .corpus
        .clone()
        .or(scratch.as_ref().map(|folder| folder.path().to_owned()));
    if args.corpus.as_deref() == Some(Path::new(input::STDIN)) {
        bail!("--corpus: found -, standard input; expected a folder");
    }
    for folder in corpus.iter().chain([&args.artifacts]) {
        // Jobs are told of it in JSON.
        if folder.to_str().is_none() {
            bail!(
                "{}: is no UTF-8, expected a folder with a name that is",
                folder.display()
            );
        }
    }
    let known = args.known()?;
    for folder in corpus.iter().chain([&args.artifacts]) {
        ready(folder)?;
    }
    if let Some(folder) = &args.corpus {
        inputs(folder)?;
        upkeep::reduce(folder, args.corpus_limit, planted)?;
    }
    let plan = Plan {
        settings: Settings {
            kind: args.kind.of_jobs(),
            design: planted.design().name.to_owned(),
            defects: names(planted),
            ways: args.ways,
            runs: args.runs,
            seed: args.seed.unwrap_or_else(draw_seed),
            corpus,
            shared_corpus: shared,
            artifacts: args.artifacts.clone(),
            keep_going: args.keep_going,
            known,
            stages: false,
            limits: Limits {
                seconds: args.timeout,
                memory_mib: args.memory.unwrap_or(JOB_MEMORY),
            },
            legacy: String::new(),
            fault: args.harness_fault,
        },
        jobs: args.jobs,
        duration: args.seconds.map(Duration::from_secs),
        keeps_corpus: args.corpus.is_some(),
        processor: None,
    };
    let interrupt = Interrupt::catch()?;
    let (ended, findings) = live::campaign(&plan, planted, &interrupt)?;
    let summary = Summary::new(&plan, planted, &ended, &findings);
    // First, since standard output may have no room either.
    summary.complain_of_unsaved();
    for failure in &ended.failures {
        complain(failure, planted);
    }
    if args.json {
        print(&format!("{}\n", serde_json::to_string_pretty(&summary)?))?;
    } else {
        for explained in findings.iter().take(REPORTS) {
            print(&format!("{}\n", explained.report))?;
        }
        print(&summary.text())?;
    }
    Ok(summary.status())
}

fn names(planted: &Planted) -> Vec<String> {
    let names = planted.defects().iter();
    names.map(|name| (*name).to_owned()).collect()
}

/// Makes a folder, if it is not there, and sees that files can be written into it: better before
/// anything ran than when something is found.
pub fn ready(folder: &Path) -> Result<()> {
    refuse_file(folder)?;
    let made = std::fs::create_dir_all(folder).and_then(|()| files::probe(folder));
    made.with_context(|| format!("{}: cannot be written to", folder.display()))?;
    files::sweep(folder);
    Ok(())
}

impl Args {
    fn known(&self) -> Result<Vec<String>> {
        let file = self.known.as_deref();
        file.map_or_else(|| Ok(Vec::new()), read_known)
    }
}

/// `fuzz linux`: no candidate, and no corpus of inputs.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn linux(args: &Args) -> Result<Status> {
    if args.corpus.is_some() {
        bail!("--corpus is for libFuzzer, which `fuzz linux` does without");
    }
    super::linux::fuzz::run(&super::linux::fuzz::Plan {
        campaign: vmadiff::linux::Campaign {
            runs: args.runs,
            time: args.seconds.map(Duration::from_secs),
            seed: args.seed.unwrap_or_else(draw_seed).into(),
            jobs: args.jobs,
            view: vmadiff_linux::view(args.boundaries),
            mark: None,
        },
        machinery: args
            .boot
            .machinery(args.memory.unwrap_or(super::linux::boot::MEMORY))?,
        artifacts: args.artifacts.clone(),
        keep_going: args.keep_going,
        known: args.known()?,
        json: args.json,
    })
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
fn linux(_: &Args) -> Result<Status> {
    bail!("programs can be run on the kernel of Linux on x86-64 only")
}

/// Says why a job died, on standard error.
fn complain(failure: &Failure, planted: &Planted) {
    crate::tell!("{} {}", paint::bad("harness failure:"), failure.how);
    match failure.input.as_ref().map(|input| (input, &input.file)) {
        Some((_, Ok(file))) => {
            crate::tell!("  input: {}", file.display());
            crate::tell!("  replay: {}", explain::replay(file, planted));
        }
        Some((input, Err(why))) => {
            crate::tell!(
                "  input, not saved ({why}), in hexadecimal:\n{}",
                input.hex()
            );
        }
        None => {}
    }
    for line in failure.last_words.lines() {
        crate::tell!("  | {line}");
    }
}

/// A seed that differs from run to run. The summary names it.
fn draw_seed() -> u32 {
    use std::hash::{BuildHasher, RandomState};
    (RandomState::new().hash_one(std::process::id()) as u32).max(1)
}

/// Reads a list of signatures.
fn read_known(path: &Path) -> Result<Vec<String>> {
    let bytes = input::read(path)?;
    let name = input::name(path);
    known::parse_bytes(&name, &bytes).map_err(anyhow::Error::msg)
}
