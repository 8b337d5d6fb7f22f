//! A selectively uniform random walk makes every order of what is raced for equally likely, however many
//! other accesses tasks make.

use std::cell::RefCell;
use std::collections::BTreeMap;

use vmadiff_interleave::policy::{Policy, Preemptions, RandomWalk, Surw};
use vmadiff_interleave::sim::{Plan, Planned, Sim};
use vmadiff_interleave::{Cell, sites};

sites! {
    OWN = "work.own";
    SHARED = "work.shared";
}

const RUNS: u64 = 3_000;

/// Accesses of one task to what is its own, before it comes to what is shared.
const OWN_ACCESSES: u32 = 12;

/// In which order two tasks came to what they share: the task that made each of the four accesses.
fn order(sim: &mut Sim, policy: &mut dyn Policy) -> Vec<u8> {
    let (shared, own) = (Cell::new(0_u32), Cell::new(0_u32));
    let order = RefCell::new(Vec::new());
    let calls = [Planned::by(1), Planned::by(2)];
    let body = |task: u8, _: u32| {
        if task == 1 {
            (0..OWN_ACCESSES).for_each(|n| own.set(OWN, n));
        }
        for n in 0..2 {
            shared.set(SHARED, n);
            order.borrow_mut().push(task);
        }
    };
    sim.run(&Plan::new(&calls, &body), policy);
    order.into_inner()
}

/// How often each order came.
fn orders(mut policy: impl FnMut(u64, &mut Sim) -> Vec<u8>) -> BTreeMap<Vec<u8>, u64> {
    let (mut sim, mut orders) = (Sim::new(), BTreeMap::new());
    for seed in 0..RUNS {
        *orders.entry(policy(seed, &mut sim)).or_default() += 1;
    }
    orders
}

#[test]
fn every_order_is_equally_likely() {
    let mut surw = Surw::new(0);
    let mut sim = Sim::new();
    order(&mut sim, &mut Preemptions::default());
    surw.measure(sim.trace().steps());
    let even = orders(|seed, sim| {
        surw.reseed(seed);
        order(sim, &mut surw)
    });
    assert_eq!(even.len(), 6, "{even:?}");
    // A sixth of the runs each.
    assert!(
        even.values().all(|&times| (400..600).contains(&times)),
        "{even:?}"
    );

    let walk = orders(|seed, sim| order(sim, &mut RandomWalk::new(seed)));
    let rarest = (walk.len() < 6)
        .then_some(0)
        .or(walk.values().min().copied());
    assert!(rarest < Some(60), "{walk:?}");
}

#[test]
fn where_nothing_was_measured_it_walks() {
    let all = orders(|seed, sim| order(sim, &mut Surw::new(seed)));
    let others: u64 = all
        .iter()
        .filter(|(order, _)| **order != [2, 2, 1, 1])
        .map(|(_, times)| times)
        .sum();
    assert!(others > 0 && all.len() > 1, "{all:?}");
}
