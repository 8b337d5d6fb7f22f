//! No thread's stack is ever lost, not even that of one that deadlocked.
//!
//! Alone in its file: it looks at the memory of its whole process, where nothing else may run.

mod common;

use common::at;
use vmadiff_interleave::policy::Preemptions;
use vmadiff_interleave::sim::{End, Plan, Planned, Sim};
use vmadiff_interleave::{SpinLock, sites};

sites! {
    LOCK = "work.lock";
    STORE = "work.store";
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
    let lost = mapped_bytes().saturating_sub(before);
    assert!(lost < 4 * STACK, "{lost} bytes more are mapped");
}

/// A stack of a logical thread is no smaller.
const STACK: u64 = 256 << 10;

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
