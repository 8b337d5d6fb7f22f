//! What parent and child say to each other.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use vmadiff::coverage::{COUNTERS, WOVEN_COUNTERS};
use vmadiff::designs::{self, Planted};
use vmadiff::program::Policy;
use vmadiff::program::mutate::{self, Profile};

use super::fault::Fault;

/// What programs are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Both kinds.
    #[default]
    All,
    /// Calls one after another.
    Serial,
    /// Calls of several tasks at once, woven by schedules.
    Interleaved,
}

impl Kind {
    /// How many of an engine's counters its programs can move, from the first on.
    pub fn counters(self) -> usize {
        match self {
            Self::Serial => COUNTERS,
            Self::Interleaved | Self::All => WOVEN_COUNTERS,
        }
    }
}

/// How programs come about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::Args)]
pub struct Ways {
    /// Schedules choose the next task by this policy alone; else by any of them, and by switches.
    #[arg(long, value_enum, value_name = "NAME")]
    pub policy: Option<Chooser>,
    /// What tells which programs are worth making.
    #[arg(long, value_enum, value_name = "NAME", default_value_t)]
    pub guide: Guide,
    /// How large races are.
    #[arg(long, value_enum, value_name = "NAME", default_value_t)]
    #[serde(default)]
    pub size: Size,
}

/// How large races are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Size {
    /// A few calls of two or three threads.
    #[default]
    Small,
    /// Up to 64 calls of three to eight threads, with more forks, failures and limits.
    Large,
}

/// A policy by which a schedule chooses the next task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Chooser {
    /// By switches that are part of the program.
    Preemptions,
    /// Uniformly at each point.
    Random,
    /// Random priorities with a few change points.
    Pct,
    /// A random priority for each access.
    Pos,
    /// By how many accesses to what is raced for each task has left.
    Surw,
}

/// What tells which programs are worth making.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Guide {
    /// What earlier ones reached: those that reached something new are changed. And what runs did: of two
    /// changes of a race one has tasks meet in another order than they did, in one not seen yet if there
    /// is one.
    #[default]
    Pairs,
    /// What earlier ones reached alone.
    Coverage,
    /// Nothing: each is made anew.
    None,
}

impl Ways {
    /// Programs of this profile that come about so.
    pub fn narrow(self, profile: Profile) -> Profile {
        let policy = self.policy.map(|chooser| match chooser {
            Chooser::Preemptions => Policy::Preemptions,
            Chooser::Random => Policy::RandomWalk,
            Chooser::Pct => Policy::Pct,
            Chooser::Pos => Policy::Pos,
            Chooser::Surw => Policy::Surw,
        });
        Profile {
            policy,
            fresh: self.guide == Guide::None,
            size: match self.size {
                Size::Small => mutate::Size::Small,
                Size::Large => mutate::Size::Large,
            },
            ..profile
        }
    }
}

/// What a child is asked to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Settings {
    /// What programs it makes.
    pub kind: Kind,
    /// The candidate's design, by name.
    #[serde(default = "first_design")]
    pub design: String,
    /// Defects that are enabled, by name.
    pub defects: Vec<String>,
    /// How programs come about.
    #[serde(default)]
    pub ways: Ways,
    /// Executions after which it stops.
    pub runs: Option<u64>,
    /// libFuzzer's seed; not 0, which it takes as a request to draw one.
    pub seed: u32,
    /// Where inputs that reach something new are kept, and others' are read.
    pub corpus: Option<PathBuf>,
    /// Others write to `corpus` too: look there again and again.
    pub shared_corpus: bool,
    /// Where findings are written.
    pub artifacts: PathBuf,
    /// Go on after a finding.
    pub keep_going: bool,
    /// Signatures that are not news.
    pub known: Vec<String>,
    /// Each program that comes to the place of a planted defect runs once more without it, to see
    /// whether that makes a difference ([`Stages::triggered`]).
    #[serde(default)]
    pub stages: bool,
    /// What one input may take.
    pub limits: Limits,
    /// Where libFuzzer leaves the input that it was working on, if it dies.
    pub legacy: String,
    /// How the harness fails on purpose.
    pub fault: Option<Fault>,
}

fn first_design() -> String {
    designs::first().name.to_owned()
}

