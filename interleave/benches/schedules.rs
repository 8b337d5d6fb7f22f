//! Schedules per second, by policy, and beside shuttle on the same scenario in the same run.
//!
//! The scenario: three threads make four calls each; a call takes a lock, moves a pair of words on
//! under it, and reads the pair again without it: 10 scheduling points with the call's begin. A
//! bug is planted in it: the read sees the pair torn.

use std::cell::Cell as Plain;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use vmadiff_interleave::policy::{
    Exhaustive, Moment, Pct, Policy, Pos, Preemptions, RandomWalk, Search, Switch,
};
use vmadiff_interleave::sim::{Plan, Planned, Sim};
use vmadiff_interleave::{Cell, SpinLock, sites};

sites! {
    LOCK = "pair.lock";
    X = "pair.x";
    Y = "pair.y";
}

const THREADS: u8 = 3;
const CALLS: u8 = 4;

#[derive(Default)]
struct Pair {
    lock: SpinLock,
    x: Cell<u64>,
    y: Cell<u64>,
}

impl Pair {
    /// One call; whether it saw the pair torn.
    fn call(&self) -> bool {
        let guard = self.lock.lock(LOCK);
        let (x, y) = (self.x.get(X), self.y.get(Y));
        self.x.set(X, x + 1);
        self.y.set(Y, y + 1);
        drop(guard);
        self.x.get(X) > self.y.get(Y)
    }
}

/// Runs schedules as long as `next` goes on; how many of them saw the pair torn.
fn interleave<P: Policy>(policy: &mut P, mut next: impl FnMut(&mut P) -> bool) -> u64 {
    let calls: Vec<Planned> = (0..THREADS * CALLS)
        .map(|call| Planned::by(1 + call % THREADS))
        .collect();
    let (mut sim, mut pair, torn, mut torn_runs) =
        (Sim::new(), Pair::default(), Plain::new(false), 0);
    while next(policy) {
        pair.x.init(0);
        pair.y.init(0);
        let body = |_: u8, _: u32| torn.set(torn.get() | pair.call());
        sim.run(&Plan::new(&calls, &body), policy);
        torn_runs += u64::from(torn.take());
        pair = std::hint::black_box(pair);
    }
    torn_runs
}

/// The same with shuttle's primitives and its random scheduler, in one runner: its fastest way.
fn shuttle(runs: u64) -> u64 {
    use shuttle::sync::Mutex;
    use shuttle::sync::atomic::AtomicU64 as Word;

    let torn_runs = Arc::new(AtomicU64::new(0));
    let count = torn_runs.clone();
    let scenario = move || {
        let pair = Arc::new((Mutex::new(()), Word::new(0), Word::new(0)));
        let call = |pair: &(Mutex<()>, Word, Word)| {
            let guard = pair.0.lock().expect("nobody panics");
            let (x, y) = (pair.1.load(SeqCst), pair.2.load(SeqCst));
            pair.1.store(x + 1, SeqCst);
            pair.2.store(y + 1, SeqCst);
            drop(guard);
            pair.1.load(SeqCst) > pair.2.load(SeqCst)
        };
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                let pair = pair.clone();
                shuttle::thread::spawn(move || (0..CALLS).fold(false, |torn, _| torn | call(&pair)))
            })
            .collect();
        let torn = threads
            .into_iter()
            .fold(false, |torn, t| torn | t.join().expect("no panic"));
        count.fetch_add(u64::from(torn), Relaxed);
    };
    let scheduler = shuttle::scheduler::RandomScheduler::new(runs as usize);
    shuttle::Runner::new(scheduler, shuttle::Config::new()).run(scenario);
    torn_runs.load(Relaxed)
}

/// Goes on for so many runs, with another seed each.
fn seeds<P>(runs: u64, reseed: fn(&mut P, u64)) -> impl FnMut(&mut P) -> bool {
    let mut run = 0;
    move |policy| {
        run += 1;
        reseed(policy, run);
        run <= runs
    }
}

fn gaps(policy: &mut Preemptions, seed: u64) {
    let gap = |points, to| Switch {
        at: Moment::Gap(points as u32),
        to,
    };
    let to = |shift: u64| 1 + ((seed >> shift) % u64::from(THREADS)) as u8;
    policy.set(&[
        gap(seed * 7 % 60, to(0)),
        gap(seed * 13 % 40, to(2)),
        gap(seed * 29 % 20, to(4)),
    ]);
}

/// A policy's name, and what runs so many of its schedules.
type Bench = (&'static str, fn(u64) -> u64);

const BENCHES: &[Bench] = &[
    ("no switch", |runs| {
        interleave(&mut Preemptions::default(), seeds(runs, |_, _| {}))
    }),
    ("three preemptions", |runs| {
        interleave(&mut Preemptions::default(), seeds(runs, gaps))
    }),
    ("random walk", |runs| {
        interleave(&mut RandomWalk::new(0), seeds(runs, RandomWalk::reseed))
    }),
    ("PCT, depth 3", |runs| {
        interleave(&mut Pct::new(0, 3, 110), seeds(runs, Pct::reseed))
    }),
    ("POS", |runs| {
        interleave(&mut Pos::new(0), seeds(runs, Pos::reseed))
    }),
    ("exhaustive", |runs| {
        let mut left = runs;
        interleave(&mut Exhaustive::new(), |search| {
            left -= 1;
            left > 0 && search.advance()
        })
    }),
    ("shuttle, random", shuttle),
];

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("schedules");
    group.throughput(Throughput::Elements(1)).sample_size(20);
    for (name, run) in BENCHES {
        group.bench_function(*name, |bencher| {
            bencher.iter_custom(|runs| {
                let start = Instant::now();
                std::hint::black_box(run(runs));
                start.elapsed()
            });
        });
    }
    group.finish();
    criterion.final_summary();
    ratios();
}

/// Schedules a second and torn pairs a second of each, and how many times shuttle's that is. Of
/// some rounds in turn the best counts: the others had to share the machine.
fn ratios() {
    const RUNS: u64 = 500;
    let mut best = vec![(Duration::MAX, 0); BENCHES.len()];
    for _ in 0..100 {
        for ((_, run), best) in BENCHES.iter().zip(&mut best) {
            let start = Instant::now();
            let torn = run(RUNS);
            *best = (start.elapsed(), torn).min(*best);
        }
    }
    let rate = |count: u64, time: Duration| count as f64 / time.as_secs_f64();
    let shuttle = rate(RUNS, best[BENCHES.len() - 1].0);
    println!(
        "{:20} {:>12} {:>10} {:>12}",
        "", "schedules/s", "x shuttle", "torn runs/s"
    );
    for ((name, _), (time, torn)) in BENCHES.iter().zip(best) {
        let (schedules, torn) = (rate(RUNS, time), rate(torn, time));
        println!(
            "{name:20} {schedules:12.0} {:10.1} {torn:12.0}",
            schedules / shuttle
        );
    }
}
