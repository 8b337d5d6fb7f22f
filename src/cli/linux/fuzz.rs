//! `vmadiff fuzz linux`: the reference against the running kernel, from the options to the summary.

mod booted;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use vmadiff::linux::{Campaign, Found, Tally, fuzz};
use vmadiff_contract::Manager;
use vmadiff_linux::Linux;
use vmadiff_linux::boot::Machinery;
use vmadiff_reference::Reference;

use super::super::fuzz::ready;
use super::super::interrupt::Interrupt;
use super::super::output::print;
use super::super::paint;
use super::super::summary::human;
pub use super::summary::Finding;
use super::summary::Summary;
use crate::artifacts::{self, Kept, kept_before};
use crate::status::{HarnessFailed, Status};

/// How often it is tried again to save a finding for which there was no room.
const AGAIN: Duration = Duration::from_secs(5);

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Plan {
    pub campaign: Campaign,
    /// Folder for what is found.
    pub artifacts: PathBuf,
    pub keep_going: bool,
    /// Signatures that are not news.
    pub known: Vec<String>,
    /// The kernel to boot; none: the running one.
    pub machinery: Option<Machinery>,
    pub json: bool,
}

/// A campaign that is over.
pub struct Ended {
    /// The kernel, as people know it.
    pub kernel: String,
    pub tally: Tally,
    pub kept: Vec<Finding>,
    /// Since the first program.
    pub elapsed: Duration,
    /// Until the first program of a booted kernel could run.
    pub boot: Option<Duration>,
}

pub fn run(plan: &Plan) -> Result<Status> {
    ready(&plan.artifacts)?;
    let interrupt = Interrupt::catch()?;
    let ended = match &plan.machinery {
        Some(machinery) => booted::campaign(plan, machinery, &interrupt)?,
        None => here(plan, &interrupt)?,
    };
    let summary = Summary::new(plan, ended, interrupt.came());
    summary.complain();
    if plan.json {
        print(&format!("{}\n", serde_json::to_string_pretty(&summary)?))?;
    } else {
        print(&summary.text())?;
    }
    Ok(summary.status())
}

/// On the running kernel.
fn here(plan: &Plan, interrupt: &Interrupt) -> Result<Ended> {
    let kernel = match Linux::new() {
        Ok(linux) => linux.machine().release.clone(),
        Err(why) => bail!("programs can not be run on this machine's kernel: {why}"),
    };
    let start = Instant::now();
    let (tally, kept) = campaign(plan, interrupt, start)?;
    Ok(Ended {
        kernel,
        tally,
        kept,
        elapsed: start.elapsed(),
        boot: None,
    })
}

/// Fuzzes, draws progress on standard error if that is a terminal, and keeps what is found.
fn campaign(plan: &Plan, interrupt: &Interrupt, start: Instant) -> Result<(Tally, Vec<Finding>)> {
    let bar = spinner()?;
    let before = kept_before(&plan.artifacts, None);
    let stop = AtomicBool::new(false);
    let mut kept: Vec<Finding> = Vec::new();
    let mut tried = start;
    let tally = fuzz(&plan.campaign, Reference::boot, &stop, |tally, found| {
        bar.tick();
        bar.set_message(line(plan, tally, start.elapsed()));
        let news = found.filter(|found| !plan.known.contains(&found.signature()));
        if let Some(found) = news {
            kept.push(keep(found, &plan.artifacts, &before));
        }
        if tried.elapsed() > AGAIN {
            tried = Instant::now();
            kept.iter_mut().for_each(Finding::retry);
        }
        if interrupt.came() || news.is_some() && !plan.keep_going {
            stop.store(true, Ordering::Relaxed);
        }
    });
    bar.finish_and_clear();
    kept.iter_mut().for_each(Finding::retry);
    let tally = tally.map_err(|why| HarnessFailed(format!("fuzzing the running kernel: {why}")))?;
    Ok((tally, kept))
}

/// The live line, on standard error if that is a terminal.
fn spinner() -> Result<ProgressBar> {
    let bar = ProgressBar::new_spinner();
    bar.set_style(ProgressStyle::with_template("{spinner} {wide_msg}")?);
    Ok(bar)
}

/// Keeps a finding, made small, as text.
fn keep(found: &Found, folder: &Path, before: &BTreeMap<String, u64>) -> Finding {
    let (signature, what) = (found.signature(), found.finding.to_string());
    let case = artifacts::case(&signature, &what, &found.program, None);
    Finding {
        kept: Kept::new(folder, &signature, case),
        before: before.get(&signature).copied().unwrap_or_default(),
        signature,
        what,
    }
}

/// The live line.
fn line(plan: &Plan, tally: &Tally, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64();
    let limit = plan.campaign.time;
    let limit = limit.map_or(String::new(), |limit| format!("/{}", limit.as_secs()));
    let calls = tally.all_calls();
    let mut line = format!(
        "{seconds:.0}{limit} s · {} programs/s · {} · {}",
        HumanCount((tally.programs as f64 / seconds.max(f64::MIN_POSITIVE)) as u64),
        human(tally.programs, "program"),
        human(calls.made, "call"),
    );
    let differ: u64 = tally.findings.values().sum();
    if differ > 0 {
        line += &paint::bad(&format!(" · {} differ", HumanCount(differ)));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use vmadiff::program::Case;
    use vmadiff_linux::{self as linux, Difference, Field};

    #[test]
    fn a_finding_is_kept_as_a_program_and_counted() {
        let folder = tempfile::tempdir().unwrap();
        let text = "munmap(0x1f0000, 0x1000)\n";
        let found = Found {
            program: Case::parse("test", text).unwrap().program,
            finding: linux::Finding {
                call: Some(0),
                difference: Difference::new(Field::Answer, (0, 0), "0x0, Linux EINVAL".into()),
            },
        };
        // As two campaigns, one after the other.
        let kept = [(); 2].map(|()| {
            let before = kept_before(folder.path(), None);
            keep(&found, folder.path(), &before)
        });
        assert_eq!(kept.each_ref().map(|kept| kept.before), [0, 1]);
        assert_eq!(kept[0].signature, "linux/munmap/answer");
        let path = kept[0].kept.path().unwrap();
        assert!(path.ends_with("linux-munmap-answer.vma"));
        assert_eq!(kept[1].kept.path(), Some(path));
        let written = std::fs::read_to_string(path).unwrap();
        assert!(written.contains("# linux/munmap/answer: call 1: answer: 0x0, Linux EINVAL."));
        let counts = std::fs::read_to_string(folder.path().join("counts.txt")).unwrap();
        assert_eq!(counts, "2 linux-munmap-answer.vma\n");
        let case = Case::parse("kept", &written).unwrap();
        assert_eq!(case.program, found.program);
    }
}
