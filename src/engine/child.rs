//! One job: libFuzzer in this process, executing programs until told to stop.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::time::{ClockId, clock_gettime};
use vmadiff::designs::Planted;
use vmadiff::judge::Divergence;
use vmadiff::judge::steps::UNJUDGED;
use vmadiff::program::Program;
use vmadiff_libfuzzer::{self as libfuzzer, Callbacks, Corpus as Answer};

use super::corpus::Corpus;
use super::fault::Fault;
use super::job::to_stop;
use super::protocol::{Finding, Message, Settings, Size, Totals};
use super::subject::{Ran, Subject};
use super::watch::{self, Watch, watched};
use crate::artifacts::{self, Kept};
use crate::children::die_with_parent;
use crate::cli::output::stdout;
use crate::status::Status;

/// Bytes of the longest program that libFuzzer makes: a header and so many records.
fn longest(size: Size) -> usize {
    let records = match size {
        Size::Small => 48,
        Size::Large => 96,
    };
    16 + records * 48
}

/// Of the memory that a job may take, this part may be inputs that find no room on the disk: those of more
/// than an hour. The job needs a tenth of it itself, and libFuzzer holds each input once more.
const HELD_PART: usize = 8;

/// What the callbacks rely on: libFuzzer is started by `run` only.
const RUNS: &str = "a job runs";

/// Names the files of races that are left unjudged.
const UNJUDGED_NAME: &str = "unjudged";

/// Stands for an execution where managers are made.
const MAKING: u64 = u64::MAX;

/// Marks what is watched as a mutation, behind the execution of that number.
const MUTATION: u64 = 1 << 63;

/// Statistics are due.
static DUE: AtomicBool = AtomicBool::new(false);
/// The parent closed our standard input.
static STOP: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// The job, while libFuzzer runs: its callbacks have no argument for it.
    static JOB: RefCell<Option<Job>> = const { RefCell::new(None) };
}

struct Job {
    settings: Settings,
    planted: Planted,
    subject: Subject,
    executions: u64,
    /// Those of them that made no call: libFuzzer begins with nothing, and then a single byte.
    empty: u64,
    skipped: BTreeMap<String, u64>,
    findings: BTreeMap<String, u64>,
    written: BTreeSet<String>,
    corpus: Option<Corpus>,
}

/// Runs a job with these settings (JSON). Comes back only if it could not start.
pub fn run(settings: &str) -> Result<i32> {
    let settings: Settings = serde_json::from_str(settings).context("settings of a job")?;
    die_with_parent();
    let planted = settings.planted()?;
    let limit = Duration::from_secs(settings.limits.seconds.into());
    let mut watch = Watch::new(limit, settings.legacy.clone());
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(Duration::from_secs(1));
            DUE.store(true, Ordering::Relaxed);
            watch.look(STOP.load(Ordering::Relaxed));
        }
    });
    // A manager that is compared whole may hang as it is made.
    let made = || Subject::new(settings.kind, settings.ways, &planted);
    let mut subject = watched(MAKING, made);
    if settings.stages {
        subject.look_at_stages(&planted);
    }
    let arguments = arguments(&settings);
    let counters = settings.kind.counters();
    let written = settings.known.iter().cloned().collect();
    let corpus = settings.corpus.as_deref();
    let held_bytes_most = ((settings.limits.memory_mib as usize) << 20) / HELD_PART;
    let corpus = corpus
        .map(|folder| Corpus::open(folder, settings.shared_corpus, held_bytes_most, counters));
    let corpus = corpus.transpose()?;
    let job = Job {
        settings,
        planted,
        subject,
        executions: 0,
        empty: 0,
        skipped: BTreeMap::new(),
        findings: BTreeMap::new(),
        written,
        corpus,
    };
    JOB.with_borrow_mut(|slot| *slot = Some(job));
    let to_stop = to_stop(limit.as_secs() as u32);
    std::thread::spawn(move || {
        // Whatever ends the reading, an error too: nobody is there any more.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        STOP.store(true, Ordering::Relaxed);
        // A program that hangs does not look there. Who asked has ended this process by now, if it can.
        std::thread::sleep(to_stop + to_stop);
        libfuzzer::leave(Status::HarnessFailed.number().into());
    });
    let callbacks = Callbacks {
        begin,
        execute,
        mutate,
        crossover,
    };
    Ok(libfuzzer::run(&arguments, counters, callbacks))
}

