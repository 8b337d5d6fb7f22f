//! How many programs of 16 calls a second through the layer of areas, half of the calls succeeding: made
//! beforehand, run on both sides and compared after every call. The aim is 200,000 on one core. The time
//! is the thread's own on the processor: what other work takes away from it does not count.
//!
//! On a machine that has no idle core the instructions of a program tell more:
//!
//! ```text
//! AREAS_ROUNDS=1 valgrind --tool=callgrind --toggle-collect='*areas::rounds*' target/release/deps/areas-…
//! ```

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use vmadiff::areas::{Areas, Place};
use vmadiff::contract::{Call, MapFlags};
use vmadiff::judge::Verdict;
use vmadiff::pair::Pair;
use vmadiff::program::mutate::{Flavour, generate};
use vmadiff::program::{Program, Step};
use vmadiff::run::Observed;
use vmadiff::{Config, Errno, Placement, Prot, View, World, compare};

/// Calls of each program.
const CALLS: usize = 16;
/// Different programs.
const PROGRAMS: usize = 4096;

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
    let programs: Vec<Program> = made.filter_map(half_failing).take(PROGRAMS).collect();
    let (mut made, mut succeeded) = (0_u64, 0_u64);
    for program in &programs {
        let ran = pair.observe(program);
        assert_eq!(ran.verdict, Verdict::Agree, "{program}");
        made += ran.reference.calls.len() as u64;
        let fine = |call: &&Observed| call.outcome.is_success();
        succeeded += ran.reference.calls.iter().filter(fine).count() as u64;
    }
    let times = std::env::var("AREAS_ROUNDS").map_or(20, |n| n.parse().expect("a number"));
    let start = own_time();
    rounds(&mut pair, &programs, times);
    let spent = own_time().saturating_sub(start);
    let rate = (times * PROGRAMS) as f64 / spent.as_secs_f64();
    println!(
        "{rate:.0} programs a second of {CALLS} calls, {} % of which succeed",
        100 * succeeded / made
    );
}

/// What is measured.
#[inline(never)]
fn rounds(pair: &mut Pair, programs: &[Program], times: usize) {
    for _ in 0..times {
        for program in programs {
            assert!(pair.run(program, &mut ()).is_none());
        }
    }
}

/// Of a program that is long enough, half of its calls, each with one behind it that fails: what is
/// mapped is mapped once more where it must be free, what is unmapped or protected is protected at a
/// place that nothing is mapped at.
fn half_failing(mut program: Program) -> Option<Program> {
    let calls = program.calls.get(..CALLS / 2)?;
    let with_failing = calls.iter().flat_map(|step| [*step, failing(step)]);
    program.calls = with_failing.collect();
    Some(program)
}

fn failing(step: &Step) -> Step {
    let call = match step.call {
        Call::Mmap {
            addr,
            len,
            prot,
            flags,
            fd,
            off,
        } if flags.intersects(MapFlags::FIXED | MapFlags::FIXED_NOREPLACE) => Call::Mmap {
            addr,
            len,
            prot,
            flags: flags | MapFlags::FIXED_NOREPLACE,
            fd,
            off,
        },
        _ => Call::Mprotect {
            addr: NOWHERE,
            len: 0x1000,
            prot: Prot::READ,
        },
    };
    Step { call, ..*step }
}

/// Nothing is mapped here.
const NOWHERE: u64 = 0x2_0000;

/// What this thread had on the processor, as Linux tells it. Elsewhere, and under valgrind, which makes
/// up its own /proc, that is nothing.
fn own_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = stat.split(' ').next().and_then(|word| word.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}
