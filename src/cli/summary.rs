//! What a campaign did: at its end, for people and as JSON.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::path::{Path, PathBuf};

use indicatif::HumanCount;
use serde::Serialize;
use vmadiff::coverage;
use vmadiff::designs::{self, Planted};

use super::explain::replay;
use super::findings::Explained;
use super::live::in_words;
use super::output::path_in_json_if;
use super::paint;
use crate::artifacts::{COMMIT, Kept, TOOLCHAIN, VERSION};
use crate::counted::noun_for;
use crate::engine::{Ended, PassedOver, Plan, Progress, Seen};
use crate::status::Status;

/// Stands for the command that shows a finding again where its program could not be saved.
pub const IN_NO_FILE: &str = "(its program could not be saved: see standard error)";

/// The summary, as `--json` prints it.
#[derive(Debug, Serialize)]
pub struct Summary {
    version: &'static str,
    commit: &'static str,
    toolchain: &'static str,
    design: &'static str,
    defects: Vec<String>,
    seed: u32,
    jobs: u32,
    seconds: f64,
    interrupted: bool,
    executions_per_second: f64,
    /// Of the calls, 0 to 1.
    succeeded_share: f64,
    /// Of the faults that were served, 0 to 1.
    speculative_share: f64,
    #[serde(flatten)]
    reached: coverage::Summary,
    skipped: BTreeMap<String, u64>,
    /// Differences that are no news, by name.
    known: BTreeMap<String, Met>,
    corpus: u64,
    /// Inputs that were in the corpus and that a job had no time to execute.
    unread_inputs: u64,
    #[serde(skip)]
    inputs: Seen,
    /// What the corpus has that is no input, or could not be read.
    passed_over: Option<PassedOver>,
    coverage: u64,
    rss_kib: u64,
    findings: Vec<Found>,
    failures: Vec<Failed>,
    /// Inputs of the corpus that are in no file.
    unsaved_inputs: u64,
    exit_status: u8,
    #[serde(skip)]
    status: Status,
}

/// How often a known difference was met, and a program ended there.
#[derive(Debug, Serialize)]
struct Met {
    met: u64,
    ended: u64,
}

#[derive(Debug, Serialize)]
struct Found {
    signature: String,
    count: u64,
    known: bool,
    /// How often the folder had it when the campaign began.
    before: u64,
    what: Option<String>,
    /// As it was found.
    #[serde(serialize_with = "path_in_json_if")]
    program: Option<PathBuf>,
    /// Shrunk.
    #[serde(serialize_with = "path_in_json_if")]
    small: Option<PathBuf>,
    /// The command that shows it again.
    replay: Option<String>,
    /// Programs that could not be saved, and why.
    unsaved: Vec<Unsaved>,
}

/// A program that is nowhere but here.
#[derive(Debug, Serialize)]
pub struct Unsaved {
    /// The program, as text.
    pub text: String,
    /// Why it is in no file.
    pub why: String,
}

#[derive(Debug, Serialize)]
struct Failed {
    how: String,
    #[serde(serialize_with = "path_in_json_if")]
    input: Option<PathBuf>,
    /// The input in hexadecimal, if it could not be saved.
    unsaved_input: Option<String>,
    last_words: String,
}

impl Summary {
    /// Sums up.
    pub fn new(plan: &Plan, planted: &Planted, ended: &Ended, explained: &[Explained]) -> Self {
        let progress = &ended.progress;
        let reached = progress.stats.summary(planted.design());
        let seconds = progress.elapsed.as_secs_f64();
        let unsaved = explained.iter().flat_map(Explained::unsaved).next();
        let lost = unsaved.is_some() || progress.unsaved != 0 && plan.keeps_corpus;
        let status = if lost || !ended.failures.is_empty() {
            Status::HarnessFailed
        } else if !ended.findings.is_empty() {
            Status::Diverged
        } else {
            Status::Agreed
        };
        Self {
            version: VERSION,
            commit: COMMIT,
            toolchain: TOOLCHAIN,
            design: planted.design().name,
            defects: plan.settings.defects.clone(),
            seed: plan.settings.seed,
            jobs: plan.jobs,
            seconds,
            interrupted: ended.interrupted,
            executions_per_second: reached.executions as f64 / seconds.max(f64::MIN_POSITIVE),
            succeeded_share: share(reached.succeeded, reached.calls),
            speculative_share: share(reached.speculative, reached.speculative + reached.classic),
            reached,
            skipped: progress.skipped.clone(),
            known: known(progress),
            corpus: progress.corpus,
            unread_inputs: progress.inputs.left(),
            inputs: progress.inputs,
            passed_over: progress.passed_over.clone(),
            coverage: progress.coverage,
            rss_kib: progress.rss_kib,
            findings: findings(plan, planted, ended, explained),
            failures: failures(ended),
            unsaved_inputs: progress.unsaved,
            exit_status: status.number(),
            status,
        }
    }

