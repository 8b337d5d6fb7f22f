//! Fuzzes the reference against the running kernel.
//!
//! Programs are fresh ones of the generator's, and changed ones of those that ran before. What is
//! run depends on the seed and the number of jobs only.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use vmadiff_linux::{Boot, Closeness, Finding, Linux, Look, Stopped, Trial, Verdict};

use super::programs::Programs;
use super::{judge, smallest};
use crate::View;
use crate::program::Program;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Campaign {
    /// Programs to run in all; none: no limit.
    pub runs: Option<u64>,
    /// How long to go on; none: no limit.
    pub time: Option<Duration>,
    /// What everything random comes from.
    pub seed: u64,
    /// Threads, each with agents of its own.
    pub jobs: u32,
    /// What is compared.
    pub view: View,
    /// Told before each program is run: the job's number and the program's.
    pub mark: Option<fn(u32, u64)>,
}

/// A finding, made small.
#[derive(Clone, Debug)]
pub struct Found {
    /// The program.
    pub program: Program,
    /// What differs.
    pub finding: Finding,
}

impl Found {
    /// The name of its kind.
    pub fn signature(&self) -> String {
        signature(&self.program, &self.finding)
    }
}

/// Calls of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calls {
    /// That were compared.
    pub made: u64,
    /// That succeeded.
    pub succeeded: u64,
}

/// What was done.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Programs.
    pub programs: u64,
    /// Calls that were compared, by name. Those of programs that differ are not counted.
    pub calls: BTreeMap<Cow<'static, str>, Calls>,
    /// Programs whose comparison ended before they did.
    pub ended_early: u64,
    /// Programs that could not be run to their end, by the reason.
    pub stopped: BTreeMap<String, u64>,
    /// Known differences, by name: programs that showed them.
    pub known: BTreeMap<Cow<'static, str>, u64>,
    /// Findings, by what differs and after which call: programs that showed them.
    pub findings: BTreeMap<String, u64>,
}

impl Tally {
    /// All calls.
    pub fn all_calls(&self) -> Calls {
        let mut sum = Calls::default();
        for calls in self.calls.values() {
            sum.made += calls.made;
            sum.succeeded += calls.succeeded;
        }
        sum
    }

    fn add(&mut self, other: Self) {
        self.programs += other.programs;
        for (name, calls) in other.calls {
            let sum = self.calls.entry(name).or_default();
            sum.made += calls.made;
            sum.succeeded += calls.succeeded;
        }
        self.ended_early += other.ended_early;
        for (why, count) in other.stopped {
            *self.stopped.entry(why).or_default() += count;
        }
        for (name, count) in other.known {
            *self.known.entry(name).or_default() += count;
        }
        for (signature, count) in other.findings {
            *self.findings.entry(signature).or_default() += count;
        }
    }
}

/// What a job sends: what it did since it last sent, and the first finding of each kind.
type News = (Tally, Option<Found>);

