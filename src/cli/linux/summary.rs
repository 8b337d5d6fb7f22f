//! What a campaign against the running kernel did: at its end, for people and as JSON.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use indicatif::HumanCount;
use serde::Serialize;
use vmadiff::linux::Tally;

use super::super::explain::replay_on_linux;
use super::super::paint;
use super::super::summary::{Head, IN_NO_FILE, Unsaved, human, percent, share, write_finding};
use super::fuzz::{Ended, Plan};
use crate::artifacts::{COMMIT, Kept, TOOLCHAIN, VERSION};
use crate::counted::noun_for;
use crate::status::Status;

/// A finding, and the file that has it.
#[derive(Clone, Debug)]
pub struct Finding {
    pub signature: String,
    pub what: String,
    /// How often the folder had it when the campaign began.
    pub before: u64,
    pub kept: Kept,
}

impl Finding {
    /// Tries again to save it, if it is in no file yet.
    pub fn retry(&mut self) {
        self.kept.retry();
    }
}

/// The summary, as `--json` prints it.
#[derive(Debug, Serialize)]
pub struct Summary {
    version: &'static str,
    commit: &'static str,
    toolchain: &'static str,
    kernel: String,
    boundaries: bool,
    seed: u64,
    jobs: u32,
    seconds: f64,
    /// From the start of the guest until it was up, if the kernel was booted.
    #[serde(skip_serializing_if = "Option::is_none")]
    boot_seconds: Option<f64>,
    interrupted: bool,
    programs: u64,
    programs_per_second: f64,
    /// Calls that were compared.
    calls: u64,
    /// Of those, 0 to 1.
    succeeded_share: f64,
    by_call: Vec<Call>,
    /// Programs that were compared up to a known difference only.
    ended_early: u64,
    /// Known differences, by name: programs that showed them.
    known_differences: BTreeMap<Cow<'static, str>, u64>,
    /// Programs that could not be run to their end, by the reason.
    stopped: BTreeMap<String, u64>,
    findings: Vec<Found>,
    exit_status: u8,
    #[serde(skip)]
    status: Status,
}

#[derive(Debug, Serialize)]
struct Call {
    call: String,
    made: u64,
    succeeded: u64,
}

#[derive(Debug, Serialize)]
struct Found {
    signature: String,
    count: u64,
    known: bool,
    /// How often the folder had it when the campaign began.
    before: u64,
    what: Option<String>,
    program: Option<PathBuf>,
    /// The command that shows it again.
    replay: Option<String>,
    /// Its program, if that could not be saved.
    unsaved: Option<Unsaved>,
}

impl Summary {
    /// Sums up.
    pub fn new(plan: &Plan, ended: Ended, interrupted: bool) -> Self {
        let Ended {
            kernel,
            tally,
            kept,
            elapsed,
            boot,
        } = ended;
        let boundaries = !plan.campaign.view.joins();
        let (calls, seconds) = (tally.all_calls(), elapsed.as_secs_f64());
        let status = if kept.iter().any(|finding| finding.kept.path().is_none()) {
            Status::HarnessFailed
        } else if !kept.is_empty() {
            Status::Diverged
        } else if calls.made == 0 && tally.findings.is_empty() {
            Status::HarnessFailed // a clean end that compared nothing proves nothing
        } else {
            Status::Agreed
        };
        let by_call = tally.calls.iter().map(|(call, calls)| Call {
            call: call.to_string(),
            made: calls.made,
            succeeded: calls.succeeded,
        });
        Self {
            version: VERSION,
            commit: COMMIT,
            toolchain: TOOLCHAIN,
            kernel,
            boundaries,
            seed: plan.campaign.seed,
            jobs: plan.campaign.jobs,
            seconds,
            interrupted,
            programs: tally.programs,
            programs_per_second: tally.programs as f64 / seconds.max(f64::MIN_POSITIVE),
            calls: calls.made,
            succeeded_share: share(calls.succeeded, calls.made),
            by_call: by_call.collect(),
            boot_seconds: boot.map(|time| time.as_secs_f64()),
            ended_early: tally.ended_early,
            known_differences: tally.known.clone(),
            stopped: tally.stopped.clone(),
            findings: findings(plan, &tally, &kept, boundaries),
            exit_status: status.number(),
            status,
        }
    }

    /// How the command ends.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Says on standard error what could not be saved, and that nothing was compared.
    pub fn complain(&self) {
        if self.calls == 0 && self.status == Status::HarnessFailed {
            crate::tell!("{}: no call was compared", paint::bad("error"));
        }
        let unsaved = self
            .findings
            .iter()
            .filter_map(|found| found.unsaved.as_ref());
        unsaved.for_each(Unsaved::complain);
    }

    /// The summary as text for a terminal.
    pub fn text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text).expect("a String takes all");
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let head = Head {
            ran: self.programs,
            what: &format!(
                "{} on Linux {}",
                noun_for(self.programs, "program"),
                self.kernel
            ),
            seconds: self.seconds,
            per_second: self.programs_per_second,
            jobs: self.jobs,
            seed: self.seed,
            interrupted: self.interrupted,
        };
        writeln!(out, "{head}")?;
        if let Some(seconds) = self.boot_seconds {
            writeln!(
                out,
                "{} {seconds:.1} s until the first program",
                paint::strong("boot:    ")
            )?;
        }
        writeln!(
            out,
            "{} {} compared, {} succeeded",
            paint::strong("calls:   "),
            HumanCount(self.calls),
            percent(self.succeeded_share),
        )?;
        for Call {
            call,
            made,
            succeeded,
        } in &self.by_call
        {
            let share = percent(share(*succeeded, *made));
            let made = HumanCount(*made).to_string();
            writeln!(out, "  {call:<16}{made:>15} {share:>8}")?;
        }
        self.write_differences(out)
    }

    fn write_differences(&self, out: &mut String) -> std::fmt::Result {
        for (name, count) in &self.known_differences {
            let heading = paint::strong("known:   ");
            writeln!(out, "{heading} {name} in {}", human(*count, "program"))?;
        }
        for (why, count) in &self.stopped {
            let heading = paint::strong("stopped: ");
            writeln!(out, "{heading} {}: {why}", human(*count, "program"))?;
        }
        let heading = paint::strong("findings:");
        if self.findings.is_empty() {
            writeln!(out, "{heading} {}", paint::good("none"))?;
        }
        for found in &self.findings {
            let replay = found.replay.as_deref().unwrap_or(IN_NO_FILE);
            let news = found.what.as_deref().map(|what| (what, replay));
            write_finding(
                out,
                &found.signature,
                found.count,
                found.known,
                found.before,
                news,
            )?;
        }
        Ok(())
    }
}

fn findings(plan: &Plan, tally: &Tally, kept: &[Finding], boundaries: bool) -> Vec<Found> {
    let image = plan
        .machinery
        .as_ref()
        .map(|machinery| machinery.image.path.as_path());
    let counted = tally.findings.iter();
    counted
        .map(|(signature, &count)| {
            // A finding that looked otherwise once it was small is listed under both its names.
            let news = kept.iter().find(|kept| kept.signature == *signature);
            let program = news.and_then(|news| news.kept.path());
            let unsaved = news.filter(|news| news.kept.path().is_none());
            Found {
                signature: signature.clone(),
                count,
                known: plan.known.contains(signature),
                before: news.map_or(0, |news| news.before),
                what: news.map(|kept| kept.what.clone()),
                program: program.map(Path::to_owned),
                replay: program.map(|program| replay_on_linux(program, image, boundaries)),
                unsaved: unsaved.map(|news| Unsaved::of(&news.kept)),
            }
        })
        .collect()
}
