//! Watches over the jobs: starts them, gathers what they say, stops them, and tells why one died.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::Result;
use vmadiff::judge::steps::UNJUDGED;

use super::job::{Event, Job};
use super::legacy::Input;
use super::progress::{Progress, processor};
use super::protocol::{Finding, Settings};

/// Jobs that are replaced within [`LATELY`]. A harness that fails more often is not worth going on
/// with; one that fails once a week is.
const REPLACED: usize = 16;
const LATELY: Duration = Duration::from_secs(3600);
/// How long after a job could not be started it is tried again.
const START_AGAIN: Duration = Duration::from_secs(10);
/// How often the progress is looked at.
const TICK: Duration = Duration::from_millis(200);
/// Of so many programs one race may be left unjudged.
const MILLION: u64 = 1_000_000;

/// What to run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What the jobs are asked to do together; job `i` draws from `seed + i`.
    pub settings: Settings,
    /// Jobs at once.
    pub jobs: u32,
    /// When to stop.
    pub duration: Option<Duration>,
    /// The corpus is wanted after the campaign: one that could not be written is a loss.
    pub keeps_corpus: bool,
    /// When to stop by the time that the jobs had on processors, to about a second.
    pub processor: Option<Duration>,
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
    /// The input that it was working on, if libFuzzer left it.
    pub input: Option<Input>,
    /// What the job printed last.
    pub last_words: String,
}

