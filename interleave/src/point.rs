//! The scheduling point: where a simulation may switch to another logical thread.

use crate::Site;

/// What an access does to its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Reads it.
    Read,
    /// Writes it.
    Write,
    /// Reads and writes it in one step.
    Update,
    /// Takes it, waiting if it must.
    Lock,
    /// Takes it or fails at once.
    TryLock,
    /// Gives it back.
    Unlock,
    /// Enters or leaves a section that others wait for (RCU, interrupts off).
    Section,
    /// Waits for others.
    Wait,
}

/// Offers a scheduling point before an access to the object at `object`. The address is used for
/// equality only, never for order, so runs stay deterministic.
#[inline]
pub(crate) fn point<T>(_site: Site, _object: &T, _kind: Kind) {}

/// Tells the trace that the current call takes effect here: its linearization point, or the commit
/// of its critical section.
#[inline]
pub fn mark(_site: Site) {}