    /// How the command ends.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Says on standard error what could not be saved: programs that were found, and how many
    /// inputs of the corpus.
    pub fn complain_of_unsaved(&self) {
        let unsaved = self.findings.iter().flat_map(|found| &found.unsaved);
        unsaved.for_each(Unsaved::complain);
        if self.unsaved_inputs != 0 {
            let heading = paint::bad("not saved:");
            let inputs = human(self.unsaved_inputs, "new input");
            crate::tell!("{heading} {inputs} of the corpus");
        }
    }

    /// The summary as text for a terminal.
    pub fn text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text).expect("a String takes all");
        text
    }

    fn write(&self, out: &mut String) -> fmt::Result {
        let head = Head {
            ran: self.reached.executions,
            what: &noun_for(self.reached.executions, "execution"),
            seconds: self.seconds,
            per_second: self.executions_per_second,
            jobs: self.jobs,
            seed: self.seed.into(),
            interrupted: self.interrupted,
        };
        writeln!(out, "{head}")?;
        self.write_calls(out)?;
        self.write_faults(out)?;
        writeln!(
            out,
            "{} {}, {}, {} MiB resident",
            paint::strong("corpus:  "),
            human(self.corpus, "input"),
            human(self.coverage, "feature"),
            HumanCount(self.rss_kib / 1024),
        )?;
        if self.unread_inputs != 0 {
            let Seen { seen, all } = self.inputs;
            writeln!(
                out,
                "{} {} of {} that were there were read: give it longer",
                paint::warning("corpus:  "),
                HumanCount(seen),
                human(all, "input"),
            )?;
        }
        if let Some(passed_over) = &self.passed_over {
            let heading = paint::warning("corpus:  ");
            writeln!(out, "{heading} {}: passed over", in_words(passed_over))?;
        }
        for (why, count) in &self.skipped {
            writeln!(
                out,
                "{} {}: {why}",
                paint::strong("skipped: "),
                human(*count, "program")
            )?;
        }
        for (name, Met { met, ended }) in &self.known {
            let (met, ended) = (human(*met, "time"), human(*ended, "program"));
            let heading = paint::strong("known:   ");
            writeln!(out, "{heading} {name}: {met}, {ended} ended there")?;
        }
        // What this project's designs never did is no matter of a manager of somebody else's.
        if designs::are_own() && !self.reached.never.is_empty() {
            writeln!(
                out,
                "{} {}",
                paint::strong("not seen:"),
                grouped(&self.reached.never)
            )?;
        }
        self.write_findings(out)
    }

    fn write_calls(&self, out: &mut String) -> fmt::Result {
        let per_program = self.reached.calls as f64 / self.reached.executions.max(1) as f64;
        writeln!(
            out,
            "{} {}, {per_program:.1} a program, {} succeeded",
            paint::strong("calls:   "),
            HumanCount(self.reached.calls),
            percent(self.succeeded_share),
        )?;
        for call in &self.reached.by_call {
            let mut errors = call.errors.clone();
            errors.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
            let errors: Vec<String> = errors
                .into_iter()
                .map(|(errno, count)| format!("{errno} {}", percent(share(count, call.made))))
                .collect();
            let succeeded = percent(share(call.succeeded, call.made));
            let made = HumanCount(call.made).to_string();
            let line = format!(
                "  {:<16}{made:>15} {succeeded:>8}  {}",
                call.call,
                errors.join(", ")
            );
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }

    fn write_faults(&self, out: &mut String) -> fmt::Result {
        let served = self.reached.speculative + self.reached.classic;
        // Whether a fault did without a lock is asked of this project's designs only.
        if !designs::are_own() {
            return Ok(());
        }
        writeln!(
            out,
            "{} {} served, {} speculatively",
            paint::strong("faults:  "),
            HumanCount(served),
            percent(self.speculative_share),
        )?;
        let reasons: Vec<String> = self
            .reached
            .gave_up
            .iter()
            .map(|(reason, count)| format!("{reason} {}", HumanCount(*count)))
            .collect();
        if !reasons.is_empty() {
            writeln!(out, "{} {}", paint::strong("gave up: "), reasons.join(", "))?;
        }
        let raced = self.reached.raced.iter();
        let raced: Vec<_> = raced
            .map(|(call, count)| format!("{call} {}", HumanCount(*count)))
            .collect();
        if !raced.is_empty() {
            writeln!(out, "{} {}", paint::strong("racing:  "), raced.join(", "))?;
        }
        Ok(())
    }

    fn write_findings(&self, out: &mut String) -> fmt::Result {
        let heading = paint::strong("findings:");
        if self.findings.is_empty() {
            writeln!(out, "{heading} {}", paint::good("none"))?;
        }
        for Found {
            signature,
            count,
            known,
            before,
            what,
            replay,
            ..
        } in &self.findings
        {
            let replay = replay.as_deref().unwrap_or(IN_NO_FILE);
            let news = what.as_deref().map(|what| (what, replay));
            write_finding(out, signature, *count, *known, *before, news)?;
        }
        Ok(())
    }
}

