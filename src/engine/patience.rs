//! How long a job that was told to stop has had for it. The time in which it waited for a processor is not
//! its own: with more jobs than processors, or at a low priority, that may be nearly all.

use std::time::{Duration, Instant};

/// Longer than a program may hang.
const PATIENCE: Duration = Duration::from_secs(15);

/// What was known when a job was told to stop.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    process: u32,
    at: Instant,
    /// Since its start.
    waited: Duration,
}

impl Asked {
    /// The job of this process is told to stop now.
    pub fn now(process: u32) -> Self {
        Self {
            process,
            at: Instant::now(),
            waited: waited(process),
        }
    }

    /// Whether it has had time enough.
    pub fn long_ago(&self) -> bool {
        let elapsed = self.at.elapsed();
        // No need to look before that.
        elapsed > PATIENCE && is_enough(elapsed, waited(self.process).saturating_sub(self.waited))
    }
}

fn is_enough(elapsed: Duration, waited: Duration) -> bool {
    elapsed.saturating_sub(waited) > PATIENCE
}

/// How long the main thread of a process has been ready to run without a processor; nothing where the
/// system does not tell.
fn waited(process: u32) -> Duration {
    let told = std::fs::read_to_string(format!("/proc/{process}/schedstat"));
    told.map_or(Duration::ZERO, |told| second_number(&told))
}

/// Of `time on a processor, time waited for one, times it got one`: nanoseconds, the last a count.
fn second_number(schedstat: &str) -> Duration {
    let second = schedstat.split_whitespace().nth(1);
    let nanoseconds = second.and_then(|number| number.parse().ok());
    nanoseconds.map_or(Duration::ZERO, Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_for_a_processor_costs_no_patience() {
        let second = Duration::from_secs(1);
        assert!(!is_enough(PATIENCE, Duration::ZERO));
        assert!(is_enough(PATIENCE + second, Duration::ZERO));
        assert!(!is_enough(4 * PATIENCE, 3 * PATIENCE));
        assert!(is_enough(4 * PATIENCE + second, 3 * PATIENCE));
    }

    #[test]
    fn what_linux_tells_is_understood() {
        assert_eq!(second_number("7 2000000000 3\n"), Duration::from_secs(2));
        assert_eq!(second_number(""), Duration::ZERO);
        // This thread has waited at some time, if only for an instant, and not since the dawn of time.
        if cfg!(target_os = "linux") {
            assert!(waited(std::process::id()) < Duration::from_secs(86_400));
        }
    }
}
