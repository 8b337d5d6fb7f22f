//! Small programs with known outcomes, run by hand-made schedules.

use vmadiff_interleave::policy::{Moment, Policy, Preemptions, RandomWalk, Switch};
use vmadiff_interleave::sim::{End, Plan, Planned, Sim, Trace};
use vmadiff_interleave::{Cell, Site, SpinLock, sites};

sites! {
    LOAD = "count.load";
    STORE = "count.store";
    LOCK = "count.lock";
}

fn at(task: u8, site: Site, nth: u32, to: u8) -> Switch {
    let site = site.number();
    Switch {
        at: Moment::Site { task, site, nth },
        to,
    }
}

fn run(sim: &mut Sim, calls: &[Planned], policy: &mut dyn Policy, body: &dyn Fn(u8)) -> Trace {
    sim.run(&Plan::new(calls, &|task, _| body(task)), policy)
        .clone()
}

fn increments(policy: &mut dyn Policy) -> (u64, Trace) {
    let count = Cell::new(0_u64);
    let calls = [Planned::by(1), Planned::by(2), Planned::by(1)];
    let trace = run(&mut Sim::new(), &calls, policy, &|_| {
        let seen = count.get(LOAD);
        count.set(STORE, seen + 1);
    });
    (count.peek(), trace)
}

#[test]
fn an_update_is_lost_between_load_and_store() {
    let (count, trace) = increments(&mut Preemptions::new(&[]));
    assert_eq!((count, trace.end()), (3, &End::Finished));
    let (count, trace) = increments(&mut Preemptions::new(&[at(1, STORE, 1, 2)]));
    println!("{trace}");
    assert_eq!((count, trace.end()), (2, &End::Finished));
}

#[test]
fn a_lock_keeps_the_update() {
    let (count, lock) = (Cell::new(0_u64), SpinLock::new());
    let calls = [Planned::by(1), Planned::by(2)];
    let mut policy = Preemptions::new(&[at(1, STORE, 1, 2)]);
    let trace = run(&mut Sim::new(), &calls, &mut policy, &|_| {
        let _guard = lock.lock(LOCK);
        let seen = count.get(LOAD);
        count.set(STORE, seen + 1);
    });
    println!("{trace}");
    assert_eq!((count.peek(), trace.end()), (2, &End::Finished));
    let _ = RandomWalk::new(1);
}
