//! Ends a job whose program takes too long, or whose candidate raises a deadly signal. libFuzzer would end it by the
//! clock, which on a busy machine calls a program a hang that only waited for a processor, and so does one that was
//! stopped for a while; and of signals it knows neither which call raised one, nor gets those of Rust's own handlers.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};
use vmadiff::pair::{Work, candidate_works, working};
use vmadiff_libfuzzer::{self as libfuzzer, signals};

use super::job::{CRASHED, TIMED_OUT};
use super::own_time::OwnTime;
use super::protocol::{Lost, Message};
use crate::cli::output::stdout;

/// The program that runs, counted from 1; 0 while none does.
static RUNNING: AtomicU64 = AtomicU64::new(0);

/// Runs a program, the job's nth, under the watch. What is written to disks is not: they are slow at
/// times.
pub fn watched<T>(nth: u64, run: impl FnOnce() -> T) -> T {
    RUNNING.store(nth, Ordering::Relaxed);
    let answer = run();
    RUNNING.store(0, Ordering::Relaxed);
    answer
}

/// The program that runs, or ran last.
static INPUT: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Looks that libFuzzer has to end a job of which nobody is at work. It does so in an execution, and not in a
/// mutation, nor if it waits for what the program holds.
const LOOKS: u32 = 3;

/// Says which program runs: of a mutation libFuzzer does not know, and of a thread that stopped for a signal it
/// hears nothing.
pub fn runs(input: &[u8]) {
    let mut noted = INPUT.lock().unwrap_or_else(PoisonError::into_inner);
    noted.clear();
    noted.extend_from_slice(input);
}

/// From now on a candidate that raises a deadly signal is left for the watch.
pub fn keep_signals() {
    signals::keep(candidate_works);
}

/// The watch over this process's main thread, which runs programs.
pub struct Watch {
    limit: Duration,
    /// Where the parent looks for the input of a job that died.
    legacy: String,
    /// What was running at the last look, and its time since then.
    seen: (u64, OwnTime),
    /// Who was at work at the last look, and the time since that began.
    work: (Option<Work>, OwnTime),
    /// Looks at which that took too long.
    late: u32,
}

impl Watch {
    /// Over programs that may take so long.
    pub fn new(limit: Duration, legacy: String) -> Self {
        let now = OwnTime::from_now(std::process::id());
        Self {
            limit,
            legacy,
            seen: (0, now),
            work: (None, now),
            late: 0,
        }
    }

    /// Ends the process if a program takes too long, or raised a deadly signal; to be called once a second.
    pub fn look(&mut self) {
        if let (Some(signal), Some(work)) = (signals::died(), working()) {
            tell(work.dies(signal));
            self.end(CRASHED);
        }
        let running = RUNNING.load(Ordering::Relaxed);
        let work = working();
        if work != self.work.0 {
            self.work = (work, OwnTime::from_now(std::process::id()));
        }
        let hangs = self.work.1.exceeds(self.limit) && work.is_some();
        if running == 0 || running != self.seen.0 {
            self.seen = (running, OwnTime::from_now(std::process::id()));
            self.late = 0;
        } else if self.seen.1.exceeds(self.limit) {
            // A call, or a race, that began amid the program has its time, too: it may be all that are slow.
            if work.is_some() && !hangs && !self.seen.1.exceeds(self.limit * 2) {
                return;
            }
            let hung = work.filter(|_| hangs);
            if let Some(hung) = hung.and_then(|work| work.hangs(self.limit.as_secs())) {
                tell(hung);
                self.end(TIMED_OUT);
            }
            self.late += 1;
            if self.late > LOOKS {
                self.end(TIMED_OUT);
            }
            // The signal of its timer: it writes the input and says why, if it runs one still. The main
            // thread gets it unless another signal is on its way there; then the next one.
            let _ = kill_process(getpid(), Signal::ALARM);
        }
    }

    /// Ends the process where libFuzzer does not.
    fn end(&self, status: i32) -> ! {
        let input = INPUT.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = std::fs::write(&self.legacy, &*input);
        libfuzzer::leave(status)
    }
}

/// Tells the parent of which manager the job ends.
fn tell((signature, what): (String, String)) {
    let message = Message::Lost(Lost { signature, what });
    let mut line = serde_json::to_vec(&message).expect("a message has string keys only");
    line.push(b'\n');
    // Not by the standard library's: the program that hangs may have its lock.
    let mut stdout = stdout();
    let _ = stdout.write_all(&line).and_then(|()| stdout.flush());
}