fn arguments(settings: &Settings) -> Vec<String> {
    vec![
        "vmadiff".to_owned(),
        format!("-seed={}", settings.seed),
        format!("-max_len={}", longest(settings.ways.size)),
        // Our mutator chooses lengths; libFuzzer's growing limit would only hold it back.
        "-len_control=0".to_owned(),
        // Which comparisons libFuzzer gets to see depends on what the compiler inlined: without them
        // a seed gives the same campaign in every build.
        "-use_cmp=0".to_owned(),
        "-use_memmem=0".to_owned(),
        format!("-timeout={}", settings.limits.seconds),
        format!("-rss_limit_mb={}", settings.limits.memory_mib),
        format!("-exact_artifact_path={}", settings.legacy),
    ]
}

/// Called once, before the first input. libFuzzer's glue has just arranged for panics to end the
/// process; those of a manager are findings and must unwind to the runner instead. What unwinds
/// further ends the process all the same.
fn begin() {
    std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
}

/// Executes one input: libFuzzer's callback.
fn execute(bytes: &[u8], counters: &mut [u8]) -> Answer {
    with_job(|job| job.execute(bytes, counters))
}

/// Mutates an input in place and answers its new length: libFuzzer's callback.
fn mutate(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    with_job(|job| match job.instead_of(&data[..size]) {
        Some(input) => put(&input, &mut data[..max_size]),
        // It may run programs, and they may hang.
        None => watched(job.executions | MUTATION, || {
            job.subject.mutate(data, size, max_size, seed)
        }),
    })
}

/// Writes a cross of two inputs to `out` and answers its length: libFuzzer's callback.
fn crossover(first: &[u8], second: &[u8], out: &mut [u8], seed: u32) -> usize {
    with_job(|job| match job.instead_of(first) {
        Some(input) => put(&input, out),
        // It may run programs, too.
        None => watched(job.executions | MUTATION, || {
            job.subject.crossover(first, second, out, seed)
        }),
    })
}

/// Puts an input at the start of `out`, as much of it as finds room, and answers its length.
fn put(input: &[u8], out: &mut [u8]) -> usize {
    let length = input.len().min(out.len());
    out[..length].copy_from_slice(&input[..length]);
    length
}

fn with_job<T>(answer: impl FnOnce(&mut Job) -> T) -> T {
    JOB.with_borrow_mut(|job| answer(job.as_mut().expect(RUNS)))
}

impl Job {
    fn execute(&mut self, bytes: &[u8], counters: &mut [u8]) -> Answer {
        if STOP.load(Ordering::Relaxed) || self.settings.runs == Some(self.programs()) {
            self.stop(Status::Agreed);
        }
        if self.executions == 0 {
            // It is set once libFuzzer is past `begin`.
            libfuzzer::stop_timer();
            watch::keep_signals();
        }
        self.executions += 1;
        watch::runs(bytes);
        let fault = self.settings.fault;
        let fault = fault.filter(|_| self.executions == Fault::EXECUTION);
        let ran = watched(self.executions, || {
            if let Some(fault) = fault {
                fault.strike(self.settings.limits.memory_mib);
            }
            self.subject.execute(bytes, counters)
        });
        self.empty += u64::from(self.subject.made_no_call());
        if DUE.swap(false, Ordering::Relaxed) {
            if let Some(corpus) = &mut self.corpus {
                corpus.folder().retry();
            }
            let totals = self.totals();
            watch::said(&totals);
            self.say(&Message::Totals(totals));
        }
        match ran {
            Ran::Agreed => {
                if let Some(corpus) = &mut self.corpus {
                    corpus.executed(bytes, &counters[..self.settings.kind.counters()]);
                }
                Answer::Keep
            }
            Ran::Skipped(why) => {
                if why == UNJUDGED {
                    self.keep_unjudged(bytes);
                }
                *self.skipped.entry(why).or_default() += 1;
                Answer::Reject
            }
            Ran::Diverged(divergence) => {
                self.found(&divergence, bytes);
                // Its offspring would mostly show the same divergence again and hide others.
                Answer::Reject
            }
        }
    }