fn findings(plan: &Plan, planted: &Planted, ended: &Ended, explained: &[Explained]) -> Vec<Found> {
    let counted = ended.progress.findings.iter();
    counted
        .map(|(signature, count)| {
            let news = explained.iter().find(|news| news.signature == *signature);
            let path = |kept: &Kept| kept.path().map(Path::to_owned);
            Found {
                signature: signature.clone(),
                count: *count,
                known: plan.settings.known.contains(signature),
                before: news.map_or(0, |news| news.before),
                what: news.map(|news| news.what.clone()),
                program: news.and_then(|news| path(&news.found)),
                small: news.and_then(|news| path(news.small.as_ref()?)),
                replay: news
                    .and_then(Explained::program)
                    .map(|program| replay(program, planted)),
                unsaved: news
                    .into_iter()
                    .flat_map(Explained::unsaved)
                    .map(Unsaved::of)
                    .collect(),
            }
        })
        .collect()
}

fn known(progress: &Progress) -> BTreeMap<String, Met> {
    let met = progress.known.iter();
    met.map(|(name, met)| {
        let ended = progress.known_ended.get(name).copied().unwrap_or_default();
        (name.clone(), Met { met: *met, ended })
    })
    .collect()
}

fn failures(ended: &Ended) -> Vec<Failed> {
    let failures = ended.failures.iter().cloned();
    failures
        .map(|failure| Failed {
            how: failure.how,
            unsaved_input: failure.input.as_ref().and_then(|input| {
                let is_lost = input.file.is_err();
                is_lost.then(|| input.hex())
            }),
            input: failure.input.and_then(|input| input.file.ok()),
            last_words: failure.last_words,
        })
        .collect()
}

impl Unsaved {
    /// What has to be told of a program that is in no file.
    pub fn of(kept: &Kept) -> Self {
        Self {
            text: kept.case().to_string(),
            why: kept.place().clone().err().unwrap_or_default(),
        }
    }

    /// Prints it, on standard error: nowhere else can it be kept.
    pub fn complain(&self) {
        let heading = paint::bad("not saved:");
        crate::tell!("{heading} {}; the program:\n{}", self.why, self.text);
    }
}

/// The first line of a summary.
pub struct Head<'a> {
    pub ran: u64,
    /// What ran.
    pub what: &'a str,
    pub seconds: f64,
    pub per_second: f64,
    pub jobs: u32,
    pub seed: u64,
    pub interrupted: bool,
}

impl fmt::Display for Head<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            seconds,
            jobs,
            seed,
            ..
        } = self;
        let heading = paint::strong("fuzzed:  ");
        let ran = HumanCount(self.ran);
        let rate = HumanCount(self.per_second as u64);
        let by = noun_for(u64::from(*jobs), "job");
        write!(
            f,
            "{heading} {ran} {what} in {seconds:.1} s ({rate}/s) by {jobs} {by}, seed {seed}"
        )?;
        f.write_str(if self.interrupted {
            ", interrupted"
        } else {
            ""
        })
    }
}

/// A finding in a summary; `before`: how often the folder had it already; `news`: what happens, and the
/// command that shows it again.
pub fn write_finding(
    out: &mut String,
    signature: &str,
    count: u64,
    known: bool,
    before: u64,
    news: Option<(&str, &str)>,
) -> fmt::Result {
    let heading = paint::strong("findings:");
    let times = match count {
        1 => "once".to_owned(),
        count => human(count, "time"),
    };
    if known {
        return writeln!(out, "{heading} {signature} ({times}, known)");
    }
    let before = match before {
        0 => String::new(),
        before => format!(", and {} before", HumanCount(before)),
    };
    writeln!(out, "{heading} {} ({times}{before})", paint::bad(signature))?;
    news.map_or(Ok(()), |(what, replay)| {
        writeln!(out, "  {what}\n  {replay}")
    })
}

/// `a: b` and `a: c` as `a: b, c`.
fn grouped(all: &[String]) -> String {
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    for one in all {
        let (what, which) = one.split_once(": ").unwrap_or((one, ""));
        match groups.iter_mut().find(|(other, _)| *other == what) {
            Some((_, group)) => group.push(which),
            None => groups.push((what, vec![which])),
        }
    }
    let groups = groups.iter();
    let groups: Vec<String> = groups
        .map(|(what, which)| format!("{what}: {}", which.join(", ")))
        .collect();
    groups.join("; ")
}

/// A count for people, with the noun of what is counted.
pub fn human(count: u64, noun: &str) -> String {
    format!("{} {}", HumanCount(count), noun_for(count, noun))
}

/// A part of a whole, 0 to 1; 0 of nothing.
pub fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

/// A share as people read it.
pub fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}
