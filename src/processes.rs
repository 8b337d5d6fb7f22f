//! The layer above memory: address spaces that are copied by a fork and go when their last task
//! exits. A child sees what its parent had stored, and neither sees what the other stores after.

use std::sync::Arc;

use vmadiff_contract::{Advice, Config, Errno, EventSink, Manager};

use crate::compare::{Compare, View, World};
use crate::layers::{self, OfProcesses};
use crate::memory::Memory;

/// A manager of memory whose address spaces can be copied.
pub trait Processes: Memory {
    /// Copies the address space.
    ///
    /// # Errors
    /// `ENOMEM` if there is no memory for the copy.
    fn fork(&mut self) -> Result<Self, Errno>;
}

/// Compares a manager of processes with the reference, in a [plain](World::plain) world, with two
/// threads in the first process. An address space is dropped when its last task exits.
pub fn compare<M: Processes>(name: &'static str) -> Compare {
    Compare::new(name, boot::<M>)
        .view(View::processes())
        .world(World::plain().advice(&[Advice::DontNeed]).tasks(2))
}

/// Boots a manager of processes as a manager of the contract.
pub fn boot<M: Processes>(
    config: &Config,
    events: Arc<dyn EventSink>,
    defects: &[&str],
) -> Box<dyn Manager> {
    layers::boot::<OfProcesses<M>>(config, events, defects)
}
