//! Ends a job whose program takes too long. libFuzzer would do so by the clock, which on a busy machine
//! calls a program a hang that only waited for a processor, and so does one that was stopped for a while.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};
use vmadiff::pair::{Work, working};
use vmadiff_libfuzzer as libfuzzer;

use super::job::TIMED_OUT;
use super::own_time::OwnTime;
use super::protocol::{Hung, Message};
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

/// What libFuzzer does not know of: the program that a mutation runs.
static INPUT: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Looks that libFuzzer has to end a job. It does so in an execution, and not in a mutation, nor if it waits
/// for what the program holds.
const LOOKS: u32 = 3;

/// Says which program a mutation runs.
pub fn mutation_runs(input: &[u8]) {
    let mut noted = INPUT.lock().unwrap_or_else(PoisonError::into_inner);
    noted.clear();
    noted.extend_from_slice(input);
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

    /// Ends the process, in libFuzzer's way, if a program takes too long; to be called once a second.
    pub fn look(&mut self) {
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
            self.late += 1;
            if self.late == 1 && hangs {
                self.tell();
            }
            if self.late > LOOKS {
                self.end();
            }
            // The signal of its timer: it writes the input and says why, if it runs one still. The main
            // thread gets it unless another signal is on its way there; then the next one.
            let _ = kill_process(getpid(), Signal::ALARM);
        }
    }

    /// Tells the parent which manager does not come back, if one is at work.
    fn tell(&self) {
        let hangs = working().and_then(|work| work.hangs(self.limit.as_secs()));
        let Some((signature, what)) = hangs else {
            return;
        };
        let message = Message::Hung(Hung { signature, what });
        let mut line = serde_json::to_vec(&message).expect("a message has string keys only");
        line.push(b'\n');
        let mut stdout = stdout();
        let _ = stdout.write_all(&line).and_then(|()| stdout.flush());
    }

    /// Ends the process where libFuzzer does not.
    fn end(&self) -> ! {
        let input = INPUT.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = std::fs::write(&self.legacy, &*input);
        libfuzzer::leave(TIMED_OUT)
    }
}
