//! How much time of its own a process has had since a moment: what it spent on a processor or asleep.
//!
//! The time in which it waited for a processor is that of others: with more jobs than processors, or at
//! a low priority, it may be nearly all. Neither counts what passed while nobody looked: then the one
//! who looks was stopped, and with it, as likely as not, the process.

use std::time::{Duration, Instant};

/// What passes at most between two looks.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// A process from a moment on.
#[derive(Clone, Copy, Debug)]
pub struct OwnTime {
    process: u32,
    looked: Instant,
    last: Account,
    /// Waited for a processor when this began.
    waited_before: Duration,
    /// By the clock, as far as somebody looked.
    passed: Duration,
}

impl OwnTime {
    /// That of a process from now on.
    pub fn from_now(process: u32) -> Self {
        let account = Account::of(process);
        Self {
            process,
            looked: Instant::now(),
            last: account,
            waited_before: account.waited,
            passed: Duration::ZERO,
        }
    }

    /// Whether it has had more than this, as far as can be told now; to be asked at least once a second.
    pub fn exceeds(&mut self, limit: Duration) -> bool {
        let account = Account::of(self.process);
        let passed = self.looked.elapsed();
        self.looked = Instant::now();
        self.add(passed, account) > limit
    }

    /// Adds what passed since the last look; answers what it has had, nothing while it waits.
    fn add(&mut self, passed: Duration, account: Account) -> Duration {
        self.passed += passed.min(BETWEEN_LOOKS);
        // How long it has waited is told when it gets a processor, and not before.
        let waits = account.is_ready && account.ran == self.last.ran && !account.ran.is_zero();
        self.last = account;
        if waits {
            return Duration::ZERO;
        }
        let waited = account.waited.saturating_sub(self.waited_before);
        self.passed.saturating_sub(waited)
    }
}

/// What the system tells of the main thread of a process; nothing where it does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Account {
    /// On a processor.
    ran: Duration,
    /// Ready to run, without a processor.
    waited: Duration,
    /// It runs, or waits for a processor.
    is_ready: bool,
}

impl Account {
    fn of(process: u32) -> Self {
        let read = |name| std::fs::read_to_string(format!("/proc/{process}/{name}"));
        let (times, state) = (read("schedstat"), read("stat"));
        Self::parse(&times.unwrap_or_default(), &state.unwrap_or_default())
    }

    /// Reads `time on a processor, time waited for one, times it got one` (nanoseconds, the last a
    /// count), and the state, which follows the name in parentheses.
    fn parse(schedstat: &str, stat: &str) -> Self {
        let mut times = schedstat.split_whitespace().map(|number| {
            let nanoseconds = number.parse().unwrap_or_default();
            Duration::from_nanos(nanoseconds)
        });
        let state = stat.rsplit_once(") ").map_or("", |(_, state)| state);
        Self {
            ran: times.next().unwrap_or_default(),
            waited: times.next().unwrap_or_default(),
            is_ready: state.starts_with('R'),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn account(ran: u32, waited: u32, is_ready: bool) -> Account {
        Account {
            ran: ran * SECOND,
            waited: waited * SECOND,
            is_ready,
        }
    }

    /// With an account of a process that has run for 9 seconds.
    fn started() -> OwnTime {
        OwnTime {
            last: account(9, 0, true),
            waited_before: Duration::ZERO,
            ..OwnTime::from_now(std::process::id())
        }
    }

    #[test]
    fn running_and_sleeping_count() {
        let mut time = started();
        assert_eq!(time.add(SECOND, account(10, 0, true)), SECOND);
        assert_eq!(time.add(SECOND, account(10, 0, false)), 2 * SECOND);
    }

    #[test]
    fn waiting_for_a_processor_does_not_count() {
        let mut time = started();
        for _ in 0..5 {
            assert_eq!(time.add(SECOND, account(9, 0, true)), Duration::ZERO);
        }
        // It gets one: now it is told how long it waited.
        assert_eq!(time.add(SECOND, account(10, 5, true)), SECOND);
    }

    #[test]
    fn what_passes_unseen_does_not_count() {
        let mut time = started();
        assert_eq!(time.add(900 * SECOND, account(10, 0, true)), SECOND);
    }

    #[test]
    fn where_nothing_is_told_the_clock_counts() {
        let mut time = started();
        time.last = Account::default();
        let untold = Account::parse("", "");
        assert_eq!(time.add(SECOND, untold), SECOND);
        let only_a_state = Account::parse("0 0 0", "7 (x) R 1");
        assert_eq!(time.add(SECOND, only_a_state), 2 * SECOND);
    }

    #[test]
    fn what_linux_tells_is_understood() {
        let told = Account::parse("7000000000 2000000000 3\n", "7 (a) b) R 1 7\n");
        assert_eq!(told, account(7, 2, true));
        let sleeps = Account::parse("7000000000 2000000000 3\n", "7 (R) S 1 7\n");
        assert!(!sleeps.is_ready);
        // This process has run at some time, and not since the dawn of time.
        if cfg!(target_os = "linux") {
            let ran = Account::of(std::process::id()).ran;
            assert!(!ran.is_zero() && ran < Duration::from_secs(86_400));
        }
    }
}
