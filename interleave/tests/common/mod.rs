//! What the tests share.

use std::collections::BTreeSet;

use vmadiff_interleave::Site;
use vmadiff_interleave::policy::{Exhaustive, Moment, Search, Switch};
use vmadiff_interleave::sim::{End, Plan, Planned, Sim};

/// The switch to `to` when `task` comes to `site` for the `nth` time.
pub fn at(task: u8, site: Site, nth: u32, to: u8) -> Switch {
    let site = site.number();
    Switch {
        at: Moment::Site { task, site, nth },
        to,
    }
}

/// Runs every schedule of tasks 1 to `tasks`, each with one call, on a world of its own, and
/// collects what `tell` tells of each end.
#[allow(dead_code, reason = "not every test enumerates")]
pub fn outcomes<W, T: Ord>(
    tasks: u8,
    world: impl Fn() -> W,
    call: impl Fn(&W, usize),
    softirq: impl Fn(&W),
    tell: impl Fn(&W, &End) -> T,
) -> BTreeSet<T> {
    let calls: Vec<Planned> = (1..=tasks).map(Planned::by).collect();
    let (mut sim, mut search) = (Sim::new(), Exhaustive::with_limit(100_000));
    let mut found = BTreeSet::new();
    while search.advance() {
        let world = world();
        let body = |task: u8, _: u32| call(&world, usize::from(task));
        let callbacks = || softirq(&world);
        let mut plan = Plan::new(&calls, &body);
        plan.softirq = Some(&callbacks);
        let end = sim.run(&plan, &mut search).end().clone();
        found.insert(tell(&world, &end));
    }
    assert!(search.explored().complete, "{:?}", search.explored());
    found
}
