//! How many woven executions a second: 3 threads of 4 calls each on the candidate, by policy, run
//! alone and judged; schedules explored a second; and how fast planted defects are found. The time
//! is the thread's own on the processor. How the simulation compares with shuttle's on one scenario
//! is for `cargo bench -p vmadiff-interleave`.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use vmadiff::designs::Planted;
use vmadiff::pair::pair;
use vmadiff::program::mutate::{Flavour, generate};
use vmadiff::program::{Case, Policy, Program};
use vmadiff::run::Weaver;
use vmadiff_interleave::policy::Exhaustive;

/// Rounds of the four programs; the best of [`ROUNDS`] counts.
const RUNS: u64 = 2000;
const ROUNDS: u32 = 5;
/// Programs in which a defect is looked for.
const HUNT: u64 = 200_000;

/// Three threads make four calls each, on memory that is there.
const PROGRAM: &str = "\
config tasks=3
mmap(0x1f0000, 0x4000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)
[2] store(0x1f0000, 1)
[3] store(0x1f1000, 2)
store(0x1f2000, 3)
[2] store(0x1f1001, 4)
[3] load(0x1f2000)
mprotect(0x1f2000, 0x1000, PROT_READ)
[2] load(0x1f2000)
[3] madvise(0x1f0000, 0x1000, MADV_DONTNEED)
munmap(0x1f3000, 0x1000)
[2] store(0x1f0001, 5)
[3] store(0x1f1002, 6)
switch: 1@call.begin#2 -> 2
switch: +40 -> 3
switch: +30 -> 1
switch: +50 -> 2
";

const POLICIES: [(&str, Policy); 5] = [
    ("preemption list", Policy::Preemptions),
    ("random walk", Policy::RandomWalk),
    ("PCT", Policy::Pct),
    ("POS", Policy::Pos),
    ("SURW", Policy::Surw),
];

fn main() {
    let program = Case::parse("bench", PROGRAM).expect("a program").program;
    println!(
        "{:24} {:>12} {:>12} {:>10}",
        "3 threads of 4 calls", "woven/s", "judged/s", "points"
    );
    for (name, policy) in POLICIES {
        by_policy(name, policy, &program);
    }
    explored();
    for defect in ["no-reference", "a21-freed-at-once", "skip-last-recheck"] {
        hunted(defect);
    }
}

fn by_policy(name: &str, policy: Policy, program: &Program) {
    let mut program = program.clone();
    program.schedule.policy = policy;
    if policy != Policy::Preemptions {
        program.schedule.switches.truncate(1);
    }
    let mut weaver = Weaver::new(Arc::new(|config, events| {
        Planted::default().boot(config, events)
    }));
    let known = weaver.supports();
    let mut points = 0;
    let woven = best(|| {
        for seed in 0..RUNS {
            program.schedule.seed = seed;
            points = weaver.weave(&program, known, None).trace.points();
        }
    });
    let mut pair = pair(&Planted::default());
    let judged = best(|| {
        for seed in 0..RUNS {
            program.schedule.seed = seed;
            assert!(pair.run(&program, &mut ()).is_none());
        }
    });
    println!(
        "{name:24} {:12.0} {:12.0} {points:10}",
        rate(RUNS, woven),
        rate(RUNS, judged)
    );
}

/// Two stores on one fresh page, by every schedule.
fn explored() {
    let text = "mmap(0x1f0000, 0x2000, 3, 0x32, -1, 0)\nstore(0x1f0000, 1)\n\
                store(0x1f1000, 2)\n[2] store(0x1f1001, 3)\n";
    let program = Case::parse("bench", text).expect("a program").program;
    let mut pair = pair(&Planted::default());
    let mut schedules = 0;
    let time = best(|| {
        let explored = pair.explore(&program, 2, &mut Exhaustive::new());
        schedules = explored.expect("no divergence").schedules;
    });
    println!(
        "{:24} {:12} {:12.0}",
        "every schedule",
        schedules,
        rate(schedules, time)
    );
}

/// Fresh programs until the defect shows, again and again.
fn hunted(defect: &str) {
    let mut pair = pair(&Planted::defect(defect));
    let profile = pair.profile(Flavour::Interleaved);
    let start = own_time();
    let (mut found, mut tried) = (0, 0);
    while found < 20 && tried < HUNT {
        let program = black_box(generate(tried, &profile));
        found += u64::from(pair.run(&program, &mut ()).is_some());
        tried += 1;
    }
    let time = own_time() - start;
    let name = defect;
    println!(
        "{name:24} {found:3} found in {tried:6} programs, {:.1} a second",
        rate(found, time)
    );
}

fn best(mut run: impl FnMut()) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let start = own_time();
        run();
        best = best.min(own_time() - start);
    }
    best
}

fn rate(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

fn own_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
