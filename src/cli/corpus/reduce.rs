//! `vmadiff corpus reduce`: takes out of a corpus what engines do not need.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use vmadiff::coverage::{Coverage, Stats, WOVEN_COUNTERS};
use vmadiff::designs::Planted;
use vmadiff::pair::pair;
use vmadiff::program::Program;
use vmadiff::reduce::Reached;

use super::inputs;
use crate::cli::interrupt::Interrupt;
use crate::cli::output::{print, refuse_file};
use crate::counted::counted;
use crate::files::is_by_an_engine;
use crate::status::Status;

/// Deletes the inputs of a corpus that reach nothing that smaller ones do not reach, too.
///
/// What is reached is what `vmadiff fuzz` keeps inputs for: what happens in the managers, and how
/// often. Only inputs that an engine wrote are deleted: files whose names are 40 hexadecimal digits. What
/// a link leads to is left alone.
/// What diverges or cannot be compared stays. No campaign may be writing to the folder. After
/// Ctrl-C or the time given the rest stays as it is.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    vmadiff corpus reduce campaign\n  \
    vmadiff corpus reduce campaign --seconds 300")]
pub struct Args {
    /// The folder of inputs (bytes), at any depth.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Stops after this many seconds.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    seconds: Option<u64>,
    /// The campaign that started it, with which it ends: a process.
    #[cfg(feature = "engine")]
    #[arg(long, value_name = "PID", hide = true)]
    of_campaign: Option<i32>,
}

/// How often progress is told.
const TOLD: Duration = Duration::from_secs(5);

pub fn run(args: &Args, planted: &Planted) -> Result<Status> {
    #[cfg(feature = "engine")]
    if let Some(campaign) = args.of_campaign {
        crate::children::die_with(campaign);
    }
    refuse_file(&args.folder)?;
    let inputs = by_size(&args.folder)?;
    let name = args.folder.display();
    ensure!(!inputs.is_empty(), "{name}: found no file, expected inputs");
    let interrupt = Interrupt::catch()?;
    let start = Instant::now();
    let limit = args.seconds.map(Duration::from_secs);
    let mut pair = pair(planted);
    let (mut reached, mut stats) = (Reached::default(), Stats::default());
    let (mut looked_at, mut deleted) = (0, 0);
    let mut told = start;
    for input in &inputs {
        if interrupt.came() || limit.is_some_and(|limit| start.elapsed() >= limit) {
            break;
        }
        looked_at += 1;
        let Some(bytes) = if_there(&input.path, fs::read)? else {
            continue;
        };
        let mut counters = vec![0; WOVEN_COUNTERS];
        let mut coverage = Coverage::new(&mut counters, &mut stats);
        let agrees = pair.run(&Program::decode(&bytes), &mut coverage).is_none();
        let needed = !agrees || reached.adds(&counters);
        if !needed && input.by_an_engine {
            deleted += usize::from(if_there(&input.path, fs::remove_file)?.is_some());
        }
        if told.elapsed() >= TOLD {
            told = Instant::now();
            let all = counted(inputs.len(), "input");
            crate::tell!("{name}: {looked_at} of {all}, {deleted} deleted");
        }
    }
    let left = inputs.len() - looked_at;
    let not_looked_at = match left {
        0 => String::new(),
        left => format!("; {left} not looked at"),
    };
    print(&format!(
        "{name}: {deleted} of {} deleted in {:.0} s, {}{not_looked_at}\n",
        counted(inputs.len(), "input"),
        start.elapsed().as_secs_f64(),
        counted(reached.features(), "feature"),
    ))?;
    Ok(Status::Agreed)
}

/// Does something with a file; none: another took it away meanwhile.
fn if_there<'a, T>(path: &'a Path, with: impl Fn(&'a Path) -> io::Result<T>) -> Result<Option<T>> {
    match with(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        done => Ok(Some(done.with_context(|| path.display().to_string())?)),
    }
}

struct Input {
    path: PathBuf,
    size: u64,
    by_an_engine: bool,
}

/// The inputs of a folder, the smallest first; of one size, by name. What comes by a link alone is not the folder's, and
/// what a link leads to is not an engine's.
fn by_size(folder: &Path) -> Result<Vec<Input>> {
    let what = |path: &Path| path.display().to_string();
    let root = folder.canonicalize().with_context(|| what(folder))?;
    let (mut found, mut linked) = (Vec::new(), BTreeSet::new());
    for path in inputs(folder)? {
        let real = path.canonicalize().with_context(|| what(&path))?;
        let inner = path.strip_prefix(folder);
        if !inner.is_ok_and(|inner| root.join(inner) == real) {
            linked.insert(real);
            continue;
        }
        let name = path.file_name().unwrap_or_default();
        let input = Input {
            by_an_engine: is_by_an_engine(&name.to_string_lossy()),
            size: path.metadata().with_context(|| what(&path))?.len(),
            path,
        };
        found.push((real, input));
    }
    let spared = found.into_iter().map(|(real, input)| Input {
        by_an_engine: input.by_an_engine && !linked.contains(&real),
        ..input
    });
    let mut found: Vec<Input> = spared.collect();
    found.sort_by(|a, b| (a.size, &a.path).cmp(&(b.size, &b.path)));
    Ok(found)
}
