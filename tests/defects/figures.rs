//! How well and how fast shrinking does over the whole bank of defects.

use std::fmt;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use vmadiff::program::Program;
use vmadiff::shrink::Shrunk;

/// What shrinking one program came to.
#[derive(Clone, Copy, Debug)]
struct Figure {
    calls: (usize, usize),
    switches: (usize, usize),
    tried: u64,
    time: Duration,
}

/// What shrinking came to, defect by defect.
#[derive(Clone, Debug, Default)]
pub struct Figures(Vec<Figure>);

impl Figures {
    /// Adds one.
    pub fn add(&mut self, before: &Program, small: &Shrunk, time: Duration) {
        let after = &small.program;
        self.0.push(Figure {
            calls: (before.calls.len(), after.calls.len()),
            switches: (
                before.schedule.switches.len(),
                after.schedule.switches.len(),
            ),
            tried: small.tried,
            time,
        });
    }

    /// These and those.
    pub fn and(&self, other: &Self) -> Self {
        Self([&self.0[..], &other.0[..]].concat())
    }

    /// Calls and switches afterwards, in the median.
    pub fn small(&self) -> (usize, usize) {
        let calls = self.median(|figure| figure.calls.1);
        (calls, self.median(|figure| figure.switches.1))
    }

    fn median<T: Ord + Copy + Default>(&self, of: impl Fn(&Figure) -> T) -> T {
        let mut all: Vec<T> = self.0.iter().map(of).collect();
        all.sort_unstable();
        all.get(all.len() / 2).copied().unwrap_or_default()
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let longest = self.0.iter().map(|figure| figure.time).max();
        write!(
            f,
            "{} programs shrunk, in the median from {} calls and {} switches to {} and {}, by {} \
             tries in {:.1} ms of processor time; the longest took {:.1} ms",
            self.0.len(),
            self.median(|figure| figure.calls.0),
            self.median(|figure| figure.switches.0),
            self.small().0,
            self.small().1,
            self.median(|figure| figure.tried),
            self.median(|figure| figure.time).as_secs_f64() * 1e3,
            longest.unwrap_or_default().as_secs_f64() * 1e3,
        )
    }
}

/// What this thread has used of a processor.
pub fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
