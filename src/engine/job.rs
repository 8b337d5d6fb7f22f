//! One child process, as its parent sees it.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use vmadiff::designs::Planted;
use vmadiff::program::Program;

use super::campaign::Failure;
use super::legacy::{Input, Legacy};
use super::log::Log;
use super::own_time::OwnTime;
use super::protocol::{Finding, Limits, Lost, Message, Settings, Totals};
use crate::artifacts::{self, Kept};
use crate::status::HarnessFailed;

/// Exit statuses of libFuzzer (`-error_exitcode` and the like), which a job leaves alone.
pub const CRASHED: i32 = 77;
pub const TIMED_OUT: i32 = 70;
const OUT_OF_MEMORY: i32 = 71;

/// Time of its own that a job has to stop, at least.
const TO_STOP: Duration = Duration::from_secs(15);
/// From the moment at which a program hangs to that at which the job has told of it and ended: it looks once a
/// second, whether the program does, and whether who is at work is the same.
const TO_TELL: Duration = Duration::from_secs(5);

/// Time of its own that a job has to stop where a program may take so many seconds: if one hangs, that is told first.
pub fn to_stop(seconds: u32) -> Duration {
    TO_STOP.max(Duration::from_secs(seconds.into()) + TO_TELL)
}

/// What comes out of a child.
pub enum Event {
    /// A line on its standard output.
    Output(String),
    /// A line on its standard error.
    Error(String),
    /// A pipe was closed.
    Closed,
}

/// A child process and what is known of it.
pub struct Job {
    process: Child,
    /// Closed to make it stop.
    stdin: Option<ChildStdin>,
    /// Its time since it was told to stop.
    asked: Option<OwnTime>,
    /// Pipes still open.
    pipes: u8,
    /// It said goodbye.
    stopped: bool,
    garbage: Option<String>,
    killed: bool,
    status: Option<ExitStatus>,
    /// Executions asked of it.
    pub runs: Option<u64>,
    /// When another took its place.
    pub replaced: Option<Instant>,
    /// The latest counts.
    pub totals: Totals,
    /// What libFuzzer printed.
    pub log: Log,
    legacy: Legacy,
    artifacts: PathBuf,
    limits: Limits,
    /// The input that it died of.
    input: Option<Input>,
    planted: Planted,
    known: Vec<String>,
    /// The manager that does not come back, or raised a deadly signal, as it said.
    lost: Option<Lost>,
    /// It was ended for that.
    lost_manager: bool,
}

impl Job {
    /// Starts this program again as a job. It has a process group of its own, so that Ctrl-C
    /// reaches only the parent.
    pub fn start(
        index: usize,
        settings: Settings,
        events: &Sender<(usize, Event)>,
    ) -> Result<Self> {
        let started = Self::try_start(index, settings, events);
        started.map_err(|error| HarnessFailed(format!("starting a job: {error:#}")).into())
    }

    fn try_start(
        index: usize,
        mut settings: Settings,
        events: &Sender<(usize, Event)>,
    ) -> Result<Self> {
        let legacy = Legacy::new().context("memory for its input")?;
        settings.legacy = legacy.path();
        let (runs, limits) = (settings.runs, settings.limits);
        let artifacts = settings.artifacts.clone();
        let (planted, known) = (settings.planted()?, settings.known.clone());
        let settings = serde_json::to_string(&settings)?;
        let program = std::env::current_exe().context("finding this program's own file")?;
        let mut process = Command::new(program)
            .args(["engine", &settings])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .context("its process")?;
        let stdin = process.stdin.take();
        let stdout = process.stdout.take().context("a job's output")?;
        let stderr = process.stderr.take().context("a job's errors")?;
        read_lines(index, stdout, events.clone(), Event::Output);
        read_lines(index, stderr, events.clone(), Event::Error);
        Ok(Self {
            process,
            stdin,
            asked: None,
            pipes: 2,
            stopped: false,
            garbage: None,
            killed: false,
            status: None,
            runs,
            replaced: None,
            totals: Totals::default(),
            log: Log::default(),
            legacy,
            artifacts,
            limits,
            input: None,
            planted,
            known,
            lost: None,
            lost_manager: false,
        })
    }

    /// Takes note of what it said; answers what it found.
    pub fn take(&mut self, event: Event) -> Result<Option<Finding>> {
        match event {
            Event::Error(line) => self.log.line(line),
            Event::Output(line) => match serde_json::from_str(&line) {
                Ok(Message::Finding(finding)) => {
                    self.count(&finding);
                    return Ok(Some(finding));
                }
                Ok(Message::Totals(totals)) => self.totals = totals,
                Ok(Message::Lost(lost)) => self.lost = Some(lost),
                Ok(Message::Stopped(totals)) => {
                    self.totals = totals;
                    self.stopped = true;
                }
                Err(_) => self.garbage = Some(line),
            },
            Event::Closed => {
                self.pipes -= 1;
                if self.pipes == 0 {
                    self.status = Some(self.process.wait().context("waiting for a job")?);
                    return Ok(self.take_legacy());
                }
            }
        }
        Ok(None)
    }