    /// Executions of programs that make calls.
    fn programs(&self) -> u64 {
        self.executions - self.empty
    }

    /// The input of the corpus' folder that libFuzzer gets instead of a mutation of this one.
    fn instead_of(&mut self, input: &[u8]) -> Option<Vec<u8>> {
        self.corpus.as_mut()?.instead_of(input)
    }

    fn found(&mut self, divergence: &Divergence, bytes: &[u8]) {
        let known = divergence.known_as(|name| self.settings.known.iter().any(|one| one == name));
        let signature = known.unwrap_or_else(|| divergence.signature.to_string());
        *self.findings.entry(signature.clone()).or_default() += 1;
        if !self.written.insert(signature.clone()) {
            return;
        }
        let what = divergence.what.clone();
        let program = Program::decode(bytes);
        let case = artifacts::case(&signature, &what, &program, Some(&self.planted));
        // That it could not be kept is told, and the parent has the program and tries again.
        let kept = Kept::new(&self.settings.artifacts, &signature, case);
        self.say(&Message::Finding(Finding {
            signature,
            what,
            text: kept.case().to_string(),
            executions: self.programs(),
            processor_ms: processor_ms(),
            program: kept.place().clone(),
        }));
        if !self.settings.keep_going {
            self.stop(Status::Diverged);
        }
    }

    /// A race that a bound stopped the judge at is no finding, and kept for who raises the bound.
    fn keep_unjudged(&self, bytes: &[u8]) {
        let program = Program::decode(bytes);
        let case = artifacts::case(&UNJUDGED_NAME, UNJUDGED, &program, Some(&self.planted));
        Kept::new(&self.settings.artifacts, UNJUDGED_NAME, case);
    }

    fn totals(&mut self) -> Totals {
        let folder = self.corpus.as_mut().map(Corpus::folder);
        let trouble = folder.as_ref().and_then(|folder| folder.trouble());
        Totals {
            trouble: trouble.map(str::to_owned),
            passed_over: folder.as_ref().and_then(|folder| folder.passed_over()),
            unsaved: folder.as_ref().map_or(0, |folder| folder.unsaved()),
            inputs: folder
                .as_ref()
                .map(|folder| folder.seen())
                .unwrap_or_default(),
            executions: self.programs(),
            counts: self.subject.stats().counts().collect(),
            skipped: self.skipped.clone(),
            findings: self.findings.clone(),
            known: named(&self.subject.tally().met),
            known_ended: named(&self.subject.tally().ended),
            stages: self.subject.stages().clone(),
            rss_kib: resident_kib(),
            processor_ms: processor_ms(),
        }
    }

    fn stop(&mut self, status: Status) -> ! {
        if let Some(corpus) = &mut self.corpus {
            corpus.folder().flush();
        }
        let totals = self.totals();
        self.say(&Message::Stopped(totals));
        libfuzzer::leave(status.number().into())
    }

    /// Writes a line to the parent. If it is gone, there is nobody to work for.
    fn say(&self, message: &Message) {
        let mut line = serde_json::to_vec(message).expect("a message has string keys only");
        line.push(b'\n');
        let mut stdout = stdout();
        let said = stdout.write_all(&line);
        if said.and_then(|()| stdout.flush()).is_err() {
            libfuzzer::leave(Status::HarnessFailed.number().into());
        }
    }
}

fn named(counts: &BTreeMap<&'static str, u64>) -> BTreeMap<String, u64> {
    let counts = counts.iter();
    counts
        .map(|(name, count)| ((*name).to_owned(), *count))
        .collect()
}

/// Time that this process had on the processor, ms.
fn processor_ms() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as u64 * 1000 + time.tv_nsec as u64 / 1_000_000
}

/// Resident memory of this process from /proc/self/statm, KiB; 0 where there is no such file.
fn resident_kib() -> u64 {
    const KIB_PER_PAGE: u64 = vmadiff_contract::PAGE_SIZE / 1024;
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm
        .split(' ')
        .nth(1)
        .and_then(|field| field.parse::<u64>().ok());
    pages.unwrap_or(0) * KIB_PER_PAGE
}
