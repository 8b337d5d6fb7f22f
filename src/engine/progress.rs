//! How a campaign stands: the counts of all its jobs.

use std::collections::BTreeMap;
use std::time::Duration;

use vmadiff::coverage::Stats;

use super::job::Job;
use super::protocol::{PassedOver, Seen, Stages, Totals};

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
    /// Differences that are no news, by name: how often they were met.
    pub known: BTreeMap<String, u64>,
    /// Of those, how often a program ended there.
    pub known_ended: BTreeMap<String, u64>,
    /// How far programs came with what is planted; which was the first, by the job that was first.
    pub stages: Stages,
    /// Resident memory of all jobs that live, or did at the end, KiB.
    pub rss_kib: u64,
    /// Time that all jobs had on processors.
    pub processor: Duration,
    /// Inputs in the corpus, of the job that has most.
    pub corpus: u64,
    /// Features seen, by the job that saw most.
    pub coverage: u64,
    /// Inputs of the corpus that are in no file: held back by jobs that live, lost with those that
    /// do not.
    pub unsaved: u64,
    /// Why inputs can not be written now.
    pub trouble: Option<String>,
    /// What the folder has that is no input.
    pub passed_over: Option<PassedOver>,
    /// How many of the corpus were executed, by the job that has most before it: each reads all.
    pub inputs: Seen,
}

impl Progress {
    /// How it stands with these jobs, the dead ones too.
    pub fn of(jobs: &[Job], elapsed: Duration) -> Self {
        let mut progress = Self {
            elapsed,
            processor: processor(jobs),
            ..Self::default()
        };
        for job in jobs {
            progress.add(job);
        }
        progress
    }

    fn add(&mut self, job: &Job) {
        let Totals {
            executions,
            counts,
            skipped,
            findings,
            known,
            known_ended,
            stages,
            rss_kib,
            unsaved,
            trouble,
            passed_over,
            inputs,
            ..
        } = &job.totals;
        let counts = counts.iter().copied();
        self.stats.add(&Stats::from_counts(*executions, counts));
        add_counts(&mut self.skipped, skipped);
        add_counts(&mut self.findings, findings);
        add_counts(&mut self.known, known);
        add_counts(&mut self.known_ended, known_ended);
        self.stages.add(stages);
        if job.replaced.is_none() {
            self.rss_kib += rss_kib;
            self.trouble = self.trouble.take().or_else(|| trouble.clone());
            self.passed_over = self.passed_over.take().or_else(|| passed_over.clone());
            if self.inputs.all == 0 || inputs.left() > self.inputs.left() {
                self.inputs = *inputs;
            }
        }
        self.unsaved += unsaved;
        self.corpus = self.corpus.max(job.log.corpus);
        self.coverage = self.coverage.max(job.log.coverage);
    }
}

/// Time that these jobs had on processors.
pub fn processor(jobs: &[Job]) -> Duration {
    let times = jobs.iter().map(|job| job.totals.processor_ms);
    Duration::from_millis(times.sum())
}

fn add_counts(to: &mut BTreeMap<String, u64>, from: &BTreeMap<String, u64>) {
    for (name, count) in from {
        *to.entry(name.clone()).or_default() += count;
    }
}
