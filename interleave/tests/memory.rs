//! A simulation that has run a while needs no more memory: no allocation in any run, whatever the
//! policy, and no thread's stack is ever lost, not even that of one that deadlocked.

mod common;

use common::at;
use vmadiff_interleave::policy::{
    Bounded, Moment, Pct, Policy, Pos, Preemptions, RandomWalk, Search, Switch,
};
use vmadiff_interleave::sim::{End, Plan, Planned, Sim};
use vmadiff_interleave::{Cell, Rcu, SpinLock, sites};

sites! {
    LOCK = "work.lock";
    LOAD = "work.load";
    STORE = "work.store";
    CALL = "work.call_rcu";
}

fn calls() -> Vec<Planned> {
    (0..12).map(|call| Planned::by(1 + call % 3)).collect()
}

#[test]
fn runs_allocate_nothing_once_warm() {
    let (lock, cell, rcu) = (SpinLock::new(), Cell::new(0_u32), Rcu::new());
    let body = |_: u8, call: u32| {
        let _guard = lock.lock(LOCK);
        cell.set(STORE, cell.get(LOAD) + 1);
        rcu.call(CALL, call);
    };
    let softirq = || while rcu.pop_ready(CALL).is_some() {};
    let calls = calls();
    let mut plan = Plan::new(&calls, &body);
    plan.softirq = Some(&softirq);
    let mut sim = Sim::new();
    let gaps = [9, 20].map(|gap| Switch {
        at: Moment::Gap(gap),
        to: 2,
    });
    let mut search = Bounded::new(2);
    let mut pct = Pct::new(7, 3, 80);
    let mut list = Preemptions::new(&gaps);
    let (mut walk, mut pos) = (RandomWalk::new(7), Pos::new(7));
    let policies: [&mut dyn Policy; 4] = [&mut list, &mut walk, &mut pct, &mut pos];
    for policy in policies {
        let mut round = || {
            for _ in 0..20 {
                sim.run(&plan, policy);
                softirq();
            }
        };
        round();
        let used = allocation_counter::measure(round);
        assert_eq!(used.count_total, 0, "{used:?}");
    }
    let mut round = || {
        for _ in 0..20 {
            assert!(search.advance());
            sim.run(&plan, &mut search);
            softirq();
        }
    };
    round();
    let used = allocation_counter::measure(round);
    assert!(
        used.count_total < 5,
        "its list of choices may grow: {used:?}"
    );
}

#[test]
fn unwound_threads_give_their_stacks_back() {
    let locks = [SpinLock::new(), SpinLock::new()];
    let calls = [Planned::by(1), Planned::by(2)];
    let body = |task: u8, _: u32| {
        let first = usize::from(task - 1);
        let _first = locks[first].lock(LOCK);
        let _second = locks[1 - first].lock(STORE);
    };
    let plan = Plan::new(&calls, &body);
    let mut policy = Preemptions::new(&[at(1, STORE, 1, 2)]);
    let mut sim = Sim::new();
    let mut round = || {
        for _ in 0..50 {
            let trace = sim.run(&plan, &mut policy);
            assert!(matches!(trace.end(), End::Deadlock(_)));
        }
    };
    round();
    let before = mapped_bytes();
    let used = allocation_counter::measure(round);
    assert_eq!(used.bytes_current, 0, "{used:?}");
    // A stack is 256 KiB, and another test may run beside this one.
    assert!(mapped_bytes() < before + (8 << 20));
}

/// The size of this process's address space.
fn mapped_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: u64 = statm
        .split(' ')
        .next()
        .expect("a size")
        .parse()
        .expect("a number");
    pages * 4096
}