/// What is worth telling at once.
#[derive(Debug)]
pub enum News<'a> {
    /// The first finding of a signature.
    Found(&'a Finding),
    /// A job died like this, and another takes its place.
    Replaced(&'a Failure),
    /// No job could be started in the place of a dead one. It is tried again and again.
    Refused(&'a anyhow::Error),
}

struct Campaign<'a> {
    plan: &'a Plan,
    start: Instant,
    /// Those asked for, then those that took the place of dead ones.
    jobs: Vec<Job>,
    sender: Sender<(usize, Event)>,
    findings: BTreeMap<String, Finding>,
    /// The jobs were told to stop.
    stopping: bool,
    /// When no job could be started in the place of a dead one.
    refused: Option<Instant>,
}

/// Runs a campaign to its end. `interrupted` is asked, and `show` told, a few times a second;
/// `heard` is told the news and answers whether they end the campaign.
pub fn run(
    plan: &Plan,
    interrupted: impl Fn() -> bool,
    mut heard: impl FnMut(News<'_>) -> Result<bool>,
    mut show: impl FnMut(&Progress),
) -> Result<Ended> {
    let (sender, events) = channel();
    let mut campaign = Campaign {
        plan,
        start: Instant::now(),
        jobs: Vec::new(),
        sender,
        findings: BTreeMap::new(),
        stopping: false,
        refused: None,
    };
    for index in 0..plan.jobs {
        campaign.start_job(job_settings(plan, index))?;
    }
    let (mut was_interrupted, mut found) = (false, false);
    while !campaign.has_ended() || campaign.waits_for_a_place() {
        found |= campaign.take_events(&events, &mut heard)?;
        show(&campaign.progress());
        was_interrupted |= interrupted();
        if plan.settings.keep_going && !was_interrupted {
            found |= campaign.replace_dead(&mut heard)?;
        }
        let elapsed = campaign.start.elapsed();
        let processor = processor(&campaign.jobs);
        let over = plan.duration.is_some_and(|limit| elapsed >= limit)
            || plan.processor.is_some_and(|limit| processor >= limit);
        let dead = campaign.dead().is_some() && campaign.refused.is_none();
        campaign.stop_if(was_interrupted || over || found || dead)?;
    }
    Ok(Ended {
        progress: campaign.progress(),
        failures: campaign.failures(was_interrupted),
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

    /// Whether a job is to be started as soon as the system lets it.
    fn waits_for_a_place(&self) -> bool {
        self.refused.is_some() && !self.stopping
    }

    /// Waits a tick for what the jobs say, or until all have ended. Answers whether it is enough.
    fn take_events(
        &mut self,
        events: &Receiver<(usize, Event)>,
        heard: &mut impl FnMut(News<'_>) -> Result<bool>,
    ) -> Result<bool> {
        let mut enough = false;
        let until = Instant::now() + TICK;
        while !self.has_ended() || self.waits_for_a_place() {
            let patience = until.saturating_duration_since(Instant::now());
            let Ok((index, event)) = events.recv_timeout(patience) else {
                break;
            };
            if let Some(finding) = self.jobs[index].take(event)?
                && self.is_first(&finding)
            {
                enough |= heard(News::Found(&finding))?;
                self.findings.insert(finding.signature.clone(), finding);
            }
        }
        Ok(enough)
    }

    /// Whether no other job found the same before.
    fn is_first(&self, finding: &Finding) -> bool {
        !self.findings.contains_key(&finding.signature)
    }

    /// A job that died and that no other took the place of.
    fn dead(&self) -> Option<usize> {
        let ended = |job: &Job| job.lost_manager() || job.failure().is_some();
        let is_dead = |job: &Job| job.replaced.is_none() && ended(job);
        self.jobs.iter().position(is_dead)
    }

    /// How long ago jobs were replaced.
    fn replaced_ago(&self) -> impl Iterator<Item = Duration> {
        let replaced = self.jobs.iter().filter_map(|job| job.replaced);
        replaced.map(|at| at.elapsed())
    }

    /// Starts a job in the place of each dead one. It draws otherwise, and so does something else.
    /// Answers whether it is enough.
    fn replace_dead(&mut self, heard: &mut impl FnMut(News<'_>) -> Result<bool>) -> Result<bool> {
        let mut enough = false;
        if self.refused.is_some_and(|at| at.elapsed() < START_AGAIN) {
            return Ok(false);
        }
        self.refused = None;
        while let Some(dead) = self.dead()
            && !self.stopping
            && worth_going_on(self.replaced_ago())
        {
            let done = self.jobs[dead].totals.executions;
            let mut settings = job_settings(self.plan, self.jobs.len() as u32);
            settings.runs = self.jobs[dead]
                .runs
                .map(|runs| runs.saturating_sub(done).max(1));
            settings.fault = None;
            if let Err(error) = self.start_job(settings) {
                self.refused = Some(Instant::now());
                return heard(News::Refused(&error));
            }
            self.jobs[dead].replaced = Some(Instant::now());
            if let Some(failure) = self.jobs[dead].failure() {
                enough |= heard(News::Replaced(&failure))?;
            }
        }
        Ok(enough)
    }

    /// Why jobs died, each; and that one did nothing, unless the user stopped it before it could.
    fn failures(&self, was_interrupted: bool) -> Vec<Failure> {
        // Ctrl-C reaches a job, too, before it has a process group of its own.
        let stopped = |job: &&Job| was_interrupted && job.was_interrupted();
        let jobs = self.jobs.iter().filter(|job| !stopped(job));
        let mut failures: Vec<Failure> = jobs.filter_map(Job::failure).collect();
        let mut asked_for = self.jobs.iter().take(self.plan.jobs as usize);
        let found = |job: &Job| job.lost_manager() || !job.totals.findings.is_empty();
        // What boots and panics runs no program of any calls.
        let idle = |job: &Job| job.totals.executions == 0 && !found(job);
        let did_nothing = !was_interrupted && asked_for.any(idle);
        if failures.is_empty() && did_nothing {
            failures.push(Failure {
                how: "a job executed nothing".to_owned(),
                input: None,
                last_words: String::new(),
            });
        }
        let Progress { skipped, stats, .. } = self.progress();
        let unjudged = skipped.get(UNJUDGED).copied().unwrap_or(0);
        if are_too_many(unjudged, stats.executions()) {
            failures.push(Failure {
                how: format!("more than one race in a million is left unjudged: {unjudged}"),
                input: None,
                last_words: UNJUDGED.to_owned(),
            });
        }
        failures
    }

    fn stop_if(&mut self, wanted: bool) -> Result<()> {
        if wanted && !self.stopping {
            self.stopping = true;
            self.jobs.iter_mut().for_each(Job::ask_to_stop);
        }
        let mut jobs = self.jobs.iter_mut();
        jobs.try_for_each(Job::kill_if_it_does_not_stop)
    }

    fn progress(&self) -> Progress {
        Progress::of(&self.jobs, self.start.elapsed())
    }
}

/// Whether races that are left unjudged are more than one program in a million, once a million ran.
fn are_too_many(unjudged: u64, executions: u64) -> bool {
    executions >= MILLION && unjudged > executions / MILLION
}

/// Whether another job may die, when others were replaced so long ago.
fn worth_going_on(replaced: impl Iterator<Item = Duration>) -> bool {
    replaced.filter(|&ago| ago < LATELY).count() < REPLACED
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_race_in_a_million_may_be_left_unjudged() {
        assert!(!are_too_many(0, 25_000_000));
        assert!(!are_too_many(25, 25_000_000));
        assert!(are_too_many(26, 25_000_000));
        assert!(are_too_many(2, 1_999_999));
        // Before that nothing is known of a rate.
        assert!(!are_too_many(7, 999_999));
    }

    #[test]
    fn a_harness_may_fail_now_and_then_but_not_all_the_time() {
        let worth = |ages: &[Duration]| worth_going_on(ages.iter().copied());
        let mut ages = vec![LATELY; 10 * REPLACED];
        assert!(worth(&ages));
        ages.extend([Duration::ZERO; REPLACED - 1]);
        assert!(worth(&ages));
        ages.push(LATELY / 2);
        assert!(!worth(&ages));
    }
}
