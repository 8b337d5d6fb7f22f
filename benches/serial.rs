//! How many programs of 16 calls a second, and where the time goes: each stage in the same run, so
//! that the ratios mean something on any machine. Last, programs of three threads that are woven. The time is the thread's own on the processor:
//! what other work takes away from it does not count.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkGroup, Criterion, Throughput, measurement::WallTime};
use rustix::time::{ClockId, clock_gettime};
use vmadiff::coverage::{COUNTERS, Coverage, Stats};
use vmadiff::designs::Planted;
use vmadiff::pair::{Pair, pair};
use vmadiff::program::mutate::{Flavour, generate};
use vmadiff::program::{Policy, Program};
use vmadiff::run::Recorder;
use vmadiff_contract::{Manager, Snapshot, TaskId};
use vmadiff_reference::Reference;

/// Calls of each program.
const CALLS: usize = 16;
/// Different programs.
const PROGRAMS: usize = 4096;

/// Time and programs of each stage, for the ratios.
type Times = RefCell<BTreeMap<&'static str, (Duration, u64)>>;

fn main() {
    let mut criterion = Criterion::default()
        .configure_from_args()
        .measurement_time(Duration::from_secs(4))
        .warm_up_time(Duration::from_secs(1));
    let times = Times::default();
    let mut group = criterion.benchmark_group("serial");
    group.throughput(Throughput::Elements(1));
    stages(&mut group, &times);
    group.finish();
    criterion.final_summary();
    ratios(&times.into_inner());
}

fn stages(group: &mut BenchmarkGroup<'_, WallTime>, times: &Times) {
    let mut pair = pair(&Planted::default());
    let programs = programs(&pair);
    let config = &programs[0].config;
    let mut reference = Reference::new(config, Arc::new(Recorder));
    let mut candidate = Planted::default().boot(config, Arc::new(Recorder));
    let mut state = Snapshot::default();

    measure(group, times, "reference calls", &programs, |p| {
        calls(&mut reference, p, |_| {});
    });
    measure(group, times, "reference calls and states", &programs, |p| {
        calls(&mut reference, p, |manager| manager.snapshot(&mut state));
    });
    measure(group, times, "candidate calls", &programs, |p| {
        calls(&mut *candidate, p, |_| {});
    });
    measure(group, times, "candidate calls and states", &programs, |p| {
        calls(&mut *candidate, p, |manager| manager.snapshot(&mut state));
    });
    measure(group, times, "judged", &programs, |p| {
        assert!(pair.run(p, &mut ()).is_none());
    });
    let (mut counters, mut stats) = (vec![0; COUNTERS], Stats::default());
    measure(group, times, "judged and counted", &programs, |p| {
        assert!(
            pair.run(p, &mut Coverage::new(&mut counters, &mut stats))
                .is_none()
        );
    });
    measure(group, times, "judged in full", &programs, |p| {
        pair.observe(p);
    });
    let woven = woven_programs(&mut pair);
    measure(group, times, "woven and judged", &woven, |p| {
        pair.run(p, &mut ());
    });
}

/// Programs of exactly so many calls.
fn programs(pair: &Pair) -> Vec<Program> {
    let profile = pair.profile(Flavour::Serial);
    let long = (0..)
        .map(|seed| generate(seed, &profile))
        .filter(|p| p.calls.len() >= CALLS);
    long.take(PROGRAMS)
        .map(|mut program| {
            program.calls.truncate(CALLS);
            program
        })
        .collect()
}

/// Programs of three threads that make four calls each, woven by a list of preemptions.
fn woven_programs(pair: &mut Pair) -> Vec<Program> {
    let profile = pair.profile(Flavour::Interleaved);
    let woven = (0..)
        .map(|seed| generate(seed, &profile))
        .filter(|p| p.calls.len() >= 12 && p.schedule.policy == Policy::Preemptions)
        .map(|mut program| {
            program.calls.truncate(12);
            program.config.tasks = 3;
            for (task, step) in (0..3).cycle().zip(&mut program.calls) {
                step.task = TaskId(1 + task);
            }
            program
        });
    // What diverges is for `fuzz` to find; here it would only be slow.
    woven
        .filter(|p| !p.schedule.is_serial() && pair.run(p, &mut ()).is_none())
        .take(PROGRAMS / 4)
        .collect()
}

fn measure(
    group: &mut BenchmarkGroup<'_, WallTime>,
    times: &Times,
    name: &'static str,
    programs: &[Program],
    mut run: impl FnMut(&Program),
) {
    let mut next = programs.iter().cycle();
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|iterations| {
            let start = processor_time();
            for _ in 0..iterations {
                run(next.next().expect("there are programs"));
            }
            let took = processor_time() - start;
            let mut times = times.borrow_mut();
            let (time, count) = times.entry(name).or_default();
            *time += took;
            *count += iterations;
            took
        });
    });
}

/// The time that this thread has spent on a processor.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Runs a program on one manager, as a run does but for the judging.
fn calls(manager: &mut dyn Manager, program: &Program, mut after: impl FnMut(&dyn Manager)) {
    manager.reset(&program.config);
    let known = manager.supports();
    for step in program.calls.iter().filter(|step| known.makes(&step.call)) {
        manager.call(step.task, &step.call, step.fail);
        after(manager);
    }
    manager.quiesce();
    Recorder::clear();
}

fn ratios(times: &BTreeMap<&'static str, (Duration, u64)>) {
    let each = |name| {
        times
            .get(name)
            .map(|(time, count)| time.as_secs_f64() / *count as f64)
    };
    let Some(whole) = each("judged") else { return };
    println!(
        "\nof one judged program of {CALLS} calls ({:.0} a second):",
        1.0 / whole
    );
    for name in times.keys() {
        let time = each(name).unwrap_or(whole);
        println!(
            "  {:>6.2}  {:>9.0} a second  {name}",
            time / whole,
            1.0 / time
        );
    }
}
