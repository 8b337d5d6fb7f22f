//! Ends a job one of whose calls takes too long, or whose candidate raises a deadly signal. libFuzzer would end it
//! by the clock, which on a busy machine calls a program a hang that only waited for a processor, or was stopped for a
//! while, and one whose calls are slow, all of them; and of signals it knows neither which call raised one, nor gets
//! those of Rust's own handlers.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};
use vmadiff::pair::{Work, candidate_works, working};
use vmadiff_libfuzzer::{self as libfuzzer, signals};

use super::job::{CRASHED, TIMED_OUT, to_stop};
use super::own_time::OwnTime;
use super::protocol::{Lost, Message, Totals};
use crate::cli::output::stdout;
use crate::status::Status;

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

/// What the job last said of itself.
static SAID: Mutex<Option<Totals>> = Mutex::new(None);

/// Notes what the job says of itself: a program that is slow does not come back to say it when time is over.
pub fn said(totals: &Totals) {
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    *said = Some(totals.clone());
}

/// A program may take so many times what a call may: it has no more calls, and one that takes longer than that is
/// endless, though its calls come back.
const CALLS: u32 = 100;

/// A job leaves so much before its parent would kill it.
const BEFORE_KILLED: Duration = Duration::from_secs(3);

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
    /// What was running at the last look and who was at work, and the time since that began.
    work: (u64, Option<Work>, OwnTime),
    /// Looks at which that took too long.
    late: u32,
    /// The time since the job was told to stop.
    stopping: Option<OwnTime>,
}

impl Watch {
    /// Over calls, and what else is done of a program, that may take so long.
    pub fn new(limit: Duration, legacy: String) -> Self {
        let now = OwnTime::from_now(std::process::id());
        Self {
            limit,
            legacy,
            seen: (0, now),
            work: (0, None, now),
            late: 0,
            stopping: None,
        }
    }

    /// Ends the process if a call takes too long, or raised a deadly signal; to be called once a second. If the job
    /// `is_to_stop`, a program whose calls are slow is not waited for.
    pub fn look(&mut self, is_to_stop: bool) {
        if let (Some(signal), Some(work)) = (signals::died(), working()) {
            tell(&Message::Lost(lost(work.dies(signal))));
            self.end(CRASHED);
        }
        let running = RUNNING.load(Ordering::Relaxed);
        let work = working();
        if running == 0 || running != self.seen.0 {
            self.seen = (running, OwnTime::from_now(std::process::id()));
            self.late = 0;
        }
        if running != self.work.0 || work != self.work.1 {
            self.work = (running, work, OwnTime::from_now(std::process::id()));
        }
        let is_stuck = self.work.2.exceeds(self.limit);
        let is_endless = self.seen.1.exceeds(self.limit * CALLS);
        if running == 0 {
            return;
        }
        if is_to_stop && work.is_some() && !is_stuck {
            self.leave_if_slow();
        }
        if !is_stuck && !is_endless {
            return;
        }
        let hung = work.filter(|_| is_stuck);
        if let Some(hung) = hung.and_then(|work| work.hangs(self.limit.as_secs())) {
            tell(&Message::Lost(lost(hung)));
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

    /// Leaves, if the job is to stop and its program is slow: it has had the time in which a call that hangs is told.
    fn leave_if_slow(&mut self) {
        let to_tell = to_stop(self.limit.as_secs() as u32).saturating_sub(BEFORE_KILLED);
        let since = self
            .stopping
            .get_or_insert_with(|| OwnTime::from_now(std::process::id()));
        if !since.exceeds(to_tell) {
            return;
        }
        let said = SAID.lock().unwrap_or_else(PoisonError::into_inner).take();
        tell(&Message::Stopped(said.unwrap_or_default()));
        libfuzzer::leave(Status::Agreed.number().into());
    }

    /// Ends the process where libFuzzer does not.
    fn end(&self, status: i32) -> ! {
        let input = INPUT.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = std::fs::write(&self.legacy, &*input);
        libfuzzer::leave(status)
    }
}

fn lost((signature, what): (String, String)) -> Lost {
    Lost { signature, what }
}

/// Tells the parent why the job ends.
fn tell(message: &Message) {
    let mut line = serde_json::to_vec(message).expect("a message has string keys only");
    line.push(b'\n');
    // Not by the standard library's: the program that hangs may have its lock.
    let mut stdout = stdout();
    let _ = stdout.write_all(&line).and_then(|()| stdout.flush());
}
