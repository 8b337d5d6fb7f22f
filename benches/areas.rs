//! How many programs of 16 calls a second through the layer of areas: made beforehand, run on both
//! sides and compared after every call. The aim is 200,000 on one core. The time is the thread's own
//! on the processor: what other work takes away from it does not count.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use vmadiff::areas::{Areas, Place};
use vmadiff::program::Program;
use vmadiff::program::mutate::{Flavour, generate};
use vmadiff::{Config, Errno, Placement, Prot, View, World, compare};

/// Calls of each program.
const CALLS: usize = 16;
/// Different programs.
const PROGRAMS: usize = 4096;
/// Times that all are run.
const ROUNDS: usize = 20;

/// A manager that takes next to no time: what is measured is the harness.
#[derive(Default)]
struct Map(BTreeMap<u64, (u64, Prot)>);

impl Map {
    fn cut(&mut self, at: u64) {
        if let Some((_, area)) = self.0.range_mut(..at).next_back()
            && at < area.0
        {
            let upper = *area;
            area.0 = at;
            self.0.insert(at, upper);
        }
    }
}

impl Areas for Map {
    fn boot(_: &Config) -> Self {
        Self::default()
    }

    fn map(&mut self, range: Range<u64>, prot: Prot, how: Place) -> Result<u64, Errno> {
        let before = self.0.range(..range.end).next_back();
        if how == Place::IfFree && before.is_some_and(|(_, (end, _))| *end > range.start) {
            return Err(Errno::EEXIST);
        }
        self.unmap(range.clone())?;
        self.0.insert(range.start, (range.end, prot));
        Ok(range.start)
    }

    fn unmap(&mut self, range: Range<u64>) -> Result<(), Errno> {
        self.cut(range.start);
        self.cut(range.end);
        while let Some((&start, _)) = self.0.range(range.clone()).next() {
            self.0.remove(&start);
        }
        Ok(())
    }

    fn protect(&mut self, range: Range<u64>, prot: Prot) -> Result<(), Errno> {
        self.cut(range.start);
        self.cut(range.end);
        let mut at = range.start;
        for (start, (end, old)) in self.0.range_mut(range.clone()) {
            if *start != at {
                break;
            }
            *old = prot;
            at = *end;
        }
        if at == range.end {
            Ok(())
        } else {
            Err(Errno::ENOMEM)
        }
    }

    fn each(&self, mut visit: impl FnMut(Range<u64>, Prot)) {
        for (start, (end, prot)) in &self.0 {
            visit(*start..*end, *prot);
        }
    }
}

fn main() {
    let mut pair = compare::<Map>("map")
        .view(View::areas().joined())
        .world(World::plain())
        .placement(Placement::FollowReference)
        .pair();
    let profile = pair.profile(Flavour::Serial);
    let made = (0..).map(|seed| generate(seed, &profile));
    let long = made.filter(|program| program.calls.len() >= CALLS);
    let programs: Vec<Program> = long
        .take(PROGRAMS)
        .map(|mut program| {
            program.calls.truncate(CALLS);
            program
        })
        .collect();
    let (mut made, mut succeeded) = (0_u64, 0_u64);
    for program in &programs {
        let ran = pair.observe(program);
        assert_eq!(ran.verdict, vmadiff::judge::Verdict::Agree, "{program}");
        made += ran.reference.calls.len() as u64;
        let fine = |call: &&vmadiff::run::Observed| call.outcome.is_success();
        succeeded += ran.reference.calls.iter().filter(fine).count() as u64;
    }
    let start = own_time();
    for _ in 0..ROUNDS {
        for program in &programs {
            assert!(pair.run(program, &mut ()).is_none());
        }
    }
    let spent = own_time() - start;
    let rate = (ROUNDS * PROGRAMS) as f64 / spent.as_secs_f64();
    println!(
        "{rate:.0} programs a second of {CALLS} calls, {} % of which succeed",
        100 * succeeded / made
    );
}

/// What this thread had on the processor.
fn own_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
