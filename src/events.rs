//! The layer of events: what happens to the objects that stand for areas, judged by laws. Each is
//! allocated once and freed once, is in the tree while it is shown, and never after.
//!
//! Which object stands for which area is not compared: who survives a merge is the manager's own
//! affair. What laws say of an event is in `docs/compared.md`, and what each rule says is told by
//! `vmadiff explain RULE`.

use std::ops::Range;
use std::sync::Arc;

use vmadiff_contract::{Config, EventSink, Manager, Prot, VmaId};

use crate::areas::Areas;
use crate::compare::{Compare, Shown, View, World};
use crate::layers::{self, OfEvents};

/// A manager of areas that tells what happens to the objects that stand for them.
pub trait Events: Areas {
    /// From now on `events` is told: `VmaAlloc`, `VmaLink` when it is found by lookups from then on,
    /// `VmaUnlink` when it no longer is, `VmaFree`. An object's name is the ordinal of its
    /// allocation, from 1.
    fn listen(&mut self, events: Arc<dyn EventSink>);

    /// Shows each area, in any order, with the object that stands for it.
    fn each_vma(&self, visit: impl FnMut(Range<u64>, Prot, VmaId));
}

/// Compares a manager of areas with the reference, and judges what it tells by laws.
pub fn compare<M: Events>(name: &'static str) -> Compare {
    Compare::new(name, boot::<M>)
        .view(View::areas().with(Shown::EVENTS))
        .world(World::plain())
}

/// Boots a manager that tells events as a manager of the contract.
pub fn boot<M: Events>(
    config: &Config,
    events: Arc<dyn EventSink>,
    defects: &[&str],
) -> Box<dyn Manager> {
    layers::boot::<OfEvents<M>>(config, events, defects)
}
