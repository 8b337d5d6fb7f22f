//! One job: libFuzzer in this process, executing programs until told to stop.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use libfuzzer_sys::Corpus;
use rustix::time::{ClockId, clock_gettime};
use vmadiff::designs::Planted;
use vmadiff::judge::Divergence;
use vmadiff::program::Program;

use super::fault::Fault;
use super::glue;
use super::protocol::{Finding, Message, Settings, Totals};
use super::subject::{Ran, Subject};
use crate::artifacts;
use crate::status::Status;

/// Bytes of the longest program that libFuzzer makes: a header and 48 records.
const MAX_LEN: usize = 16 + 48 * 48;

/// What the callbacks rely on: libFuzzer is started by `run` only.
const RUNS: &str = "a job runs";

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
    skipped: BTreeMap<String, u64>,
    findings: BTreeMap<String, u64>,
    written: BTreeSet<String>,
}

/// Runs a job with these settings (JSON). Comes back only if it could not start.
pub fn run(settings: &str) -> Result<i32> {
    let settings: Settings = serde_json::from_str(settings).context("settings of a job")?;
    let planted = settings.planted()?;
    let subject = Subject::new(settings.kind, &planted);
    let arguments = arguments(&settings);
    let counters = settings.kind.counters();
    let written = settings.known.iter().cloned().collect();
    let job = Job {
        settings,
        planted,
        subject,
        executions: 0,
        skipped: BTreeMap::new(),
        findings: BTreeMap::new(),
        written,
    };
    JOB.with_borrow_mut(|slot| *slot = Some(job));
    std::thread::spawn(|| {
        loop {
            std::thread::sleep(Duration::from_secs(1));
            DUE.store(true, Ordering::Relaxed);
        }
    });
    std::thread::spawn(|| {
        // Whatever ends the reading, an error too: nobody is there any more.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        STOP.store(true, Ordering::Relaxed);
    });
    Ok(glue::run_driver(&arguments, counters))
}

fn arguments(settings: &Settings) -> Vec<String> {
    let mut arguments = vec![
        "vmadiff".to_owned(),
        format!("-seed={}", settings.seed),
        format!("-max_len={MAX_LEN}"),
        // Our mutator chooses lengths; libFuzzer's growing limit would only hold it back.
        "-len_control=0".to_owned(),
        // Which comparisons libFuzzer gets to see depends on what the compiler inlined: without them
        // a seed gives the same campaign in every build.
        "-use_cmp=0".to_owned(),
        "-use_memmem=0".to_owned(),
        format!("-timeout={}", settings.limits.seconds),
        format!("-rss_limit_mb={}", settings.limits.memory_mib),
        format!("-artifact_prefix={}/", settings.artifacts.display()),
        format!("-reload={}", u8::from(settings.shared_corpus)),
    ];
    arguments.extend(
        settings
            .corpus
            .iter()
            .map(|folder| folder.display().to_string()),
    );
    arguments
}

/// Called once, before the first input. libFuzzer's glue has just arranged for panics to end the
/// process; those of a manager are findings and must unwind to the runner instead. What unwinds
/// further ends the process all the same.
pub fn begin() {
    std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
}

/// Executes one input: libFuzzer's callback.
pub fn execute(bytes: &[u8], counters: &mut [u8]) -> Corpus {
    JOB.with_borrow_mut(|job| job.as_mut().expect(RUNS).execute(bytes, counters))
}

/// Mutates an input in place and answers its new length: libFuzzer's callback.
pub fn mutate(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    with_subject(|subject| subject.mutate(data, size, max_size, seed))
}

/// Writes a cross of two inputs to `out` and answers its length: libFuzzer's callback.
pub fn crossover(first: &[u8], second: &[u8], out: &mut [u8], seed: u32) -> usize {
    with_subject(|subject| subject.crossover(first, second, out, seed))
}

fn with_subject<T>(answer: impl FnOnce(&Subject) -> T) -> T {
    JOB.with_borrow(|job| answer(&job.as_ref().expect(RUNS).subject))
}

impl Job {
    fn execute(&mut self, bytes: &[u8], counters: &mut [u8]) -> Corpus {
        if STOP.load(Ordering::Relaxed) || self.settings.runs == Some(self.executions) {
            self.stop(Status::Agreed);
        }
        self.executions += 1;
        if let Some(fault) = self.settings.fault
            && self.executions == Fault::EXECUTION
        {
            fault.strike(self.settings.limits.memory_mib);
        }
        let ran = self.subject.execute(bytes, counters);
        if DUE.swap(false, Ordering::Relaxed) {
            self.say(&Message::Totals(self.totals()));
        }
        match ran {
            Ran::Agreed => Corpus::Keep,
            Ran::Skipped(why) => {
                *self.skipped.entry(why).or_default() += 1;
                Corpus::Reject
            }
            Ran::Diverged(divergence) => {
                self.found(&divergence, bytes);
                // Its offspring would mostly show the same divergence again and hide others.
                Corpus::Reject
            }
        }
    }

    fn found(&mut self, divergence: &Divergence, bytes: &[u8]) {
        let signature = divergence.signature.to_string();
        *self.findings.entry(signature.clone()).or_default() += 1;
        if !self.written.insert(signature.clone()) {
            return;
        }
        let what = divergence.what.clone();
        let program = Program::decode(bytes);
        let text = artifacts::text(&signature, &what, &program, Some(&self.planted));
        match artifacts::write_signed(&self.settings.artifacts, &signature, &text) {
            Ok(program) => {
                self.say(&Message::Finding(Finding {
                    signature,
                    what,
                    program,
                }));
            }
            Err(error) => {
                eprintln!("cannot keep a finding: {error:#}");
                glue::leave(Status::HarnessFailed.number().into());
            }
        }
        if !self.settings.keep_going {
            self.stop(Status::Diverged);
        }
    }

    fn totals(&self) -> Totals {
        Totals {
            executions: self.executions,
            counts: self.subject.stats().counts().collect(),
            skipped: self.skipped.clone(),
            findings: self.findings.clone(),
            rss_kib: resident_kib(),
            processor_ms: processor_ms(),
        }
    }

    fn stop(&self, status: Status) -> ! {
        self.say(&Message::Stopped(self.totals()));
        glue::leave(status.number().into())
    }

    /// Writes a line to the parent. If it is gone, there is nobody to work for.
    fn say(&self, message: &Message) {
        let mut line = serde_json::to_vec(message).expect("a message has string keys only");
        line.push(b'\n');
        let mut stdout = std::io::stdout().lock();
        if stdout
            .write_all(&line)
            .and_then(|()| stdout.flush())
            .is_err()
        {
            glue::leave(Status::HarnessFailed.number().into());
        }
    }
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
