//! `vmadiff fuzz linux`: the reference against the running kernel, from the options to the summary.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use vmadiff::linux::{Campaign, Found, Tally, fuzz};
use vmadiff_contract::Manager;
use vmadiff_linux::Linux;
use vmadiff_reference::Reference;

use super::super::interrupt::Interrupt;
use super::super::output::print;
use super::super::paint;
use super::summary::{Kept, Summary};
use crate::artifacts;
use crate::status::{HarnessFailed, Status};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Plan {
    pub campaign: Campaign,
    /// Folder for what is found.
    pub artifacts: PathBuf,
    pub keep_going: bool,
    /// Signatures that are not news.
    pub known: Vec<String>,
    pub json: bool,
}

pub fn run(plan: &Plan) -> Result<Status> {
    let release = match Linux::new() {
        Ok(linux) => linux.machine().release.clone(),
        Err(why) => bail!("programs can not be run on this machine's kernel: {why}"),
    };
    std::fs::create_dir_all(&plan.artifacts)
        .with_context(|| plan.artifacts.display().to_string())?;
    let interrupt = Interrupt::catch()?;
    let start = Instant::now();
    let (tally, kept) = campaign(plan, &interrupt, start)?;
    let summary = Summary::new(
        plan,
        release,
        &tally,
        kept,
        start.elapsed(),
        interrupt.came(),
    );
    if plan.json {
        print(&format!("{}\n", serde_json::to_string_pretty(&summary)?))?;
    } else {
        print(&summary.text())?;
    }
    Ok(summary.status())
}

/// Fuzzes, draws progress on standard error if that is a terminal, and keeps what is found.
fn campaign(plan: &Plan, interrupt: &Interrupt, start: Instant) -> Result<(Tally, Vec<Kept>)> {
    let bar = ProgressBar::new_spinner();
    bar.set_style(ProgressStyle::with_template("{spinner} {wide_msg}")?);
    let stop = AtomicBool::new(false);
    let mut kept = Vec::new();
    let mut trouble = None;
    let tally = fuzz(&plan.campaign, Reference::boot, &stop, |tally, found| {
        bar.tick();
        bar.set_message(line(plan, tally, start.elapsed()));
        let news = found.filter(|found| !plan.known.contains(&found.signature()));
        if let Some(found) = news {
            match keep(found, &plan.artifacts) {
                Ok(one) => kept.push(one),
                Err(error) => trouble = Some(error),
            }
        }
        if interrupt.came() || trouble.is_some() || news.is_some() && !plan.keep_going {
            stop.store(true, Ordering::Relaxed);
        }
    });
    bar.finish_and_clear();
    trouble.map_or(Ok(()), Err)?;
    let tally = tally.map_err(|why| HarnessFailed(format!("fuzzing the running kernel: {why}")))?;
    Ok((tally, kept))
}

/// Writes a finding, made small, as text.
fn keep(found: &Found, folder: &Path) -> Result<Kept> {
    let (signature, what) = (found.signature(), found.finding.to_string());
    let text = artifacts::text(&signature, &what, &found.program, None);
    let program = artifacts::write_signed(folder, &signature, &text)?;
    Ok(Kept {
        signature,
        what,
        program,
    })
}

/// The live line.
fn line(plan: &Plan, tally: &Tally, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64();
    let limit = plan.campaign.time;
    let limit = limit.map_or(String::new(), |limit| format!("/{}", limit.as_secs()));
    let calls = tally.all_calls();
    let mut line = format!(
        "{seconds:.0}{limit} s · {} programs/s · {} programs · {} calls",
        HumanCount((tally.programs as f64 / seconds.max(f64::MIN_POSITIVE)) as u64),
        HumanCount(tally.programs),
        HumanCount(calls.made),
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
    use vmadiff_linux::{Difference, Field, Finding};

    #[test]
    fn a_finding_is_kept_as_a_program_and_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let text = "munmap(0x1f0000, 0x1000)\n";
        let found = Found {
            program: Case::parse("test", text).unwrap().program,
            finding: Finding {
                call: Some(0),
                difference: Difference::new(Field::Answer, (0, 0), "0x0, Linux EINVAL".into()),
            },
        };
        let kept = [(); 2].map(|()| keep(&found, folder.path()).unwrap());
        assert_eq!(kept[0].signature, "linux/munmap/answer");
        assert!(kept[0].program.ends_with("linux-munmap-answer.vma"));
        assert!(kept[1].program.ends_with("linux-munmap-answer-2.vma"));
        let written = std::fs::read_to_string(&kept[0].program).unwrap();
        assert!(written.contains("# linux/munmap/answer: call 1: answer: 0x0, Linux EINVAL."));
        assert_eq!(
            Case::parse("kept", &written).unwrap().program,
            found.program
        );
    }
}