    /// Counts what it found, which it may not come to tell: its next program may be its last.
    fn count(&mut self, finding: &Finding) {
        let Totals {
            findings,
            executions,
            ..
        } = &mut self.totals;
        findings.entry(finding.signature.clone()).or_insert(1);
        *executions = finding.executions.max(*executions);
    }

    /// Tells it to stop.
    pub fn ask_to_stop(&mut self) {
        self.stdin = None;
        self.asked = Some(OwnTime::from_now(self.process.id()));
    }

    /// Ends it, if it was told to stop and has had time enough.
    pub fn kill_if_it_does_not_stop(&mut self) -> Result<()> {
        let lives = self.status.is_none() && !self.killed;
        let asked = self.asked.as_mut().filter(|_| lives);
        if asked.is_some_and(|asked| asked.exceeds(to_stop(self.limits.seconds))) {
            self.killed = true;
            self.process
                .kill()
                .context("killing a job that does not stop")?;
        }
        Ok(())
    }

    /// Whether its process is gone and all that it said is read.
    pub fn has_ended(&self) -> bool {
        self.status.is_some()
    }

    /// Whether it was ended since a manager does not come back, or raised a deadly signal.
    pub fn lost_manager(&self) -> bool {
        self.lost_manager
    }

    /// Saves the input that it died of, if it did. One at which a manager is lost is a finding.
    fn take_legacy(&mut self) -> Option<Finding> {
        let code = self.status.and_then(|status| status.code());
        let how = match code {
            Some(TIMED_OUT) => "timeout",
            Some(OUT_OF_MEMORY) => "oom",
            _ => "crash",
        };
        let ended = matches!(code, Some(TIMED_OUT | CRASHED));
        let lost = self.lost.take().filter(|_| ended);
        if lost.is_none() && !self.log.gave_up {
            return None;
        }
        let input = self.legacy.read();
        let Some(Lost { signature, what }) = lost else {
            self.input = Some(Input::save(&self.artifacts, how, input));
            return None;
        };
        self.lost_manager = true;
        let counts = &mut self.totals.findings;
        *counts.entry(signature.clone()).or_default() += 1;
        if self.known.contains(&signature) {
            return None;
        }
        let program = Program::decode(&input);
        let case = artifacts::case(&signature, &what, &program, Some(&self.planted));
        let kept = Kept::new(&self.artifacts, &signature, case);
        Some(Finding {
            text: kept.case().to_string(),
            program: kept.place().clone(),
            executions: self.totals.executions,
            processor_ms: self.totals.processor_ms,
            signature,
            what,
        })
    }

    /// Whether it was ended by the signal that interrupts a campaign.
    pub fn was_interrupted(&self) -> bool {
        use std::os::unix::process::ExitStatusExt;
        // SIGINT and SIGTERM.
        let signal = self.status.and_then(|status| status.signal());
        matches!(signal, Some(2 | 15))
    }

    /// Why it ended, if not as it should.
    pub fn failure(&self) -> Option<Failure> {
        let status = self.status?;
        let fine = self.stopped && status.code().is_some_and(|code| code <= 1);
        if (fine || self.lost_manager) && self.garbage.is_none() {
            return None;
        }
        let Limits {
            seconds,
            memory_mib,
        } = self.limits;
        let how = match (status.code(), &self.garbage) {
            _ if self.killed => "a program did not end, and the job was killed".to_owned(),
            (_, Some(line)) => format!("a job said what is no message: {line}"),
            (Some(CRASHED), _) => "a job panicked or crashed".to_owned(),
            (Some(TIMED_OUT), _) => {
                format!("a program took too long: more than {seconds} s at one thing (--timeout)")
            }
            (Some(OUT_OF_MEMORY), _) => {
                format!("a job used too much memory: more than {memory_mib} MiB (--memory)")
            }
            _ => format!("a job ended unasked ({status})"),
        };
        Some(Failure {
            how,
            input: self.input.clone(),
            last_words: self.log.tail(),
        })
    }
}

/// Sends each line of a pipe, then that it was closed.
fn read_lines<R: Read + Send + 'static>(
    index: usize,
    pipe: R,
    events: Sender<(usize, Event)>,
    event: fn(String) -> Event,
) {
    std::thread::spawn(move || {
        let mut reader = BufReader::new(pipe);
        let mut line = Vec::new();
        // libFuzzer prints bytes of inputs now and then: not always UTF-8.
        while reader
            .read_until(b'\n', &mut line)
            .is_ok_and(|length| length > 0)
        {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            if events.send((index, event(text))).is_err() {
                return;
            }
            line.clear();
        }
        // The parent may be gone: then nobody waits for this.
        let _ = events.send((index, Event::Closed));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_is_to_stop_has_the_time_to_tell_of_a_hang() {
        for seconds in [1, 10, 14, 60, 600] {
            assert!(to_stop(seconds) >= Duration::from_secs(u64::from(seconds) + 4));
        }
    }
}
