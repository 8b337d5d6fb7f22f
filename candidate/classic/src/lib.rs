//! The smallest design: every fault takes mmap_sem, as in Linux before anybody tried otherwise.
//!
//! It keeps nothing beside areas and tells nobody of changes: mmap_sem alone keeps faults and writers
//! apart, and an area is freed as soon as it is removed. A design to start from, and one to compare
//! others with.

#![forbid(unsafe_code)]

use std::sync::Arc;

use vmadiff_contract::{Config, DesignInfo, EventSink, Frees, Manager};
use vmadiff_machine::defects::{OF_SPECULATION, listed};
use vmadiff_machine::deviations::KERNEL;
use vmadiff_machine::{Design, Machine, aims, defects, sites};

/// Every fault takes mmap_sem.
pub struct Classic;

/// What the harness knows of it: the machine's share, and no more. Where every fault takes mmap_sem
/// none gives up, so there are no reasons to.
pub static DESIGN: DesignInfo = DesignInfo {
    what: "Every fault takes mmap_sem; an area is freed as soon as it is removed.",
    source: "Linux 5.1",
    sites: &[sites::NAMES],
    defects: &[listed(defects::DEFECTS)],
    frees: Frees::AtOnce,
    proof: "mmap_sem, held for reading",
    recycles: "the whole slot, inside the call that removed the area",
    deviations: &[KERNEL],
    unshown: OF_SPECULATION,
    aims: &[aims::AIMS],
    ..DesignInfo::plain("classic", boot)
};

impl Design for Classic {
    const INFO: &'static DesignInfo = &DESIGN;
    /// No fault holds an area without mmap_sem.
    type Hold<'a> = ();
    type Area = ();
    type Space = ();
}

fn boot(config: &Config, events: Arc<dyn EventSink>, defects: &[&str]) -> Box<dyn Manager> {
    Machine::<Classic>::boxed(config, events, defects)
}
