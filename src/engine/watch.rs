//! Ends a job whose program takes too long. libFuzzer would do so by the clock, which on a busy machine
//! calls a program a hang that only waited for a processor, and so does one that was stopped for a while.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};

use super::own_time::OwnTime;

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

/// The watch over this process's main thread, which runs programs.
pub struct Watch {
    limit: Duration,
    /// What was running at the last look, and its time since then.
    seen: (u64, OwnTime),
}

impl Watch {
    /// Over programs that may take so long.
    pub fn new(limit: Duration) -> Self {
        let seen = (0, OwnTime::from_now(std::process::id()));
        Self { limit, seen }
    }

    /// Ends the process, in libFuzzer's way, if a program takes too long; to be called once a second.
    pub fn look(&mut self) {
        let running = RUNNING.load(Ordering::Relaxed);
        if running == 0 || running != self.seen.0 {
            self.seen = (running, OwnTime::from_now(std::process::id()));
        } else if self.seen.1.exceeds(self.limit) {
            // The signal of its timer: it writes the input and says why, if it runs one still. The main
            // thread gets it unless another signal is on its way there; then the next one.
            let _ = kill_process(getpid(), Signal::ALARM);
        }
    }
}
