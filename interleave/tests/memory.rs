//! A simulation that has run a while needs no more memory: no allocation in any run, whatever the
//! policy. That no stack is lost is in `stacks.rs`.

use vmadiff_interleave::policy::{
    Bounded, Moment, Pct, Policy, Pos, Preemptions, RandomWalk, Search, Switch,
};
use vmadiff_interleave::sim::{Plan, Planned, Sim};
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
