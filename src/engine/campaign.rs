//! Watches over the jobs: starts them, gathers what they say, stops them, and tells why one died.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::Result;
use vmadiff::coverage::Stats;

use super::job::{Event, Job};
use super::protocol::{Finding, Settings, Totals};

/// How long a job may take to stop when told to; then it is killed. Longer than a hang may last.
const PATIENCE: Duration = Duration::from_secs(15);
/// Jobs that are replaced when they die. A harness that fails more often is not worth going on with.
const REPLACED: usize = 16;
/// How often the progress is looked at.
const TICK: Duration = Duration::from_millis(200);

/// What to run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What the jobs are asked to do together; job `i` draws from `seed + i`.
    pub settings: Settings,
    /// Jobs at once.
    pub jobs: u32,
    /// When to stop.
    pub duration: Option<Duration>,
    /// When to stop by the time that the jobs had on processors, to about a second.
    pub processor: Option<Duration>,
}

/// How it stands.
#[derive(Default)]
pub struct Progress {
    /// Time since the start.
    pub elapsed: Duration,
    /// What all jobs did.
    pub stats: Stats,
    /// Programs that could not be compared, by reason.
    pub skipped: BTreeMap<String, u64>,
    /// Divergences by signature, known ones too.
    pub findings: BTreeMap<String, u64>,
    /// Resident memory of all jobs, KiB.
    pub rss_kib: u64,
    /// Time that all jobs had on processors.
    pub processor: Duration,
    /// Inputs in the corpus, of the job that has most.
    pub corpus: u64,
    /// Features seen, by the job that saw most.
    pub coverage: u64,
}

/// How it ended.
pub struct Ended {
    /// How it stood at the end.
    pub progress: Progress,
    /// What was found and is news, the first of each signature.
    pub findings: Vec<Finding>,
    /// Jobs in which the harness failed.
    pub failures: Vec<Failure>,
    /// Stopped by the user.
    pub interrupted: bool,
}

/// The harness failed in a job.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What happened, in words.
    pub how: String,
    /// The input that it was working on, if libFuzzer kept it.
    pub input: Option<PathBuf>,
    /// What the job printed last.
    pub last_words: String,
}

struct Campaign<'a> {
    plan: &'a Plan,
    start: Instant,
    /// Those asked for, then those that took the place of dead ones.
    jobs: Vec<Job>,
    sender: Sender<(usize, Event)>,
    findings: BTreeMap<String, Finding>,
    /// When the jobs were told to stop.
    stopping: Option<Instant>,
}

/// Runs a campaign to its end. `interrupted` is asked, and `show` told, a few times a second;
/// `enough` says of each finding whether it ends the campaign.
pub fn run(
    plan: &Plan,
    interrupted: impl Fn() -> bool,
    enough: impl Fn(&Finding) -> bool,
    mut show: impl FnMut(&Progress),
) -> Result<Ended> {
    let (sender, events) = channel();
    let mut campaign = Campaign {
        plan,
        start: Instant::now(),
        jobs: Vec::new(),
        sender,
        findings: BTreeMap::new(),
        stopping: None,
    };
    for index in 0..plan.jobs {
        campaign.start_job(job_settings(plan, index))?;
    }
    let (mut was_interrupted, mut found) = (false, false);
    while !campaign.has_ended() {
        found |= campaign.take_events(&events)?.iter().any(&enough);
        show(&campaign.progress());
        was_interrupted |= interrupted();
        if plan.settings.keep_going {
            campaign.replace_dead()?;
        }
        let elapsed = campaign.start.elapsed();
        let processor = campaign.processor();
        let over = plan.duration.is_some_and(|limit| elapsed >= limit)
            || plan.processor.is_some_and(|limit| processor >= limit);
        campaign.stop_if(was_interrupted || over || found || campaign.dead().is_some())?;
    }
    Ok(Ended {
        progress: campaign.progress(),
        failures: campaign.failures(),
        findings: campaign.findings.into_values().collect(),
        interrupted: was_interrupted,
    })
}

