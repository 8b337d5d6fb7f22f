//! The layer above areas: memory that is used, and what becomes of an access that may not be.
//!
//! Loads and stores are compared by what they answer. Whether a page is there before is the
//! manager's own affair: an access that faults and is served has no answer of its own.

use std::ops::Range;
use std::sync::Arc;

use vmadiff_contract::{Config, Errno, EventSink, Manager};

use crate::areas::Areas;
use crate::compare::{Compare, View, World};
use crate::layers::{self, OfMemory};

/// Why an access was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// No area covers the address (SIGSEGV with `SEGV_MAPERR`).
    Unmapped,
    /// The area does not allow the access (SIGSEGV with `SEGV_ACCERR`).
    Refused,
    /// There is no frame left for the page.
    NoFrame,
    /// This kind of access is not had.
    NotHad,
}

/// A manager of areas whose memory is used. [`HAS`](Areas::HAS) need not name loads and stores; what
/// else is had is named there.
pub trait Memory: Areas {
    /// Reads a byte, serving the fault if there is one. Memory that was never stored to is zero.
    ///
    /// # Errors
    /// Why it cannot be read.
    fn load(&mut self, addr: u64) -> Result<u8, Fault>;

    /// Writes a byte, serving the fault if there is one.
    ///
    /// # Errors
    /// Why it cannot be written.
    fn store(&mut self, addr: u64, value: u8) -> Result<(), Fault>;

    /// Fetches an instruction (`CallKind::Exec`).
    ///
    /// # Errors
    /// Why it cannot be fetched.
    fn exec(&mut self, _addr: u64) -> Result<(), Fault> {
        Err(Fault::NotHad)
    }

    /// Forgets what pages hold, as `MADV_DONTNEED` does (`CallKind::Madvise`; a world with no other
    /// advice is made by [`World::advice`]).
    ///
    /// # Errors
    /// `ENOMEM` for a range with holes, of which all that is mapped is forgotten.
    fn discard(&mut self, _range: Range<u64>) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }
}

/// Compares a manager of memory with the reference, in a [plain](World::plain) world.
pub fn compare<M: Memory>(name: &'static str) -> Compare {
    Compare::new(name, boot::<M>)
        .view(View::areas())
        .world(World::plain().advice(&[vmadiff_contract::Advice::DontNeed]))
}

/// Boots a manager of memory as a manager of the contract.
pub fn boot<M: Memory>(
    config: &Config,
    events: Arc<dyn EventSink>,
    defects: &[&str],
) -> Box<dyn Manager> {
    layers::boot::<OfMemory<M>>(config, events, defects)
}