/// Fuzzes the manager that `boot` makes until the campaign ends or `stop` is set. `news` is told the tally so far from time to
/// time, and each kind of finding once.
///
/// # Errors
/// If a job's agents can not be made, or die again and again.
pub fn fuzz(
    campaign: &Campaign,
    boot: Boot,
    stop: &AtomicBool,
    mut news: impl FnMut(&Tally, Option<&Found>),
) -> Result<Tally, Stopped> {
    let mut tally = Tally::default();
    thread::scope(|scope| {
        let (sender, receiver): (Sender<News>, Receiver<News>) = channel();
        let jobs: Vec<_> = (0..campaign.jobs.max(1))
            .map(|number| {
                let sender = sender.clone();
                scope.spawn(move || Job::new(campaign, boot, number, sender)?.run(stop))
            })
            .collect();
        drop(sender);
        let mut kinds = Vec::new();
        for (more, found) in receiver {
            tally.add(more);
            let found = found.filter(|found| {
                let kind = found.signature();
                let new = !kinds.contains(&kind);
                kinds.push(kind);
                new
            });
            news(&tally, found.as_ref());
        }
        jobs.into_iter().try_for_each(|job| {
            job.join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    })?;
    Ok(tally)
}

/// Names a kind of finding: `linux/`, the call after which something differs, and what.
pub fn signature(program: &Program, finding: &Finding) -> String {
    let kind = finding.call.map(|index| program.calls[index].call.kind());
    let call = kind.map_or("end", |kind| kind.name());
    format!("linux/{call}/{}", finding.difference.field.word())
}

/// A thread's share.
struct Job<'a> {
    campaign: &'a Campaign,
    number: u32,
    court: Trial,
    programs: Programs,
    tally: Tally,
    kinds: Vec<String>,
    news: Sender<News>,
}

/// How often a job sends its tally.
const NEWS_EVERY: Duration = Duration::from_millis(250);
/// How often agents may fail, one program after the other, before it is the harness that fails.
const MOST_FAILURES: u32 = 8;

impl<'a> Job<'a> {
    fn new(
        campaign: &'a Campaign,
        boot: Boot,
        number: u32,
        news: Sender<News>,
    ) -> Result<Self, Stopped> {
        vmadiff_linux::stay_on_one_processor(number);
        let court = Trial::new(Linux::new()?, boot);
        let programs = Programs::new(campaign.seed, court.linux.machine(), court.supports());
        Ok(Self {
            campaign,
            number,
            court,
            programs,
            tally: Tally::default(),
            kinds: Vec::new(),
            news,
        })
    }

    fn run(mut self, stop: &AtomicBool) -> Result<(), Stopped> {
        let jobs = u64::from(self.campaign.jobs.max(1));
        let start = Instant::now();
        let mut sent = start;
        let mut failures = 0;
        for index in (u64::from(self.number)..).step_by(usize::try_from(jobs).expect("64 bits")) {
            let over = self.campaign.runs.is_some_and(|runs| index >= runs)
                || self
                    .campaign
                    .time
                    .is_some_and(|time| start.elapsed() >= time);
            if over || stop.load(Ordering::Relaxed) {
                break;
            }
            match self.one(index) {
                Ok(()) => failures = 0,
                Err(why) => {
                    failures += 1;
                    if failures == MOST_FAILURES {
                        return Err(why);
                    }
                    *self.tally.stopped.entry(why.to_string()).or_default() += 1;
                }
            }
            if sent.elapsed() >= NEWS_EVERY {
                sent = Instant::now();
                self.send(None);
            }
        }
        self.send(None);
        Ok(())
    }

    fn send(&mut self, found: Option<Found>) {
        // Nobody listens any more only if the campaign is being torn down.
        let _ = self.news.send((std::mem::take(&mut self.tally), found));
    }

    fn one(&mut self, index: u64) -> Result<(), Stopped> {
        let program = self.programs.next(index);
        if program.calls.is_empty() {
            return Ok(());
        }
        if let Some(mark) = self.campaign.mark {
            mark(self.number, index);
        }
        self.tally.programs += 1;
        let view = self.campaign.view;
        let how = Closeness {
            look: Look::AtEnd,
            view,
        };
        match judge(&mut self.court, &program, how)? {
            Verdict::Agrees {
                known, until, said, ..
            } => {
                self.tally.ended_early += u64::from(until.is_some());
                for (step, said) in program.calls.iter().zip(said) {
                    let calls = self
                        .tally
                        .calls
                        .entry(step.call.kind().name().into())
                        .or_default();
                    calls.made += 1;
                    calls.succeeded += u64::from(said.is_success());
                }
                for known in known {
                    *self.tally.known.entry(known.name.into()).or_default() += 1;
                }
            }
            Verdict::Differs(finding) => self.found(program, finding),
        }
        Ok(())
    }

    fn found(&mut self, program: Program, finding: Finding) {
        let how = Closeness {
            look: Look::EachCall,
            view: self.campaign.view,
        };
        let found = Found { program, finding };
        let kind = found.signature();
        *self.tally.findings.entry(kind.clone()).or_default() += 1;
        if self.kinds.contains(&kind) {
            return;
        }
        self.kinds.push(kind);
        let program = smallest(&mut self.court, &found.program, how).program;
        let small = match judge(&mut self.court, &program, how) {
            Ok(Verdict::Differs(finding)) => Found { program, finding },
            _ => found,
        };
        self.send(Some(small));
    }
}