fn job_settings(plan: &Plan, index: u32) -> Settings {
    let jobs = u64::from(plan.jobs);
    let share = |runs: u64| runs / jobs + u64::from(u64::from(index) < runs % jobs);
    Settings {
        seed: plan.settings.seed.wrapping_add(index).max(1),
        runs: plan.settings.runs.map(share),
        fault: plan.settings.fault.filter(|_| index == 0),
        ..plan.settings.clone()
    }
}

impl Campaign<'_> {
    fn start_job(&mut self, settings: Settings) -> Result<()> {
        let job = Job::start(self.jobs.len(), settings, &self.sender)?;
        self.jobs.push(job);
        Ok(())
    }

    fn has_ended(&self) -> bool {
        self.jobs.iter().all(Job::has_ended)
    }

    /// Waits a tick for what the jobs say, or until all have ended. Answers what they found.
    fn take_events(&mut self, events: &Receiver<(usize, Event)>) -> Result<Vec<Finding>> {
        let mut found = Vec::new();
        let until = Instant::now() + TICK;
        while !self.has_ended() {
            let patience = until.saturating_duration_since(Instant::now());
            let Ok((index, event)) = events.recv_timeout(patience) else {
                break;
            };
            if let Some(finding) = self.jobs[index].take(event)? {
                found.push(finding.clone());
                self.findings
                    .entry(finding.signature.clone())
                    .or_insert(finding);
            }
        }
        Ok(found)
    }

    /// A job that died and that no other took the place of.
    fn dead(&self) -> Option<usize> {
        let is_dead = |job: &Job| !job.replaced && job.failure().is_some();
        self.jobs.iter().position(is_dead)
    }

    /// Starts a job in the place of each dead one. It draws otherwise, and so does something else.
    fn replace_dead(&mut self) -> Result<()> {
        while let Some(dead) = self.dead()
            && self.stopping.is_none()
            && self.jobs.len() < self.plan.jobs as usize + REPLACED
        {
            let done = self.jobs[dead].totals.executions;
            let mut settings = job_settings(self.plan, self.jobs.len() as u32);
            settings.runs = self.jobs[dead]
                .runs
                .map(|runs| runs.saturating_sub(done).max(1));
            settings.fault = None;
            self.jobs[dead].replaced = true;
            self.start_job(settings)?;
        }
        Ok(())
    }

    /// Why jobs died, each.
    fn failures(&self) -> Vec<Failure> {
        let mut failures: Vec<Failure> = self.jobs.iter().filter_map(Job::failure).collect();
        let mut asked_for = self.jobs.iter().take(self.plan.jobs as usize);
        if failures.is_empty() && asked_for.any(|job| job.totals.executions == 0) {
            failures.push(Failure {
                how: "a job executed nothing".to_owned(),
                input: None,
                last_words: String::new(),
            });
        }
        failures
    }

    fn stop_if(&mut self, wanted: bool) -> Result<()> {
        if wanted && self.stopping.is_none() {
            self.stopping = Some(Instant::now());
            self.jobs.iter_mut().for_each(Job::ask_to_stop);
        }
        if self
            .stopping
            .is_some_and(|since| since.elapsed() > PATIENCE)
        {
            self.jobs.iter_mut().try_for_each(Job::kill)?;
        }
        Ok(())
    }

    fn processor(&self) -> Duration {
        let times = self.jobs.iter().map(|job| job.totals.processor_ms);
        Duration::from_millis(times.sum())
    }

    fn progress(&self) -> Progress {
        let mut progress = Progress {
            elapsed: self.start.elapsed(),
            processor: self.processor(),
            ..Progress::default()
        };
        for job in &self.jobs {
            let Totals {
                executions,
                counts,
                skipped,
                findings,
                rss_kib,
                ..
            } = &job.totals;
            progress
                .stats
                .add(&Stats::from_counts(*executions, counts.iter().copied()));
            add_counts(&mut progress.skipped, skipped);
            add_counts(&mut progress.findings, findings);
            progress.rss_kib += rss_kib;
            progress.corpus = progress.corpus.max(job.log.corpus);
            progress.coverage = progress.coverage.max(job.log.coverage);
        }
        progress
    }
}

fn add_counts(to: &mut BTreeMap<String, u64>, from: &BTreeMap<String, u64>) {
    for (name, count) in from {
        *to.entry(name.clone()).or_default() += count;
    }
}