impl Settings {
    /// What stands beside the reference.
    pub fn planted(&self) -> Result<Planted> {
        let design = designs::from_name(&self.design);
        let design = design.with_context(|| format!("no design `{}`", self.design))?;
        Ok(Planted::new(design, &self.defects)?)
    }
}

/// What one input may take. More is a failure of the harness: a program takes microseconds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Limits {
    /// Seconds.
    pub seconds: u32,
    /// Resident memory of the job that runs it, MiB.
    pub memory_mib: u32,
}

/// What a child says, a line each.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Message {
    /// Once a second: what it did so far.
    Totals(Totals),
    /// A divergence that is news.
    Finding(Finding),
    /// A manager does not come back, or raises a deadly signal; the job is about to be ended.
    Lost(Lost),
    /// The last one: it stopped because it was told to, or because of a finding.
    Stopped(Totals),
}

/// A manager that does not come back, or raises a deadly signal, by what it was last asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Lost {
    /// What kind.
    pub signature: String,
    /// What happened, in one sentence.
    pub what: String,
}

/// A divergence, with the file that it was written to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Finding {
    /// What kind.
    pub signature: String,
    /// What happened, in one sentence.
    pub what: String,
    /// The program with its comments, as text.
    pub text: String,
    /// Programs that its job had run by then.
    #[serde(default)]
    pub executions: u64,
    /// Time that its job had had on the processor, ms.
    #[serde(default)]
    pub processor_ms: u64,
    /// The file that has the text, or why there is none.
    pub program: Result<PathBuf, String>,
}

/// What was done, counted from the start of the child.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Totals {
    /// Programs that ran.
    pub executions: u64,
    /// How often each feature was reached ([`vmadiff::coverage::Stats::counts`]).
    pub counts: Vec<(usize, u64)>,
    /// Programs that could not be compared, by reason.
    pub skipped: BTreeMap<String, u64>,
    /// Divergences by signature, known ones too.
    pub findings: BTreeMap<String, u64>,
    /// Differences that are no news, by name: how often they were met.
    #[serde(default)]
    pub known: BTreeMap<String, u64>,
    /// Of those, how often a program ended there.
    #[serde(default)]
    pub known_ended: BTreeMap<String, u64>,
    /// How far programs came with what is planted.
    #[serde(default)]
    pub stages: Stages,
    /// Resident memory now, KiB.
    pub rss_kib: u64,
    /// Time on the processor, ms.
    pub processor_ms: u64,
    /// Inputs of the corpus that could not be written yet.
    pub unsaved: u64,
    /// Why they could not.
    pub trouble: Option<String>,
    /// What its folder has that is no input.
    #[serde(default)]
    pub passed_over: Option<PassedOver>,
    /// Inputs that its folder had at the start.
    #[serde(default)]
    pub inputs: Seen,
}

/// What a folder has that is no input, or cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassedOver {
    /// How many files, and folders that could not be looked through.
    pub files: u64,
    /// The first by name, and why.
    pub first: String,
}

/// Of the inputs that a folder had at the start, how many a job has executed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Those that it has.
    pub seen: u64,
    /// All that were there.
    pub all: u64,
}

impl Seen {
    /// Those that it has not come to.
    pub fn left(self) -> u64 {
        self.all - self.seen
    }
}

/// How far programs came with the defects that are planted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stages {
    /// Programs that came to the place of a defect.
    pub reached: u64,
    /// The first of them, counted from 1.
    pub first_reached: Option<u64>,
    /// Of these, such as callers can tell from the same program without the defects; counted only where
    /// it was asked for ([`Settings::stages`]).
    pub triggered: u64,
    /// The first of them, counted from 1.
    pub first_triggered: Option<u64>,
    /// Of these, such as the judge objects to.
    pub detected: u64,
    /// The first that was triggered and that the judge let go, as text.
    pub let_go: Option<String>,
}

impl Stages {
    /// Takes in what another job counted.
    pub fn add(&mut self, other: &Self) {
        let first = |one: Option<u64>, other: Option<u64>| one.into_iter().chain(other).min();
        self.reached += other.reached;
        self.first_reached = first(self.first_reached, other.first_reached);
        self.triggered += other.triggered;
        self.first_triggered = first(self.first_triggered, other.first_triggered);
        self.detected += other.detected;
        self.let_go = self.let_go.take().or_else(|| other.let_go.clone());
    }
}
